//! How a user's commands obtain a certificate: from the node daemon, over a local socket.
//!
//! The command makes a key and sends a signing request; `rafterd` takes the caller's uid from the
//! kernel (SO_PEERCRED, unix(7)), has the controllers sign, and answers. One question and one
//! answer per connection. Each is four bytes of length, big endian, and as many bytes of text:
//! a request in PEM (PKCS #10) there; `ok`, the controllers and two certificates back, or
//! `no` and the reason:
//!
//! ```text
//! ok
//! controller ctl1 10.0.0.1:6817
//! -----BEGIN CERTIFICATE-----
//! ```
//!
//! The same socket serves as the [`crate::door`], whose questions begin otherwise.
//!
//! Commands use [`obtain`]. The daemon uses [`read_request`] and [`write_answer`], on a stream
//! whose peer it has looked up, and under a time limit of its own.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::unistd::geteuid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::{
    authority::{Anchor, AuthorityError},
    controllers::Address,
    credential::{CredentialError, KeyRequest},
    door::{self, connected, is_trusted, owner},
    identity::{ClusterId, Subject, check_name},
    store::Pass,
};

/// The longest question or answer, in bytes.
const MAX_LENGTH: u32 = 64 * 1024;

/// What the daemon hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// The user's certificate, PEM.
    pub certificate: String,
    /// The authority's certificate, PEM; and those of others that count, behind it.
    pub authority: String,
    pub controllers: Vec<Address>,
}

/// Why a command got no certificate.
#[derive(Debug, thiserror::Error)]
pub enum VouchError {
    #[error("rafterd can't be asked at {path}")]
    Socket { path: PathBuf, source: io::Error },
    #[error("{path} belongs to user {owner}, neither to root nor to user {me}")]
    Owner { path: PathBuf, owner: u32, me: u32 },
    #[error("rafterd does not vouch for this user: {0}")]
    Refused(String),
    #[error("rafterd's answer can't be understood")]
    Answer,
    #[error("rafterd's certificates are of cluster {found}, not of {expected}")]
    OtherCluster { found: ClusterId, expected: ClusterId },
    #[error("the certificate is for somebody else: {0}")]
    OtherUser(Subject),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

/// Makes a key, and has the daemon at `socket` get it certified for the caller. Blocks for at most
/// about `limit`.
///
/// # Errors
/// Where nobody listens there, who listens is neither root nor the caller, it does not vouch, or
/// what it hands out is not for this user and cluster.
pub fn obtain(socket: &Path, cluster: ClusterId, limit: Duration) -> Result<Pass, VouchError> {
    let request = KeyRequest::generate()?;
    let asked = ask(socket, &request.signing_request()?, limit)?;
    let anchors = Anchor::list(&asked.authority)?;
    if let Some(other) = anchors.iter().find(|anchor| anchor.cluster() != cluster) {
        return Err(VouchError::OtherCluster { found: other.cluster(), expected: cluster });
    }
    let credential = request.certified_among(&asked.certificate, anchors)?;
    let me = geteuid().as_raw();
    match &credential.identity().subject {
        Subject::User { uid, .. } if *uid == me => {}
        other @ (Subject::User { .. } | Subject::Node { .. } | Subject::Controller { .. }) => {
            return Err(VouchError::OtherUser(other.clone()));
        }
    }
    Ok(Pass { credential, controllers: asked.controllers })
}

fn ask(path: &Path, request: &str, limit: Duration) -> Result<Vouched, VouchError> {
    let wrong = |source| VouchError::Socket { path: path.to_owned(), source };
    let mut stream = connected(path, limit).map_err(wrong)?;
    let (owner, me) = owner(&stream).map_err(wrong)?;
    if !is_trusted(owner, me) {
        return Err(VouchError::Owner { path: path.to_owned(), owner, me });
    }
    let answer = exchange(&mut stream, request, limit).map_err(wrong)?;
    parse_answer(&answer)
}

fn exchange(stream: &mut UnixStream, request: &str, limit: Duration) -> io::Result<String> {
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(&framed(request)?)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut text = vec![0; length_of(length)?];
    stream.read_exact(&mut text)?;
    String::from_utf8(text).map_err(|_| not_ours())
}

/// What a command wants that has connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A certificate, for a signing request of this length: see [`read_request`].
    Certificate { length: usize },
    /// A call: see [`crate::door`].
    Call,
}

/// Reads the first bytes that a command sends.
///
/// # Errors
/// Where the connection breaks, or what comes is neither.
pub async fn read_wish(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Wish> {
    let mut first = [0; 4];
    stream.read_exact(&mut first).await?;
    if first == door::MARK {
        return Ok(Wish::Call);
    }
    Ok(Wish::Certificate { length: length_of(first)? })
}

/// Reads a command's signing request, which is `length` bytes long.
///
/// # Errors
/// Where the connection breaks, or what comes is no request.
pub async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    length: usize,
) -> io::Result<String> {
    let mut text = vec![0; length];
    stream.read_exact(&mut text).await?;
    String::from_utf8(text).map_err(|_| not_ours())
}

/// Answers it: with certificates, or with the reason why not.
///
/// # Errors
/// Where the connection breaks.
pub async fn write_answer(
    stream: &mut (impl AsyncWrite + Unpin),
    answer: Result<&Vouched, &str>,
) -> io::Result<()> {
    stream.write_all(&framed(&answer_text(answer))?).await?;
    stream.flush().await
}

fn not_ours() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is not rafter's protocol")
}

