//! The log on this controller's disk: RocksDB, which one thread writes to.
//!
//! **Invariant:** what is read back is what was written, or the store is refused. The one thing
//! that is passed over is a torn end: a write that was never reported as done.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use openraft::storage::IOFlushed;
use rocksdb::{
    ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, IteratorMode, LogLevel,
    WriteBatch, WriteOptions,
};
use tokio::sync::oneshot;

use crate::{
    Identity, StoreError, format,
    health::Health,
    records,
    tail::Tail,
    types::{Entry, LogId, TypeConfig, Vote, term_of, vote},
    wal,
    writer::{Op, Pulse, Writer},
};

#[cfg(test)]
mod tests;

pub(crate) const LOG: &str = "log";
pub(crate) const META: &str = "meta";
const IDENTITY: &str = "identity";
pub(crate) const VOTE: &str = "vote";
pub(crate) const COMMITTED: &str = "committed";
pub(crate) const PURGED: &str = "purged";

/// How long to wait for a store that another process has open: one that was killed may take a
/// moment to be gone.
const LOCK_LIMIT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The log's store, open.
pub(crate) struct Disk {
    db: Arc<DB>,
    folder: PathBuf,
    queue: mpsc::Sender<Op>,
    pub(crate) tail: Arc<Tail>,
    pulse: Arc<Pulse>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the store held when it was opened.
pub(crate) struct Held {
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    pub(crate) purged: Option<LogId>,
}

impl Disk {
    /// Makes an empty store that belongs to `identity`.
    pub(crate) fn create(folder: &Path, identity: &Identity) -> Result<(), StoreError> {
        Self::make(folder, identity, None)
    }

    /// Makes a store whose log begins behind `last`, which a snapshot covers.
    pub(crate) fn create_behind(
        folder: &Path,
        identity: &Identity,
        last: LogId,
    ) -> Result<(), StoreError> {
        Self::make(folder, identity, Some(last))
    }

    fn make(folder: &Path, identity: &Identity, last: Option<LogId>) -> Result<(), StoreError> {
        std::fs::create_dir_all(folder).map_err(|source| StoreError::disk(folder, source))?;
        if read_identity(folder)?.is_some() {
            return Err(StoreError::Exists { folder: folder.to_owned() });
        }
        let db = open_db(folder, true)?;
        let meta = db.cf_handle(META).expect("it was opened with it");
        let mut batch = WriteBatch::default();
        batch.put_cf(meta, IDENTITY, format::encode_identity(identity));
        if let Some(last) = last {
            let voted = vote(term_of(&last), identity.raft_id, false);
            batch.put_cf(meta, VOTE, format::encode_vote(&voted));
            batch.put_cf(meta, COMMITTED, format::encode_log_id(&last));
            batch.put_cf(meta, PURGED, format::encode_log_id(&last));
        }
        let written = db.write_opt(batch, &synced());
        written.map_err(|error| StoreError::rocks(folder, &error))
    }

    /// Opens the store, reads the whole log, and starts the thread.
    pub(crate) fn open(
        folder: &Path,
        identity: &Identity,
        health: Health,
    ) -> Result<(Self, Held), StoreError> {
        if !folder.join("CURRENT").exists() {
            return Err(StoreError::Missing { folder: folder.to_owned() });
        }
        wal::check(folder)?;
        let db = Arc::new(open_db(folder, false)?);
        let held = load_meta(&db, folder, identity)?;
        let tail = Arc::new(load_log(&db, folder, &held)?);
        let (queue, ops) = mpsc::channel();
        let pulse = Arc::new(Pulse::new());
        let writer = Writer {
            db: Arc::clone(&db),
            tail: Arc::clone(&tail),
            pulse: Arc::clone(&pulse),
            health,
            committed: None,
            scratch: Vec::new(),
            dropping: None,
        };
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run(&ops))
            .map_err(|source| StoreError::disk(folder, source))?;
        let thread = Mutex::new(Some(thread));
        Ok((Self { db, folder: folder.to_owned(), queue, tail, pulse, thread }, held))
    }

    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Queues entries, whose durability is told to `flushed`.
    pub(crate) fn append(&self, entries: Vec<Entry>, flushed: IOFlushed<TypeConfig>) {
        if let Err(mpsc::SendError(Op::Append { flushed, .. })) =
            self.queue.send(Op::Append { entries, flushed })
        {
            flushed.io_completed(Err(gone()));
        }
    }

