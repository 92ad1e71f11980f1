//! The lines on a supervisor's control socket: JSON, one value a line, each way.
//!
//! The supervisor accepts any number of connections and pushes what happens to each of them. A
//! [`Request::Watch`] is answered with what has happened so far. The supervisor closes the
//! connections when it exits, [`Notice::Ended`] having been sent.
//!
//! The functions on lines are for both sides; [`Client`] blocks, and an async daemon does the same
//! over `UnixStream::from_std` of [`connect`].

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::{fs::OpenOptionsExt as _, net::UnixStream},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::spool::{Ended, Folder, Started};

/// A longer line is a mistake of its sender.
pub const MAX_LINE: usize = 64 * 1024;

/// What the daemon asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Numbers rise by one with each signal; one that was delivered is not delivered again, only
    /// confirmed again.
    Signal { number: u32, signal: u8, scope: Scope },
    /// The first one counts, and repeats do no harm; but a later one may kill sooner.
    Terminate {
        cause: Cause,
        /// How long after SIGTERM comes SIGKILL, in seconds.
        kill_wait_s: u32,
        /// When it was decided, in milliseconds since the epoch.
        at_ms: u64,
    },
    /// Tell what has happened so far.
    Watch {},
}

/// Which processes a signal goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The job's steps. The batch script and its children are none.
    Steps,
    /// The batch script's own process.
    Batch,
    /// The batch script and all its descendants.
    Full,
}

/// Why a run is terminated: the job's own output says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Cancelled,
    TimeLimit,
    NodeFailure,
    Requeue,
    /// The cluster does not want this run any more, or never did.
    Stale,
    /// It makes way for another job.
    Preempted,
}

/// What the supervisor tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    Started(Started),
    /// The signal of this number is delivered, and all before it.
    Delivered {
        number: u32,
    },
    /// `ended.json` is on the disk.
    Ended(Ended),
}

/// A line that is no request, or no notice.
#[derive(Debug, thiserror::Error)]
#[error("not a line of the control protocol")]
pub struct BadLine(#[source] serde_json::Error);

impl Request {
    /// The line, with its end.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// # Errors
    /// Where the line is not a request that this release knows.
    pub fn decode(line: &[u8]) -> Result<Self, BadLine> {
        serde_json::from_slice(line).map_err(BadLine)
    }
}

impl Notice {
    /// The line, with its end.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// # Errors
    /// Where the line is not a notice that this release knows.
    pub fn decode(line: &[u8]) -> Result<Self, BadLine> {
        serde_json::from_slice(line).map_err(BadLine)
    }
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("lines have only text keys");
    line.push(b'\n');
    line
}

/// Cuts what arrives into lines.
#[derive(Debug, Default)]
pub struct Lines {
    pending: Vec<u8>,
}

/// More than [`MAX_LINE`] bytes came without an end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line of more than {MAX_LINE} bytes")]
pub struct TooLong;

impl Lines {
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole line, without its end; none where it is still to come.
    ///
    /// # Errors
    /// Where it will never be one. What follows is of no use either.
    pub fn next_line(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let end = self.pending.iter().take(MAX_LINE + 1).position(|byte| *byte == b'\n');
        let Some(end) = end else {
            return if self.pending.len() > MAX_LINE { Err(TooLong) } else { Ok(None) };
        };
        let mut line: Vec<u8> = self.pending.drain(..=end).collect();
        line.pop();
        Ok(Some(line))
    }
}

/// Connects to the supervisor of `folder`.
///
/// # Errors
/// Where none lives, or the caller is neither root nor the one that the supervisor runs as.
pub fn connect(folder: &Folder) -> io::Result<UnixStream> {
    // A socket's address holds some 100 bytes, which a spool deep in the tree exceeds.
    let mut options = File::options();
    let opened = options.read(true).custom_flags(nix::libc::O_PATH | nix::libc::O_DIRECTORY);
    let folder = opened.open(folder.path())?;
    UnixStream::connect(format!("/proc/self/fd/{}/control", folder.as_raw_fd()))
}

/// A connection that blocks.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    lines: Lines,
}

impl Client {
    /// Each wait on the connection takes at most `patience`.
    ///
    /// # Errors
    /// As [`connect`].
    pub fn connect(folder: &Folder, patience: Duration) -> io::Result<Self> {
        let stream = connect(folder)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { stream, lines: Lines::default() })
    }

    /// # Errors
    /// Where the supervisor is gone or does not take it in time.
    pub fn send(&mut self, request: &Request) -> io::Result<()> {
        self.stream.write_all(&request.encode())
    }

    /// The next notice; none where the supervisor has closed the connection.
    ///
    /// # Errors
    /// Where none comes in time, or it can't be understood.
    pub fn notice(&mut self) -> io::Result<Option<Notice>> {
        let invalid = |error: Box<dyn std::error::Error + Send + Sync>| {
            io::Error::new(io::ErrorKind::InvalidData, error)
        };
        loop {
            if let Some(line) = self.lines.next_line().map_err(|error| invalid(error.into()))? {
                return Notice::decode(&line).map(Some).map_err(|error| invalid(error.into()));
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer)? {
                0 => return Ok(None),
                length => self.lines.push(&buffer[..length]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_what_the_documents_say() {
        let signal = Request::Signal { number: 3, signal: 10, scope: Scope::Batch };
        let line = br#"{"signal":{"number":3,"signal":10,"scope":"batch"}}"#;
        assert_eq!(signal.encode(), [&line[..], b"\n"].concat());
        assert_eq!(Request::decode(line).unwrap(), signal);

        let line = br#"{"terminate":{"cause":"time_limit","kill_wait_s":30,"at_ms":5}}"#;
        let terminate = Request::Terminate { cause: Cause::TimeLimit, kill_wait_s: 30, at_ms: 5 };
        assert_eq!(terminate.encode(), [&line[..], b"\n"].concat());
        assert_eq!(Request::decode(br#"{"watch":{}}"#).unwrap(), Request::Watch {});
        // A later release may say more.
        assert_eq!(Request::decode(br#"{"watch":{"since":7}}"#).unwrap(), Request::Watch {});

        let notice = Notice::Delivered { number: 3 };
        assert_eq!(notice.encode(), b"{\"delivered\":{\"number\":3}}\n");
        let line = br#"{"ended":{"at_ms":1,"exit_code":2,"signal":0,"out_of_memory":false,
            "launch_failure":null}}"#;
        let Notice::Ended(ended) = Notice::decode(line).unwrap() else { panic!("another notice") };
        assert_eq!(
            Notice::decode(&Notice::Ended(ended.clone()).encode()).unwrap(),
            Notice::Ended(ended)
        );
    }

    proptest! {
        #[test]
        fn any_line_is_understood_or_not(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::decode(&line);
            let _ = Notice::decode(&line);
        }

        /// However the bytes are cut on their way.
        #[test]
        fn lines_come_out_as_they_went_in(
            lines in proptest::collection::vec("[^\n]{0,20}", 0..10),
            rest in "[^\n]{0,20}",
            cut in 1_usize..7,
        ) {
            let sent: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let sent = sent + &rest;
            let (mut cutter, mut received) = (Lines::default(), Vec::new());
            for bytes in sent.as_bytes().chunks(cut) {
                cutter.push(bytes);
                while let Some(line) = cutter.next_line().unwrap() {
                    received.push(String::from_utf8(line).unwrap());
                }
            }
            prop_assert_eq!(received, lines);
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; MAX_LINE]);
        assert_eq!(lines.next_line(), Ok(None));
        lines.push(b"x");
        assert_eq!(lines.next_line(), Err(TooLong));
    }
}
