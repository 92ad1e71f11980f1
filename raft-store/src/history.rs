//! What happened, kept beyond the live state: the audit trail of entries, ended jobs, and the
//! contents of scripts and environments. A database of its own, so that nothing here waits for a
//! sync of the log.
//!
//! It follows from the log, so it is written without a sync and without a write-ahead log. A
//! snapshot flushes it first, and only what a snapshot covers leaves the log: after a crash the
//! rest is applied again, and writing it twice changes nothing.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use common::{
    id::{ContentHash, JobId},
    job::Job,
    machine::{Entry, Event, State},
    time::Timestamp,
};
use prost::Message as _;
use proto::{convert::decode_batch, log as wire, types};
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, Direction, FlushOptions,
    IteratorMode, WriteBatch, WriteOptions, checkpoint::Checkpoint,
};

use crate::{
    StoreError,
    disk::{common_options, patiently},
    format::{self, Kind},
};

/// Log index → what was applied of its batch.
const ENTRIES: &str = "entries";
/// Job and log index → nothing.
const JOBS: &str = "jobs";
/// Job → its record.
const ENDED: &str = "ended";
/// Content hash → content.
const BLOBS: &str = "blobs";

/// A reader of the history. Cheap to clone.
#[derive(Clone)]
pub struct History {
    db: Arc<DB>,
    folder: Arc<PathBuf>,
}

/// What one round of applied batches adds, written at once.
#[derive(Default)]
pub(crate) struct Feed {
    batch: WriteBatch,
    any: bool,
}

