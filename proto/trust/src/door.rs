//! The door: how a user's commands make a call without a connection of their own.
//!
//! A connection costs a command and the leader far more than a call does: keys, certificates, a
//! handshake, HTTP/2. `rafterd` has one already. So a command asks it, over the socket on which it
//! would obtain a certificate ([`crate::vouch`]), to make one call for it. `rafterd` takes the
//! caller's uid from the kernel (SO_PEERCRED, unix(7)), names it in the call's metadata
//! ([`USER_KEY`]), and the controllers let it speak for whom it might vouch for, and for nobody
//! else. So the door gives no host more power than it has: it could obtain that user's certificate.
//!
//! One question and one answer per connection. A question is [`MARK`], four bytes of length, big
//! endian, and as many bytes of a [`Question`]; an answer is the same without the mark. The mark
//! is longer than any length of [`crate::vouch`]: a daemon without a door hangs up at once.
//!
//! Whoever is not served, for whatever reason, makes the call himself, with the same request id:
//! the call may have been made already.

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use nix::{
    sys::{
        socket::{
            AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, setsockopt, socket,
            sockopt::{PeerCredentials, SendTimeout},
        },
        time::{TimeVal, TimeValLike as _},
    },
    unistd::geteuid,
};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tonic::{Code, Status, metadata::MetadataMap};

/// What a question begins with.
pub const MARK: [u8; 4] = *b"call";

/// The longest question and the longest answer, in bytes. Who submits more, connects.
pub const MAX_QUESTION: u32 = 4 << 20;
const MAX_ANSWER: u32 = 1 << 20;

/// The metadata in which a host names the user for whom it makes a call, such as
/// `user/1001/alice`. Only a node's connection may have it.
pub const USER_KEY: &str = "rafter-user";

/// A call that is to be made.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Question {
    /// The cluster's id, 16 bytes: the host may belong to another.
    #[prost(bytes = "bytes", tag = "1")]
    pub cluster: Bytes,
    /// Such as `/rafter.ctl.v1.Controller/Submit`.
    #[prost(string, tag = "2")]
    pub method: String,
    /// How long the command waits, in milliseconds.
    #[prost(uint32, tag = "3")]
    pub within_ms: u32,
    /// The trace that the call belongs to (W3C Trace Context).
    #[prost(string, optional, tag = "4")]
    pub traceparent: Option<String>,
    /// The method's message, encoded.
    #[prost(bytes = "bytes", tag = "5")]
    pub message: Bytes,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Answer {
    #[prost(oneof = "Said", tags = "1, 2, 3")]
    said: Option<Said>,
}

/// What came of a call.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum Said {
    /// The method's reply, encoded.
    #[prost(bytes = "bytes", tag = "1")]
    Reply(Bytes),
    /// The controllers refuse it.
    #[prost(message, tag = "2")]
    Refusal(Refusal),
    /// The call must be made directly; this is why, for whoever looks into it.
    #[prost(string, tag = "3")]
    NotServed(String),
}

/// A gRPC status, with its metadata as far as it is text.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Refusal {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(btree_map = "string, string", tag = "3")]
    pub metadata: BTreeMap<String, String>,
}

impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        use tonic::metadata::KeyAndValueRef;
        let text = |entry| match entry {
            KeyAndValueRef::Ascii(key, value) => {
                Some((key.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            }
            KeyAndValueRef::Binary(..) => None,
        };
        Self {
            code: status.code().into(),
            message: status.message().to_owned(),
            metadata: status.metadata().iter().filter_map(text).collect(),
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let mut metadata = MetadataMap::new();
        for (key, value) in refusal.metadata {
            let key = tonic::metadata::AsciiMetadataKey::from_bytes(key.as_bytes());
            if let (Ok(key), Ok(value)) = (key, value.parse()) {
                metadata.insert(key, value);
            }
        }
        Self::with_metadata(Code::from_i32(refusal.code), refusal.message, metadata)
    }
}

/// Has the daemon at `path` make a call. Blocks for at most about `limit`, and tells nothing to a
/// daemon that is neither root's nor the caller's own.
///
/// # Errors
/// Where nobody listens there whom the caller can trust, or no answer comes in time. The call may
/// have been made.
pub fn ask(path: &Path, question: &Question, limit: Duration) -> io::Result<Said> {
    let mut stream = connected(path, limit)?;
    let (owner, me) = owner(&stream)?;
    if !is_trusted(owner, me) {
        let text = format!("{} belongs to user {owner}", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    let length = checked(question.encoded_len(), MAX_QUESTION)?;
    let mut bytes = Vec::with_capacity(question.encoded_len() + 8);
    bytes.extend_from_slice(&MARK);
    bytes.extend_from_slice(&length.to_be_bytes());
    question.encode(&mut bytes).expect("a Vec takes all");
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(&bytes)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MAX_ANSWER {
        return Err(not_ours());
    }
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes)?;
    let answer = Answer::decode(Bytes::from(bytes)).map_err(|_| not_ours())?;
    answer.said.ok_or_else(not_ours)
}

/// Connects to the socket at `path`. A daemon that is stopped accepts nobody, and once its queue is
/// full, `connect` would wait for ever: here for `limit`, as every write to it.
///
/// # Errors
/// Where nobody listens, or accepts in time.
pub fn connected(path: &Path, limit: Duration) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    // None at all would mean: for ever.
    let millis = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX).max(1);
    setsockopt(&socket, SendTimeout, &TimeVal::milliseconds(millis))?;
    connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(socket))
}

/// Who listens at the other end of `stream`, and who we are.
///
/// # Errors
/// Where the kernel does not say.
pub fn owner(stream: &UnixStream) -> io::Result<(u32, u32)> {
    let peer = getsockopt(stream, PeerCredentials)?;
    Ok((peer.uid(), geteuid().as_raw()))
}

/// Whether user `me` may tell a daemon of user `owner` what is in his scripts and environment, and
/// believe what it says.
#[must_use]
pub fn is_trusted(owner: u32, me: u32) -> bool {
    owner == 0 || owner == me
}

/// Reads a question, behind its mark, and returns how long it is.
///
/// # Errors
/// Where the connection breaks, or what comes is no question.
pub async fn read_length(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<u32> {
    let length = stream.read_u32().await?;
    if length > MAX_QUESTION { Err(not_ours()) } else { Ok(length) }
}

/// Reads the rest of a question that is `length` bytes long.
///
/// # Errors
/// Where the connection breaks, or what comes is no question.
pub async fn read_question(
    stream: &mut (impl AsyncRead + Unpin),
    length: u32,
) -> io::Result<Question> {
    let mut bytes = Vec::new();
    stream.take(length.into()).read_to_end(&mut bytes).await?;
    if bytes.len() < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Question::decode(Bytes::from(bytes)).map_err(|_| not_ours())
}

/// Answers it.
///
/// # Errors
/// Where the connection breaks, or the answer is too long.
pub async fn write_answer(stream: &mut (impl AsyncWrite + Unpin), said: Said) -> io::Result<()> {
    let answer = Answer { said: Some(said) };
    let length = checked(answer.encoded_len(), MAX_ANSWER)?;
    let mut bytes = Vec::with_capacity(answer.encoded_len() + 4);
    bytes.extend_from_slice(&length.to_be_bytes());
    answer.encode(&mut bytes).expect("a Vec takes all");
    stream.write_all(&bytes).await?;
    stream.flush().await
}

fn checked(length: usize, most: u32) -> io::Result<u32> {
    u32::try_from(length).ok().filter(|length| *length <= most).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "too long for the daemon's socket")
    })
}

fn not_ours() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is not rafter's protocol")
}

#[cfg(test)]
mod tests;