    pub(crate) async fn save_vote(&self, vote: Vote) -> io::Result<()> {
        self.call(|done| Op::Vote { vote, done }).await
    }

    pub(crate) fn save_committed(&self, committed: LogId) {
        // Where the thread is gone, the next append says so.
        let _ = self.queue.send(Op::Committed(committed));
    }

    pub(crate) async fn truncate(&self, from: u64) -> io::Result<()> {
        self.call(|done| Op::Truncate { from, done }).await
    }

    pub(crate) async fn purge(&self, upto: LogId) -> io::Result<()> {
        self.call(|done| Op::Purge { upto, done }).await
    }

    async fn call(&self, op: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Op) -> io::Result<()> {
        let (done, result) = oneshot::channel();
        self.queue.send(op(done)).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }

    /// The entries from `start` until `end`, and no more than about `bytes` of them.
    pub(crate) fn read(&self, start: u64, end: u64, bytes: usize) -> io::Result<Vec<Entry>> {
        let start = start.max(self.tail.begin());
        let (first, recent) = self.tail.read(start, end, bytes);
        if start >= first {
            return Ok(recent);
        }
        let (mut older, mut size) = (Vec::new(), 0);
        let log = self.db.cf_handle(LOG).expect("it was opened with it");
        let from = start.to_be_bytes();
        let mode = IteratorMode::From(&from, rocksdb::Direction::Forward);
        for (expected, item) in (start..end.min(first)).zip(self.db.iterator_cf(log, mode)) {
            let (key, value) = item.map_err(io::Error::other)?;
            if *key != expected.to_be_bytes() {
                return Ok(older);
            }
            size += value.len();
            let entry = format::decode_entry(&value.into_vec().into());
            older.push(entry.map_err(|error| {
                let folder = self.folder.clone();
                let what = format!("entry {expected} of the log: {error}");
                io::Error::other(StoreError::Damaged { folder, what })
            })?);
            if size >= bytes {
                return Ok(older);
            }
        }
        if older.len() as u64 == first.saturating_sub(start) {
            older.extend(recent);
        }
        Ok(older)
    }

