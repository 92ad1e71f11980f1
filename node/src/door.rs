//! The door of this host: calls that its users' commands have made over the daemon's own
//! connection. What it is, and why it gives the host no power, is said in [`trust::door`].
//!
//! Who asks, the kernel says, and never the message. Whether this host may speak for that user, the
//! controllers decide, at each call. Whoever is not served makes the call himself, so whatever is
//! doubtful, too much or too late here is not waited for: it is not served.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::{Buf as _, BufMut as _, Bytes};
use common::id::ClusterId;
use telemetry::context::{TRACEPARENT, is_traceparent};
use tokio::{
    net::UnixStream,
    sync::Semaphore,
    time::{Instant, timeout},
};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    metadata::AsciiMetadataValue,
    transport::Channel,
};
use trust::{
    controllers::{Call, CallError, Controllers, Target},
    door::{Question, Said, USER_KEY, read_length, read_question},
    identity::Subject,
    permit::through_the_door,
};

use crate::account;

/// How long a command may take to ask its question.
pub(crate) const QUESTION: Duration = Duration::from_secs(5);

/// How many calls are on their way at a time. HTTP/2 carries some two hundred at most on one
/// connection, and the daemon has calls of its own.
const CALLS: usize = 128;

/// How much all questions together may hold, in KiB.
const MEMORY_KIB: usize = 64 * 1024;

/// The longest that a call is tried for.
const LONGEST: Duration = Duration::from_secs(10);

/// For how long a user's name is remembered; and for how long it is remembered that the
/// controllers did not let this host speak for him. Meanwhile his commands hear at once that they
/// must connect themselves.
const NAME: Duration = Duration::from_secs(60);
const BARRED: Duration = Duration::from_secs(10);

/// How a service answers that has looked at the request. Whatever else comes, the user had better
/// hear himself.
const ANSWERS: [Code; 3] = [Code::FailedPrecondition, Code::InvalidArgument, Code::NotFound];

/// What calls need.
pub(crate) struct Door {
    cluster: ClusterId,
    controllers: Arc<Controllers>,
    free: Semaphore,
    memory: Semaphore,
    users: Mutex<HashMap<u32, User>>,
}

/// What is remembered of a user.
struct User {
    /// As the controllers are told.
    named: AsciiMetadataValue,
    until: Instant,
    /// Why, and until when, this host does not speak for the user.
    barred: Option<(Instant, String)>,
}

impl Door {
    pub(crate) fn new(cluster: ClusterId, controllers: Arc<Controllers>) -> Self {
        let (free, memory) = (Semaphore::new(CALLS), Semaphore::new(MEMORY_KIB));
        Self { cluster, controllers, free, memory, users: Mutex::default() }
    }

    /// Reads a question of user `uid`, behind its mark, and finds what to answer.
    ///
    /// # Errors
    /// Where no question comes.
    pub(crate) async fn answer(&self, uid: u32, stream: &mut UnixStream) -> io::Result<Said> {
        let not_served = |why: &str| Ok(Said::NotServed(why.to_owned()));
        let length = timeout(QUESTION, read_length(stream)).await??;
        let Ok(_memory) = self.memory.try_acquire_many(length.div_ceil(1024)) else {
            return not_served("rafterd has too many questions to answer");
        };
        let question = timeout(QUESTION, read_question(stream, length)).await??;
        let Ok(_free) = self.free.try_acquire() else {
            return not_served("rafterd has too many calls to make");
        };
        if question.cluster.as_ref() != self.cluster.0 {
            return not_served("this host's rafterd belongs to another cluster");
        }
        let Some(path) = through_the_door(&question.method) else {
            return not_served("this is not called for others");
        };
        match self.named(uid).await {
            Ok(named) => Ok(self.forward(uid, named, path, question).await),
            Err(why) => Ok(Said::NotServed(why)),
        }
    }

    fn users(&self) -> MutexGuard<'_, HashMap<u32, User>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the controllers are told of who asks; or why they are not asked.
    async fn named(&self, uid: u32) -> Result<AsciiMetadataValue, String> {
        let now = Instant::now();
        if let Some(user) = self.users().get(&uid).filter(|user| user.until > now) {
            return match &user.barred {
                Some((until, why)) if *until > now => Err(why.clone()),
                Some(_) | None => Ok(user.named.clone()),
            };
        }
        let looked_up = tokio::task::spawn_blocking(move || account::name_of(uid)).await;
        let name = looked_up.expect("a look-up does not panic");
        let name = name.map_err(|error| crate::reason(&error))?;
        let named = Subject::User { uid, name }.to_string();
        let named: AsciiMetadataValue = named.parse().map_err(|_| "the user's name".to_owned())?;
        let mut users = self.users();
        users.retain(|_, user| user.until > now);
        users.insert(uid, User { named: named.clone(), until: now + NAME, barred: None });
        Ok(named)
    }

    fn bar(&self, uid: u32, why: &str) {
        if let Some(user) = self.users().get_mut(&uid) {
            user.barred = Some((Instant::now() + BARRED, why.to_owned()));
        }
    }

    /// Makes the call, with whichever controller leads.
    async fn forward(
        &self,
        uid: u32,
        named: AsciiMetadataValue,
        path: &'static str,
        question: Question,
    ) -> Said {
        let Question { within_ms, traceparent, message, .. } = question;
        let traceparent = traceparent.filter(|text| is_traceparent(text));
        let traceparent = traceparent.and_then(|text| text.parse::<AsciiMetadataValue>().ok());
        let within = Duration::from_millis(within_ms.into()).min(LONGEST);
        let answer = self.controllers.call(Call::within(Target::Leader, within), |channel| {
            let mut request = Request::new(message.clone());
            request.metadata_mut().insert(USER_KEY, named.clone());
            if let Some(traceparent) = &traceparent {
                request.metadata_mut().insert(TRACEPARENT, traceparent.clone());
            }
            call(channel, path, request)
        });
        match answer.await {
            Ok(reply) => Said::Reply(reply),
            Err(CallError::Refused(status)) if ANSWERS.contains(&status.code()) => {
                Said::Refusal((&status).into())
            }
            Err(CallError::Refused(status)) => {
                if status.code() == Code::PermissionDenied {
                    self.bar(uid, status.message());
                }
                Said::NotServed(status.message().to_owned())
            }
            Err(
                error @ (CallError::Unanswered { .. }
                | CallError::Untrusted { .. }
                | CallError::Expired
                | CallError::NoControllers
                | CallError::Address(_)
                | CallError::Tls(_)),
            ) => Said::NotServed(crate::reason(&error)),
        }
    }
}

async fn call(
    channel: Channel,
    path: &'static str,
    request: Request<Bytes>,
) -> Result<Bytes, Status> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::from_static(path);
    grpc.unary(request, path, Encoded).await.map(tonic::Response::into_inner)
}

/// Messages as they came: only the two ends know what they are.
#[derive(Clone, Copy, Default)]
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