impl History {
    /// Makes an empty one.
    pub(crate) fn create(folder: &Path) -> Result<(), StoreError> {
        Self::open_or_create(folder, true).map(drop)
    }

    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        if !folder.join("CURRENT").exists() {
            return Err(StoreError::damaged(folder, "the history is missing".to_owned()));
        }
        Self::open_or_create(folder, false)
    }

    fn open_or_create(folder: &Path, create: bool) -> Result<Self, StoreError> {
        let options = common_options(create);
        let mut family = rocksdb::Options::default();
        family.set_write_buffer_size(32 << 20);
        family.set_max_write_buffer_number(4);
        family.set_compression_type(DBCompressionType::None);
        let db = patiently(folder, || {
            let names = [ENTRIES, JOBS, ENDED, BLOBS];
            let families = names.map(|name| ColumnFamilyDescriptor::new(name, family.clone()));
            DB::open_cf_descriptors(&options, folder, families)
        })?;
        Ok(Self { db: Arc::new(db), folder: Arc::new(folder.to_owned()) })
    }

    fn family(&self, name: &str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("it was opened with it")
    }

    fn failed(&self, error: &rocksdb::Error) -> StoreError {
        StoreError::rocks(&self.folder, error)
    }

    fn damaged(&self, what: &str, error: impl std::fmt::Display) -> StoreError {
        StoreError::damaged(&self.folder, format!("{what}: {error}"))
    }

    /// The entries after log index `after`, the oldest first, with the log index of each. Several
    /// share an index where they were appended together; those are never separated, so that the
    /// last index serves as the next `after`, and the answer may be a little longer than `limit`.
    ///
    /// The contents of scripts and environments are left out.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn entries(&self, after: u64, limit: usize) -> Result<Vec<(u64, Entry)>, StoreError> {
        let mut entries = Vec::new();
        for batch in self.batches(after) {
            if entries.len() >= limit {
                break;
            }
            let (index, batch) = batch?;
            entries.extend(self.decoded(index, batch)?.into_iter().map(|entry| (index, entry)));
        }
        Ok(entries)
    }

    /// The entries after log index `after` that concern `job`, as [`Self::entries`] gives them.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn of_job(
        &self,
        job: JobId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Entry)>, StoreError> {
        let mut entries = Vec::new();
        let from = job_key(job, after.saturating_add(1));
        let mode = IteratorMode::From(&from, Direction::Forward);
        for item in self.db.iterator_cf(self.family(JOBS), mode) {
            let (key, _) = item.map_err(|error| self.failed(&error))?;
            let Some(index) = key.strip_prefix(&job.0.to_be_bytes()) else {
                break;
            };
            if entries.len() >= limit {
                break;
            }
            let index = index.try_into().map(u64::from_be_bytes);
            let index = index.map_err(|error| self.damaged("a key of the history", error))?;
            let record = self.db.get_cf(self.family(ENTRIES), index.to_be_bytes());
            let Some(record) = record.map_err(|error| self.failed(&error))? else {
                continue;
            };
            let mut batch = self.decoded(index, self.unwrap_batch(index, record)?)?;
            batch.retain(|entry| entry.events.iter().any(|event| event.job() == Some(job)));
            entries.extend(batch.into_iter().map(|entry| (index, entry)));
        }
        Ok(entries)
    }

    /// The record of a job that has ended, as it was when it ended or was forgotten.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn ended_job(&self, job: JobId) -> Result<Option<Job>, StoreError> {
        let Some(job) = self.ended_record(job)? else {
            return Ok(None);
        };
        let job = Job::try_from(job).map_err(|error| self.damaged("an ended job", error))?;
        Ok(Some(job))
    }

    pub(crate) fn ended_record(&self, job: JobId) -> Result<Option<types::Job>, StoreError> {
        let record = self.db.get_cf(self.family(ENDED), job.0.to_be_bytes());
        let Some(record) = record.map_err(|error| self.failed(&error))? else {
            return Ok(None);
        };
        self.unwrap_job(&record).map(Some)
    }

    /// The records of all jobs that have ended, by id.
    pub(crate) fn ended_jobs(&self) -> impl Iterator<Item = Result<types::Job, StoreError>> {
        self.db.iterator_cf(self.family(ENDED), IteratorMode::Start).map(|item| {
            let (_, record) = item.map_err(|error| self.failed(&error))?;
            self.unwrap_job(&record)
        })
    }

    /// Makes a copy in `folder`, which must not exist. It costs little: files that never change are
    /// linked.
    pub(crate) fn copy(&self, folder: &Path) -> Result<(), StoreError> {
        self.flush()?;
        let checkpoint = Checkpoint::new(&self.db).map_err(|error| self.failed(&error))?;
        checkpoint.create_checkpoint(folder).map_err(|error| self.failed(&error))
    }

    fn unwrap_job(&self, record: &[u8]) -> Result<types::Job, StoreError> {
        let content = format::decode_raw(Kind::EndedJob, record)
            .map_err(|error| self.damaged("an ended job", error))?;
        types::Job::decode(content).map_err(|error| self.damaged("an ended job", error))
    }

    /// The content of a script or environment.
    pub(crate) fn blob(&self, hash: ContentHash) -> Result<Option<Bytes>, StoreError> {
        let record = self.db.get_cf(self.family(BLOBS), hash.0);
        let Some(record) = record.map_err(|error| self.failed(&error))? else {
            return Ok(None);
        };
        let wrong = |error: &dyn std::fmt::Display| self.damaged(&format!("blob {hash}"), error);
        let content = format::decode_raw(Kind::Blob, &record).map_err(|error| wrong(&error))?.len();
        let content = Bytes::from(record).slice(format::HEAD..format::HEAD + content);
        if ContentHash::of(&content) != hash {
            return Err(wrong(&"its content has another hash"));
        }
        Ok(Some(content))
    }

    pub(crate) fn has_blob(&self, hash: ContentHash) -> Result<bool, StoreError> {
        let found = self.db.get_pinned_cf(self.family(BLOBS), hash.0);
        Ok(found.map_err(|error| self.failed(&error))?.is_some())
    }

    /// Which contents the state's jobs name, and are not here.
    pub(crate) fn lacking(&self, state: &State) -> Result<BTreeSet<ContentHash>, StoreError> {
        let mut lacking = BTreeSet::new();
        for hash in state.blobs.keys() {
            if !self.has_blob(*hash)? {
                lacking.insert(*hash);
            }
        }
        Ok(lacking)
    }

    /// The batches after log index `after`, as they were written.
    pub(crate) fn batches(
        &self,
        after: u64,
    ) -> impl Iterator<Item = Result<(u64, Bytes), StoreError>> {
        let from = after.saturating_add(1).to_be_bytes();
        let mode = IteratorMode::From(&from, Direction::Forward);
        self.db.iterator_cf(self.family(ENTRIES), mode).map(|item| {
            let (key, record) = item.map_err(|error| self.failed(&error))?;
            let index = index_of(&key);
            let index = index.map_err(|error| self.damaged("a key of the history", error))?;
            Ok((index, self.unwrap_batch(index, record.into_vec())?))
        })
    }

    fn unwrap_batch(&self, index: u64, record: Vec<u8>) -> Result<Bytes, StoreError> {
        let wrong = |error| self.damaged(&format!("entry {index} of the history"), error);
        let length = format::decode_raw(Kind::HistoryBatch, &record).map_err(wrong)?.len();
        Ok(Bytes::from(record).slice(format::HEAD..format::HEAD + length))
    }

    fn decoded(&self, index: u64, batch: Bytes) -> Result<Vec<Entry>, StoreError> {
        let wrong = |error| self.damaged(&format!("entry {index} of the history"), error);
        decode_batch(batch).map_err(wrong)
    }

    /// Adds what was applied of the batch at `index`: the entries `applied`, which are those of
    /// `batch` but for the ones at the places `void`.
    pub(crate) fn feed_batch(
        &self,
        feed: &mut Feed,
        index: u64,
        batch: &Bytes,
        void: &[usize],
        applied: &[Entry],
    ) {
        if applied.is_empty() {
            return;
        }
        feed.any = true;
        let mut events = applied.iter().flat_map(|entry| &entry.events);
        let whole =
            void.is_empty() && !events.any(|event| matches!(event, Event::BlobStored { .. }));
        let record = if whole {
            format::encode_raw(Kind::HistoryBatch, batch)
        } else {
            format::encode_raw(Kind::HistoryBatch, &strip(batch, void).encode_to_vec())
        };
        feed.batch.put_cf(self.family(ENTRIES), index.to_be_bytes(), record);
        let jobs = self.family(JOBS);
        let mut last = None;
        for job in applied.iter().flat_map(|entry| &entry.events).filter_map(Event::job) {
            // Events of a job often follow each other; what is put twice is only put in vain.
            if last.replace(job) != Some(job) {
                feed.batch.put_cf(jobs, job_key(job, index), []);
            }
        }
    }

    pub(crate) fn feed_blob(&self, feed: &mut Feed, hash: ContentHash, content: &[u8]) {
        feed.any = true;
        let record = format::encode_raw(Kind::Blob, content);
        feed.batch.put_cf(self.family(BLOBS), hash.0, record);
    }

    pub(crate) fn forget_blob(&self, feed: &mut Feed, hash: ContentHash) {
        feed.any = true;
        feed.batch.delete_cf(self.family(BLOBS), hash.0);
    }

    pub(crate) fn feed_ended(&self, feed: &mut Feed, job: &types::Job) {
        feed.any = true;
        let mut record = Vec::with_capacity(512);
        format::encode_message(Kind::EndedJob, job, &mut record);
        feed.batch.put_cf(self.family(ENDED), job.id.to_be_bytes(), record);
    }

    /// Writes what was fed, into memory: see the module's page.
    pub(crate) fn write(&self, feed: Feed) -> Result<(), StoreError> {
        if !feed.any {
            return Ok(());
        }
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(feed.batch, &options).map_err(|error| self.failed(&error))
    }

    /// Forgets what happened, and who ended, before `cutoff`. A little at a time: it may be much,
    /// and nobody waits for it.
    pub(crate) fn prune(&self, cutoff: Timestamp) -> Result<(), StoreError> {
        for batch in self.batches(0) {
            let (index, batch) = batch?;
            let entries = self.decoded(index, batch)?;
            if entries.iter().any(|entry| entry.at >= cutoff) {
                break;
            }
            let mut feed = Feed { any: true, ..Feed::default() };
            feed.batch.delete_cf(self.family(ENTRIES), index.to_be_bytes());
            for job in entries.iter().flat_map(|entry| &entry.events).filter_map(Event::job) {
                feed.batch.delete_cf(self.family(JOBS), job_key(job, index));
            }
            self.write(feed)?;
        }
        for item in self.db.iterator_cf(self.family(ENDED), IteratorMode::Start) {
            let (key, record) = item.map_err(|error| self.failed(&error))?;
            let job = self.unwrap_job(&record)?;
            let job = Job::try_from(job).map_err(|error| self.damaged("an ended job", error))?;
            if job.end().is_some_and(|end| end.at < cutoff) {
                let mut feed = Feed { any: true, ..Feed::default() };
                feed.batch.delete_cf(self.family(ENDED), key);
                self.write(feed)?;
            }
        }
        Ok(())
    }

    /// Puts on the disk all that was written before.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        let families = [ENTRIES, JOBS, ENDED, BLOBS].map(|name| self.family(name));
        self.db.flush_cfs_opt(&families, &options).map_err(|error| self.failed(&error))
    }
}

/// Leaves out the contents of blobs, and the entries that were not applied.
fn strip(batch: &Bytes, void: &[usize]) -> wire::Batch {
    let mut batch = wire::Batch::decode(batch.clone()).expect("it was decoded before");
    let mut place = 0..;
    batch.entries.retain(|_| place.next().is_some_and(|place| !void.contains(&place)));
    for event in batch.entries.iter_mut().flat_map(|entry| &mut entry.events) {
        if let Some(wire::event::Kind::BlobStored(blob)) = &mut event.kind {
            blob.content = Bytes::new();
        }
    }
    batch
}

fn job_key(job: JobId, index: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&job.0.to_be_bytes());
    key[4..].copy_from_slice(&index.to_be_bytes());
    key
}

fn index_of(key: &[u8]) -> Result<u64, std::array::TryFromSliceError> {
    key.try_into().map(u64::from_be_bytes)
}
