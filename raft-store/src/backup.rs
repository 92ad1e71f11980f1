//! A backup: a copy of the state, of the contents that jobs use, and of the history, in one file.
//!
//! ```text
//!   head │ record of the state │ … │ blob │ … │ history │ ended job │ … │ foot
//! ```
//!
//! Framed as everything on the disk is; the foot has the SHA-256 of all that comes before it. It is
//! taken from a frozen state while the log goes on, and holds no key: neither the authority's nor
//! anybody's.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use bytes::Bytes;
use common::{
    id::{ClusterId, ContentHash},
    machine::State,
    time::Timestamp,
};
use prost::Message as _;
use proto::{
    convert::{StateReader, decode_batch, state_records},
    log as wire, types,
};
use sha2::{Digest as _, Sha256};

use crate::{
    Applied, History, StoreError,
    error::chain,
    format::{self, BackupHead, Kind},
    history::Feed,
    snapshot::next,
};

/// Bytes that are handed on at a time, about.
const CHUNK: usize = 1 << 20;

/// What a backup, or another copy of a log, holds.
#[derive(Clone, Debug)]
pub struct Copied {
    pub cluster: ClusterId,
    /// The last entry that is in it, and whose term that is.
    pub index: u64,
    pub term: u64,
    pub state: State,
    /// Contents that a job of the state names and that are not there: it is over, and its
    /// contents were let go while the copy was made.
    pub lost: BTreeSet<ContentHash>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupFacts {
    pub cluster: ClusterId,
    pub index: u64,
    pub at: Timestamp,
    pub digest: u64,
    pub bytes: u64,
    pub sha256: [u8; 32],
}

/// Why a file is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{path} can't be read")]
    Read { path: String, source: io::Error },
    #[error("{path} is damaged, or no backup of Rafter's: {what}")]
    Damaged { path: String, what: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a backup goes, bit by bit.
struct Out<'a> {
    put: &'a mut dyn FnMut(Bytes) -> io::Result<()>,
    buffer: Vec<u8>,
    sum: Sha256,
    bytes: u64,
    records: u64,
}

impl Out<'_> {
    fn record(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        write(&mut self.buffer);
        self.records += 1;
        if self.buffer.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = Bytes::from(std::mem::take(&mut self.buffer));
        self.sum.update(&chunk);
        self.bytes += chunk.len() as u64;
        (self.put)(chunk)
    }
}

/// Writes a backup of what was applied. It may take a while: not for a thread that others wait for.
///
/// # Errors
/// Where the disk fails, or `put` does.
pub(crate) fn write(
    cluster: ClusterId,
    applied: &Applied,
    history: &History,
    put: &mut dyn FnMut(Bytes) -> io::Result<()>,
) -> io::Result<BackupFacts> {
    let Applied { state, index } = applied;
    let mut out =
        Out { put, buffer: Vec::with_capacity(CHUNK), sum: Sha256::new(), bytes: 0, records: 0 };
    let head = BackupHead { cluster: cluster.0, index: *index, term: state.term.0 };
    out.record(|buffer| buffer.extend(format::encode_backup_head(head)))?;
    for record in state_records(state) {
        out.record(|buffer| format::encode_message(Kind::SnapshotRecord, &record, buffer))?;
    }
    for hash in state.blobs.keys() {
        if let Some(content) = history.blob(*hash).map_err(io::Error::other)? {
            out.record(|buffer| buffer.extend(format::encode_raw(Kind::Blob, &content)))?;
        }
    }
    for batch in history.batches(0) {
        let (at, batch) = batch.map_err(io::Error::other)?;
        if at > *index {
            break;
        }
        let record = [&at.to_be_bytes()[..], &batch].concat();
        out.record(|buffer| buffer.extend(format::encode_raw(Kind::BackupHistory, &record)))?;
    }
    for job in history.ended_jobs() {
        let job = job.map_err(io::Error::other)?;
        out.record(|buffer| format::encode_message(Kind::EndedJob, &job, buffer))?;
    }
    out.flush()?;
    let sha256: [u8; 32] = out.sum.clone().finalize().into();
    let foot = format::encode_backup_foot(out.records, sha256);
    out.bytes += foot.len() as u64;
    (out.put)(foot.into())?;
    let (at, digest) = (state.at, state.digest);
    Ok(BackupFacts { cluster, index: *index, at, digest, bytes: out.bytes, sha256 })
}

