//! The socket on which this host's users obtain their certificates, and have calls made.
//!
//! Who asks, the kernel says (SO_PEERCRED), and never the message. Whether this host may vouch for
//! that user, the controllers decide.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use common::id::ClusterId;
use proto::node::{VouchRequest, node_client::NodeClient};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::{Instant, timeout},
};
use trust::{
    controllers::{Call, CallError, Controllers, Target},
    door::{self, Said},
    vouch::{Vouched, Wish, read_request, read_wish, write_answer},
};

use crate::{
    account,
    door::{Door, QUESTION},
    join::addresses_of,
};

/// How many users are served at a time, and how many connections one of them may hold.
const CONNECTIONS: usize = 1_024;
const CONNECTIONS_OF_ONE: usize = 32;

/// The least time between two certificates of one user. Commands keep theirs for hours; who asks
/// more often waits, and costs the controllers no more than this.
const PACE: Duration = Duration::from_millis(50);

/// How long the controllers may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// How long to rest when the kernel gives no connection, as when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {}", path.display())]
pub struct SocketError {
    path: PathBuf,
    source: io::Error,
}

/// Listens on `path`, which everybody may connect to. A socket that a killed daemon left behind
/// is replaced; the spool's lock keeps two daemons of one node apart.
///
/// # Errors
/// Where something else is there, somebody listens there, or the folder can't be written.
pub fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    let wrong = |source| SocketError { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(wrong(io::ErrorKind::AddrInUse.into()));
            }
            fs::remove_file(path).map_err(wrong)?;
        }
        Ok(_) => return Err(wrong(io::ErrorKind::AlreadyExists.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(wrong(error)),
    }
    let listener = UnixListener::bind(path).map_err(wrong)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).map_err(wrong)?;
    Ok(listener)
}

