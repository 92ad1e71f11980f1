//! The one thread that writes the log.
//!
//! All that must be durable comes through its queue, in order: entries, votes, and what is cut off
//! at either end. It takes whatever waits, writes it as one batch with one sync, and then reports
//! each piece as done. So many proposals share one fsync, and none is reported before it.
//!
//! **Invariants:** each write is synced before the next one begins: of all that a crash may tear,
//! there is only one. After a write has failed, nothing is written and nothing is reported as done
//! any more: the kernel may have dropped what it could not write, and a second fsync would not
//! tell.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use openraft::storage::IOFlushed;
use rocksdb::{DB, WriteBatch};
use tokio::sync::oneshot;

use crate::{
    disk::{COMMITTED, LOG, META, PURGED, VOTE, gone, synced},
    format,
    health::Health,
    tail::Tail,
    types::{Entry, LogId, TypeConfig, Vote},
};

/// Bytes that one write takes at most, about.
const WRITE_BYTES: usize = 16 << 20;

/// What the thread is asked to do.
pub(crate) enum Op {
    Append {
        entries: Vec<Entry>,
        flushed: IOFlushed<TypeConfig>,
    },
    Vote {
        vote: Vote,
        done: oneshot::Sender<io::Result<()>>,
    },
    /// Goes with the next write: it is only a hint.
    Committed(LogId),
    Truncate {
        from: u64,
        done: oneshot::Sender<io::Result<()>>,
    },
    Purge {
        upto: LogId,
        done: oneshot::Sender<io::Result<()>>,
    },
    Stop,
}

/// Since when the thread has been at its current write.
#[derive(Debug)]
pub(crate) struct Pulse {
    origin: Instant,
    /// Milliseconds after the origin, and 1; 0: it is not writing.
    since: AtomicU64,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now(), since: AtomicU64::new(0) }
    }

    fn begin(&self) {
        let now = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.since.store(now + 1, Ordering::Relaxed);
    }

    fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// How long the current write has been going on; zero where there is none.
    pub(crate) fn stalled(&self) -> Duration {
        match self.since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => self.origin.elapsed().saturating_sub(Duration::from_millis(since - 1)),
        }
    }
}

/// Who waits for a write, and is told after it.
enum Waiting {
    Append { flushed: IOFlushed<TypeConfig>, last: Option<u64> },
    Call(oneshot::Sender<io::Result<()>>),
}

pub(crate) struct Writer {
    pub(crate) db: Arc<DB>,
    pub(crate) tail: Arc<Tail>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) health: Health,
    /// What goes with the next write: it is only a hint.
    pub(crate) committed: Option<LogId>,
    /// An entry's record, before it is copied into the batch.
    pub(crate) scratch: Vec<u8>,
    /// Who gives back the files of what was purged.
    pub(crate) dropping: Option<JoinHandle<()>>,
}

/// What one write does.
#[derive(Default)]
struct Write {
    batch: WriteBatch,
    bytes: usize,
    waiting: Vec<Waiting>,
    purged: Option<LogId>,
}

impl Writer {
    pub(crate) fn run(mut self, ops: &mpsc::Receiver<Op>) {
        let mut failed = false;
        let mut stop = false;
        while !stop && let Ok(op) = ops.recv() {
            let mut write = Write::default();
            stop = self.take(op, &mut write);
            while !stop
                && write.bytes < WRITE_BYTES
                && let Ok(op) = ops.try_recv()
            {
                stop = self.take(op, &mut write);
            }
            if write.waiting.is_empty() && (!stop || self.committed.is_none()) {
                // There is only a hint, which waits for company, or nothing.
                continue;
            }
            let result = if failed { Err(gone().to_string()) } else { self.write(write.batch) };
            if let Err(error) = &result
                && !failed
            {
                failed = true;
                self.health.fail(format!("the log can't be written: {error}"));
            }
            for waiting in write.waiting {
                self.report(waiting, &result);
            }
            if let (Some(upto), false) = (write.purged, failed) {
                self.drop_files(upto.index);
            }
        }
        self.until_dropped();
    }

    /// Puts what `op` asks for into the write. Whether it was the last one.
    fn take(&mut self, op: Op, write: &mut Write) -> bool {
        let log = self.db.cf_handle(LOG).expect("it was opened with it");
        let meta = self.db.cf_handle(META).expect("it was opened with it");
        match op {
            Op::Append { entries, flushed } => {
                for entry in &entries {
                    self.scratch.clear();
                    format::encode_entry(entry, &mut self.scratch);
                    write.bytes += self.scratch.len();
                    write.batch.put_cf(log, entry.log_id.index.to_be_bytes(), &self.scratch);
                }
                let last = entries.last().map(|entry| entry.log_id.index);
                write.waiting.push(Waiting::Append { flushed, last });
            }
            Op::Vote { vote, done } => {
                write.batch.put_cf(meta, VOTE, format::encode_vote(&vote));
                write.waiting.push(Waiting::Call(done));
            }
            Op::Committed(committed) => self.committed = Some(committed),
            Op::Truncate { from, done } => {
                write.batch.delete_range_cf(log, &from.to_be_bytes()[..], &[0xFF; 9][..]);
                write.waiting.push(Waiting::Call(done));
            }
            Op::Purge { upto, done } => {
                let end = (upto.index + 1).to_be_bytes();
                write.batch.delete_range_cf(log, 0_u64.to_be_bytes(), end);
                write.batch.put_cf(meta, PURGED, format::encode_log_id(&upto));
                write.waiting.push(Waiting::Call(done));
                write.purged = Some(upto);
            }
            Op::Stop => return true,
        }
        false
    }

    fn write(&mut self, mut batch: WriteBatch) -> Result<(), String> {
        if let Some(committed) = self.committed.take() {
            let meta = self.db.cf_handle(META).expect("it was opened with it");
            batch.put_cf(meta, COMMITTED, format::encode_log_id(&committed));
        }
        self.pulse.begin();
        let written = self.db.write_opt(batch, &synced());
        self.pulse.end();
        written.map_err(|error| error.to_string())
    }

    fn report(&self, waiting: Waiting, result: &Result<(), String>) {
        let result = result.clone().map_err(io::Error::other);
        match waiting {
            Waiting::Append { flushed, last } => {
                if let (Ok(()), Some(last)) = (&result, last) {
                    self.tail.set_durable(last);
                }
                flushed.io_completed(result);
            }
            // Who no longer waits need not be told.
            Waiting::Call(done) => drop(done.send(result)),
        }
    }

    /// Gives files that only hold purged entries back soon, beside the writes: a large file takes
    /// the file system tens of milliseconds. The rest is left to compaction.
    fn drop_files(&mut self, upto: u64) {
        self.until_dropped();
        let db = Arc::clone(&self.db);
        let spawned = thread::Builder::new()
            .name("rafter-purge".to_owned())
            .spawn(move || drop_files(&db, upto));
        match spawned {
            Ok(dropping) => self.dropping = Some(dropping),
            Err(error) => tracing::warn!(%error, "files of purged entries stay for now"),
        }
    }

    fn until_dropped(&mut self) {
        if let Some(dropping) = self.dropping.take() {
            dropping.join().expect("it does not panic");
        }
    }
}

/// Here the end of the range is part of it, unlike where a range is deleted.
fn drop_files(db: &DB, upto: u64) {
    let log = db.cf_handle(LOG).expect("it was opened with it");
    let (from, to) = (0_u64.to_be_bytes(), upto.to_be_bytes());
    if let Err(error) = db.delete_file_in_range_cf(log, from, to) {
        tracing::warn!(%error, "files of purged entries were not removed");
    }
}
