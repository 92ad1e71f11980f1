//! The newest entries of the log, in memory: what followers are sent and what is applied is seldom
//! read from the disk.

use std::{
    collections::VecDeque,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::types::{Entry, LogId, Payload};

/// How much is kept at most, in entries and in bytes of batches; more only while the disk lags.
const MOST_ENTRIES: usize = 16_384;
const MOST_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(crate) struct Tail {
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The index of the first entry of the log.
    begin: u64,
    /// The index of the first entry here; of the next one, where there is none.
    first: u64,
    entries: VecDeque<Entry>,
    bytes: usize,
    purged: Option<LogId>,
    /// The index up to which everything is on the disk.
    durable: u64,
}

impl Tail {
    pub(crate) fn new(first: u64, purged: Option<LogId>) -> Self {
        let entries = VecDeque::new();
        Self {
            inner: RwLock::new(Inner {
                begin: first,
                first,
                entries,
                bytes: 0,
                purged,
                durable: 0,
            }),
        }
    }

    fn get(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn get_mut(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds entries behind the last one.
    pub(crate) fn append(&self, entries: &[Entry]) {
        let mut inner = self.get_mut();
        for entry in entries {
            if inner.entries.is_empty() && inner.purged.is_none() {
                // The first of all is number 0, which is checked when the store is opened;
                // openraft's own suite begins elsewhere.
                inner.first = entry.log_id.index;
                inner.begin = inner.first;
            }
            let next = inner.first + inner.entries.len() as u64;
            assert_eq!(entry.log_id.index, next, "the log has no holes");
            inner.bytes += weight(entry);
            inner.entries.push_back(entry.clone());
        }
        inner.evict();
    }

    /// Everything up to `index` is on the disk, and may go from memory.
    pub(crate) fn set_durable(&self, index: u64) {
        self.get_mut().durable = index;
    }

    pub(crate) fn last(&self) -> Option<LogId> {
        let inner = self.get();
        inner.entries.back().map(|entry| entry.log_id).or(inner.purged)
    }

    pub(crate) fn purged(&self) -> Option<LogId> {
        self.get().purged
    }

    /// The index of the first entry of the log, here or on the disk.
    pub(crate) fn begin(&self) -> u64 {
        self.get().begin
    }

    /// Drops the entries from `from` on.
    pub(crate) fn truncate(&self, from: u64) {
        let mut inner = self.get_mut();
        let keep = usize::try_from(from.saturating_sub(inner.first)).unwrap_or(usize::MAX);
        while inner.entries.len() > keep {
            let gone = inner.entries.pop_back().expect("there are more than are kept");
            inner.bytes -= weight(&gone);
        }
        inner.durable = inner.durable.min(from.saturating_sub(1));
        inner.first = inner.first.min(from);
        inner.begin = inner.begin.min(from);
    }

    /// Drops the entries up to `upto`, even where the log ends before it.
    pub(crate) fn purge(&self, upto: LogId) {
        let mut inner = self.get_mut();
        let mut gone = Vec::new();
        while inner.first <= upto.index {
            let Some(entry) = inner.entries.pop_front() else {
                inner.first = upto.index + 1;
                break;
            };
            inner.bytes -= weight(&entry);
            inner.first += 1;
            gone.push(entry);
        }
        inner.purged = inner.purged.max(Some(upto));
        inner.begin = inner.begin.max(upto.index + 1);
        drop(inner);
        // Freeing them takes longer than taking them out: nobody has to wait for it.
        drop(gone);
    }

    /// The first index that is here, and the entries from `start` until `end`, as far as they are
    /// here and about `bytes` long at most.
    pub(crate) fn read(&self, start: u64, end: u64, bytes: usize) -> (u64, Vec<Entry>) {
        let inner = self.get();
        let skip = usize::try_from(start.saturating_sub(inner.first)).unwrap_or(usize::MAX);
        let many = end.saturating_sub(start.max(inner.first));
        let many = usize::try_from(many).unwrap_or(usize::MAX);
        let (mut read, mut size) = (Vec::new(), 0);
        for entry in inner.entries.iter().skip(skip).take(many) {
            size += weight(entry);
            read.push(entry.clone());
            if size >= bytes {
                break;
            }
        }
        (inner.first, read)
    }
}

impl Inner {
    fn evict(&mut self) {
        while (self.entries.len() > MOST_ENTRIES || self.bytes > MOST_BYTES)
            && self.first < self.durable
        {
            let gone = self.entries.pop_front().expect("it is over the limit");
            self.bytes -= weight(&gone);
            self.first += 1;
        }
    }
}

fn weight(entry: &Entry) -> usize {
    match &entry.payload {
        Payload::Normal(batch) => 64 + batch.0.len(),
        Payload::Blank | Payload::Membership(_) => 64,
    }
}