    /// Ends the thread, once it has done what it was asked before.
    pub(crate) fn stop(&self) {
        let _ = self.queue.send(Op::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It was told to `health` where the thread panicked.
            let _ = thread.join();
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) fn gone() -> io::Error {
    io::Error::other("the log's store is closed")
}

pub(crate) fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(records::writes_are_synced());
    options
}

/// Opens the database, with patience where another process still has it.
pub(crate) fn patiently(
    folder: &Path,
    open: impl Fn() -> Result<DB, rocksdb::Error>,
) -> Result<DB, StoreError> {
    let deadline = Instant::now() + LOCK_LIMIT;
    loop {
        match open() {
            Ok(db) => return Ok(db),
            Err(error) if is_locked(&error) => {
                if Instant::now() >= deadline {
                    return Err(StoreError::Locked { folder: folder.to_owned() });
                }
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(error) => return Err(StoreError::rocks(folder, &error)),
        }
    }
}

fn is_locked(error: &rocksdb::Error) -> bool {
    let text = AsRef::<str>::as_ref(error);
    error.kind() == rocksdb::ErrorKind::IOError
        && (text.contains("While lock file") || text.contains("lock hold by current process"))
}

/// Options that all databases of the store share.
pub(crate) fn common_options(create: bool) -> rocksdb::Options {
    let mut options = rocksdb::Options::default();
    options.create_if_missing(create);
    options.create_missing_column_families(create);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_log_level(LogLevel::Warn);
    // Writes out what it flushes and compacts little by little, so that no sync of the log has to
    // wait for all of it.
    options.set_bytes_per_sync(1 << 20);
    options
}

fn open_db(folder: &Path, create: bool) -> Result<DB, StoreError> {
    let mut options = common_options(create);
    options.set_max_total_wal_size(256 << 20);
    // A torn record at the end of the newest file was never acknowledged and is dropped. Any other
    // fault may be a lost acknowledgement, and stops.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    let mut log = rocksdb::Options::default();
    log.set_write_buffer_size(64 << 20);
    log.set_max_write_buffer_number(4);
    log.set_compression_type(DBCompressionType::None);
    let mut meta = rocksdb::Options::default();
    meta.set_write_buffer_size(1 << 20);
    meta.set_compression_type(DBCompressionType::None);
    patiently(folder, || {
        let families = [
            ColumnFamilyDescriptor::new(LOG, log.clone()),
            ColumnFamilyDescriptor::new(META, meta.clone()),
        ];
        DB::open_cf_descriptors(&options, folder, families)
    })
}

/// Whose store it is; none where there is no store, or one that was never finished.
fn read_identity(folder: &Path) -> Result<Option<Identity>, StoreError> {
    if !folder.join("CURRENT").exists() {
        return Ok(None);
    }
    let db = open_db(folder, true)?;
    identity_of(&db, folder)
}

fn identity_of(db: &DB, folder: &Path) -> Result<Option<Identity>, StoreError> {
    let meta = db.cf_handle(META).expect("it was opened with it");
    let record = db.get_cf(meta, IDENTITY).map_err(|error| StoreError::rocks(folder, &error))?;
    let identity = record.map(|record| format::decode_identity(&record)).transpose();
    identity.map_err(|error| StoreError::damaged(folder, format!("its identity: {error}")))
}

fn load_meta(db: &DB, folder: &Path, expected: &Identity) -> Result<Held, StoreError> {
    let owner = identity_of(db, folder)?;
    let owner = owner.ok_or_else(|| StoreError::Missing { folder: folder.to_owned() })?;
    let Identity { cluster, raft_id, name, address: _ } = owner;
    if (cluster, raft_id, &name) != (expected.cluster, expected.raft_id, &expected.name) {
        let folder = folder.to_owned();
        return Err(StoreError::Foreign { folder, cluster, raft_id, name });
    }
    let meta = db.cf_handle(META).expect("it was opened with it");
    let get = |key| db.get_cf(meta, key).map_err(|error| StoreError::rocks(folder, &error));
    let wrong = |what: &str, error| StoreError::damaged(folder, format!("{what}: {error}"));
    let log_id = |key| {
        let id = get(key)?.map(|record| format::decode_log_id(&record)).transpose();
        id.map_err(|error| wrong(key, error))
    };
    let vote = get(VOTE)?.map(|record| format::decode_vote(&record)).transpose();
    Ok(Held {
        vote: vote.map_err(|error| wrong("its vote", error))?,
        committed: log_id(COMMITTED)?,
        purged: log_id(PURGED)?,
    })
}

/// Reads and checks every entry; the last ones stay in memory.
fn load_log(db: &DB, folder: &Path, held: &Held) -> Result<Tail, StoreError> {
    let log = db.cf_handle(LOG).expect("it was opened with it");
    let first = held.purged.map_or(0, |id| id.index + 1);
    let tail = Tail::new(first, held.purged);
    let from = first.to_be_bytes();
    let items = db.iterator_cf(log, IteratorMode::From(&from, rocksdb::Direction::Forward));
    for (expected, item) in (first..).zip(items) {
        let (key, value) = item.map_err(|error| StoreError::rocks(folder, &error))?;
        let entry = records::read_entry(expected, &value.into_vec().into());
        let entry = entry.map_err(|what| StoreError::damaged(folder, what))?;
        let Some(entry) = entry else { continue };
        if *key != expected.to_be_bytes() {
            let what = format!("entry {expected} of the log is missing");
            return Err(StoreError::damaged(folder, what));
        }
        tail.append(std::slice::from_ref(&entry));
        tail.set_durable(expected);
    }
    Ok(tail)
}