/// Serves whoever connects, for ever.
pub async fn serve(listener: UnixListener, cluster: ClusterId, controllers: Arc<Controllers>) {
    let desk = Arc::new(Desk {
        door: Door::new(cluster, Arc::clone(&controllers)),
        controllers,
        held: Mutex::default(),
        free: Arc::new(Semaphore::new(CONNECTIONS)),
    });
    loop {
        let permit = Arc::clone(&desk.free).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = Arc::clone(&desk);
                tokio::spawn(async move {
                    desk.attend(stream).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "can't accept a user's connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

struct Desk {
    door: Door,
    controllers: Arc<Controllers>,
    held: Mutex<HashMap<u32, Held>>,
    free: Arc<Semaphore>,
}

enum Answer {
    Certificate(Result<Vouched, String>),
    Call(Said),
}

/// What a user holds of the desk.
struct Held {
    connections: usize,
    /// When the next certificate is due, at the earliest.
    next: Instant,
}

impl Desk {
    async fn attend(&self, mut stream: UnixStream) {
        let uid = match stream.peer_cred() {
            Ok(peer) => peer.uid(),
            Err(error) => {
                tracing::warn!(%error, "can't tell who connected");
                return;
            }
        };
        let answer = if self.enter(uid) {
            let answer = self.answer(uid, &mut stream).await;
            self.leave(uid);
            answer
        } else {
            let reason = "too many connections of this user at a time".to_owned();
            Some(Answer::Certificate(Err(reason)))
        };
        let Some(answer) = answer else { return };
        let written = timeout(QUESTION, self.tell(uid, &mut stream, answer)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::debug!(uid, "the command did not wait for its answer");
        }
    }

    /// What a user hears; nothing where no question came.
    async fn answer(&self, uid: u32, stream: &mut UnixStream) -> Option<Answer> {
        match timeout(QUESTION, read_wish(stream)).await.ok()?.ok()? {
            Wish::Call => self.door.answer(uid, stream).await.ok().map(Answer::Call),
            Wish::Certificate { length } => {
                let question = timeout(QUESTION, read_request(stream, length)).await.ok()?;
                let signing_request = question.ok()?;
                tokio::time::sleep_until(self.turn(uid)).await;
                Some(Answer::Certificate(self.vouch(uid, signing_request).await))
            }
        }
    }

    async fn tell(&self, uid: u32, stream: &mut UnixStream, answer: Answer) -> io::Result<()> {
        match answer {
            Answer::Certificate(Ok(vouched)) => write_answer(stream, Ok(&vouched)).await,
            Answer::Certificate(Err(reason)) => {
                tracing::info!(uid, reason, "did not vouch");
                write_answer(stream, Err(&reason)).await
            }
            Answer::Call(said) => {
                if let Said::NotServed(reason) = &said {
                    tracing::debug!(uid, reason, "did not make a call");
                }
                door::write_answer(stream, said).await
            }
        }
    }

    async fn vouch(&self, uid: u32, signing_request: String) -> Result<Vouched, String> {
        let looked_up = tokio::task::spawn_blocking(move || account::name_of(uid)).await;
        let user = looked_up.expect("a look-up does not panic");
        let user = user.map_err(|error| crate::reason(&error))?;
        let request = VouchRequest { uid, user, signing_request };
        let call = Call::within(Target::Leader, ANSWER);
        let reply = self.controllers.call(call, |channel| {
            let request = request.clone();
            async move { Ok(NodeClient::new(channel).vouch(request).await?.into_inner()) }
        });
        let reply = reply.await.map_err(|error| match error {
            CallError::Refused(status) => status.message().to_owned(),
            error @ (CallError::Unanswered { .. }
            | CallError::Untrusted { .. }
            | CallError::Expired
            | CallError::NoControllers
            | CallError::Address(_)
            | CallError::Tls(_)) => crate::reason(&error),
        })?;
        Ok(Vouched {
            certificate: reply.certificate,
            authority: reply.authority,
            controllers: addresses_of(reply.controllers),
        })
    }

    fn enter(&self, uid: u32) -> bool {
        let now = Instant::now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, one| one.connections > 0 || one.next > now);
        let mine = held.entry(uid).or_insert(Held { connections: 0, next: now });
        let free = mine.connections < CONNECTIONS_OF_ONE;
        mine.connections += usize::from(free);
        free
    }

    /// When the user's turn is. Each asks for one of its own.
    fn turn(&self, uid: u32) -> Instant {
        let now = Instant::now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = held.get_mut(&uid).expect("who asks has entered");
        let turn = mine.next.max(now);
        mine.next = turn + PACE;
        turn
    }

    fn leave(&self, uid: u32) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = held.get_mut(&uid).expect("who leaves has entered");
        mine.connections = mine.connections.checked_sub(1).expect("who leaves has entered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_may_connect_and_a_dead_socket_is_replaced() {
        let scratch = tempfile::tempdir().expect("a folder");
        let path = scratch.path().join("run/socket");
        let listener = listen(&path).expect("bound");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o666);
        assert!(listen(&path).is_err(), "somebody listens");
        drop(listener);
        listen(&path).expect("replaced");
        let file = scratch.path().join("file");
        fs::write(&file, "mine").expect("written");
        assert!(listen(&file).is_err(), "not a socket");
        assert_eq!(fs::read_to_string(&file).expect("untouched"), "mine");
    }

    fn desk() -> Desk {
        let controllers = Arc::new(Controllers::joining(vec![], [0; 32]));
        Desk {
            door: Door::new(ClusterId([0; 16]), Arc::clone(&controllers)),
            controllers,
            held: Mutex::default(),
            free: Arc::new(Semaphore::new(1)),
        }
    }

    #[test]
    fn a_user_who_asks_often_waits() {
        let desk = desk();
        assert!(desk.enter(7) && desk.enter(8));
        let first = desk.turn(7);
        assert!(desk.turn(7) >= first + PACE);
        assert!(desk.turn(7) >= first + PACE * 2);
        assert!(desk.turn(8) < desk.turn(7), "another user has turns of its own");
        desk.leave(7);
        assert!(desk.enter(7) && desk.turn(7) >= first + PACE * 4, "hanging up does not help");
    }

    #[test]
    fn one_user_can_not_hold_all_connections() {
        let desk = desk();
        for _ in 0..CONNECTIONS_OF_ONE {
            assert!(desk.enter(7));
        }
        assert!(!desk.enter(7));
        assert!(desk.enter(8));
        desk.leave(7);
        assert!(desk.enter(7));
    }
}