/// Reads a backup, checks all of it, and puts what goes beside the state into `history`.
pub(crate) fn read(path: &Path, history: &History) -> Result<Copied, BackupError> {
    let name = || path.display().to_string();
    let file = File::open(path).map_err(|source| BackupError::Read { path: name(), source })?;
    take(file, history).map_err(|what| BackupError::Damaged { path: name(), what })
}

fn take(file: File, history: &History) -> Result<Copied, String> {
    let text = |error: &dyn std::error::Error| chain(error);
    let mut source = Summed { reader: BufReader::with_capacity(CHUNK, file), sum: Sha256::new() };
    let mut buffer = Vec::new();
    source.next(&mut buffer)?;
    source.sum.update(&buffer);
    let head = format::decode_backup_head(&buffer).map_err(|error| text(&error))?;
    let (mut reader, mut feed) = (Some(StateReader::default()), Feed::default());
    let (mut records, mut pending) = (1_u64, 0);
    loop {
        source.next(&mut buffer)?;
        if format::is(Kind::BackupFoot, &buffer) {
            let foot = format::decode_backup_foot(&buffer).map_err(|error| text(&error))?;
            if foot != (records, source.sum.finalize().into()) {
                return Err("its checksum is wrong".to_owned());
            }
            break;
        }
        source.sum.update(&buffer);
        records += 1;
        pending += buffer.len();
        if format::is(Kind::SnapshotRecord, &buffer) {
            let content = format::decode_raw(Kind::SnapshotRecord, &buffer);
            let content = content.map_err(|error| text(&error))?;
            let record = wire::StateRecord::decode(content).map_err(|error| text(&error))?;
            let reader = reader.as_mut().expect("it is finished at the end");
            reader.take(record).map_err(|error| text(&error))?;
        } else {
            beside(history, &mut feed, &buffer)?;
        }
        if pending >= 16 * CHUNK {
            history.write(std::mem::take(&mut feed)).map_err(|error| text(&error))?;
            pending = 0;
        }
    }
    if source.reader.read(&mut [0]).map_err(|error| text(&error))? != 0 {
        return Err("it goes on behind its end".to_owned());
    }
    history.write(feed).map_err(|error| text(&error))?;
    let state = reader.take().expect("it is finished here").finish();
    let state = state.map_err(|error| text(&error))?;
    let lost = history.lacking(&state).map_err(|error| text(&error))?;
    let BackupHead { cluster, index, term } = head;
    Ok(Copied { cluster: ClusterId(cluster), index, term, state, lost })
}

/// What goes beside the state: contents, and the history.
fn beside(history: &History, feed: &mut Feed, record: &[u8]) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| chain(error);
    if format::is(Kind::Blob, record) {
        let content = format::decode_raw(Kind::Blob, record).map_err(|error| text(&error))?;
        history.feed_blob(feed, ContentHash::of(content), content);
    } else if format::is(Kind::EndedJob, record) {
        let content = format::decode_raw(Kind::EndedJob, record).map_err(|error| text(&error))?;
        let job = types::Job::decode(content).map_err(|error| text(&error))?;
        history.feed_ended(feed, &job);
    } else {
        let content = format::decode_raw(Kind::BackupHistory, record);
        let content = content.map_err(|error| text(&error))?;
        let (index, batch) =
            content.split_first_chunk().ok_or_else(|| "a record is cut off".to_owned())?;
        let batch = Bytes::copy_from_slice(batch);
        let entries = decode_batch(batch.clone()).map_err(|error| text(&error))?;
        history.feed_batch(feed, u64::from_be_bytes(*index), &batch, &[], &entries);
    }
    Ok(())
}

/// Reads records, and sums up those that count: all before the foot.
struct Summed {
    reader: BufReader<File>,
    sum: Sha256,
}

impl Summed {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<(), String> {
        next(&mut self.reader, buffer).map_err(|error| error.text())
    }
}