fn length_of(bytes: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(bytes);
    if length > MAX_LENGTH {
        return Err(not_ours());
    }
    usize::try_from(length).map_err(|_| not_ours())
}

fn framed(text: &str) -> io::Result<Vec<u8>> {
    let length = u32::try_from(text.len()).ok().filter(|length| *length <= MAX_LENGTH);
    let mut bytes = length.ok_or_else(not_ours)?.to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    Ok(bytes)
}

fn answer_text(answer: Result<&Vouched, &str>) -> String {
    match answer {
        Err(reason) => format!("no\n{reason}"),
        Ok(Vouched { certificate, authority, controllers }) => {
            let lines = controllers
                .iter()
                .map(|Address { name, address }| format!("controller {name} {address}\n"));
            format!("ok\n{}{certificate}{authority}", lines.collect::<String>())
        }
    }
}

fn parse_answer(text: &str) -> Result<Vouched, VouchError> {
    let (verdict, rest) = text.split_once('\n').ok_or(VouchError::Answer)?;
    match verdict {
        "no" => return Err(VouchError::Refused(rest.to_owned())),
        "ok" => {}
        _ => return Err(VouchError::Answer),
    }
    let at = rest.find("-----BEGIN ").ok_or(VouchError::Answer)?;
    let (head, blocks) = rest.split_at(at);
    let controllers = head.lines().map(parse_controller).collect::<Option<Vec<Address>>>();
    let blocks = pem::parse_many(blocks).map_err(|_| VouchError::Answer)?;
    let [certificate, authorities @ ..] = blocks.as_slice() else {
        return Err(VouchError::Answer);
    };
    if authorities.is_empty() {
        return Err(VouchError::Answer);
    }
    Ok(Vouched {
        certificate: pem::encode(certificate),
        authority: authorities.iter().map(pem::encode).collect(),
        controllers: controllers.ok_or(VouchError::Answer)?,
    })
}

fn parse_controller(line: &str) -> Option<Address> {
    let (name, address) = line.strip_prefix("controller ")?.split_once(' ')?;
    check_name(name).ok()?;
    Some(Address { name: name.to_owned(), address: address.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;
    use tokio::net::UnixListener;

    use super::*;
    use crate::{
        authority::{Authority, Validity},
        credential::USER_LIFETIME,
        identity::Identity,
    };

    /// A daemon that answers one question, with a certificate for this uid or a refusal.
    async fn daemon(listener: UnixListener, authority: Authority, uid: Result<u32, &'static str>) {
        let (mut stream, _) = listener.accept().await.expect("a command");
        let wish = read_wish(&mut stream).await.expect("a wish");
        let Wish::Certificate { length } = wish else { panic!("{wish:?}") };
        let request = read_request(&mut stream, length).await.expect("a request");
        let answer = uid.map(|uid| {
            let subject = Subject::User { uid, name: "jane".to_owned() };
            let identity = Identity { cluster: authority.cluster(), subject };
            let validity = Validity::from_now(SystemTime::now(), USER_LIFETIME);
            let signed = authority.sign(&request, &identity, validity, &[]);
            let address = Address { name: "ctl1".into(), address: "h:1".into() };
            Vouched {
                certificate: signed.expect("signed"),
                authority: authority.anchor().pem(),
                controllers: vec![address],
            }
        });
        let answer = answer.as_ref().map_err(|reason| *reason);
        write_answer(&mut stream, answer).await.expect("answered");
    }

    /// What a command gets from a daemon that answers so.
    fn asked(uid: Result<u32, &'static str>, of: Option<ClusterId>) -> Result<Pass, VouchError> {
        let scratch = tempfile::tempdir().expect("a folder");
        let socket = scratch.path().join("socket");
        let authority = Authority::generate(SystemTime::now()).expect("an authority");
        let cluster = of.unwrap_or(authority.cluster());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let listener = runtime.block_on(async { UnixListener::bind(&socket) }).expect("bound");
        let daemon = runtime.spawn(daemon(listener, authority, uid));
        let got = obtain(&socket, cluster, Duration::from_secs(10));
        runtime.block_on(daemon).expect("the daemon ends");
        got
    }

    #[test]
    fn a_user_obtains_a_pass() {
        let me = geteuid().as_raw();
        let pass = asked(Ok(me), None).expect("a pass");
        assert_eq!(
            pass.credential.identity().subject,
            Subject::User { uid: me, name: "jane".to_owned() }
        );
        assert_eq!(pass.controllers.len(), 1);
    }

    #[test]
    fn what_is_not_for_us_is_refused() {
        let me = geteuid().as_raw();
        let refused = asked(Err("this host may not vouch"), None);
        assert!(
            matches!(refused, Err(VouchError::Refused(why)) if why == "this host may not vouch")
        );
        assert!(matches!(asked(Ok(me + 1), None), Err(VouchError::OtherUser(_))));
        let other = asked(Ok(me), Some(ClusterId([9; 16])));
        assert!(matches!(other, Err(VouchError::OtherCluster { .. })));
    }

    #[test]
    fn where_nobody_listens_is_said() {
        let nowhere = obtain(Path::new("/nonexistent/s"), ClusterId([1; 16]), Duration::ZERO);
        let text = nowhere.expect_err("nobody").to_string();
        assert_eq!(text, "rafterd can't be asked at /nonexistent/s");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_answer_panics(
            text in "(ok|no)?\n?(controller [a-z/]{0,3} ?[a-z:]{0,3}\n)?\\PC{0,40}",
        ) {
            let _ = parse_answer(&text);
        }
    }
}
