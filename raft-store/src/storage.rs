//! The log as openraft wants to see it.

use std::{
    fmt::Debug,
    io,
    ops::{Bound, RangeBounds},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{Stream, stream};
use openraft::{
    LogState, OptionalSend, RaftLogReader,
    storage::{IOFlushed, RaftLogStorage},
};

use crate::{
    disk::{Disk, Held},
    types::{Entry, LogId, TypeConfig, Vote},
};

#[cfg(test)]
mod tests;

/// Bytes of entries that one request to a follower carries, about.
const REQUEST_BYTES: usize = 1 << 20;

/// How many entries are read at a time to be applied.
const CHUNK: u64 = 256;

/// A handle to the log's store.
#[derive(Clone)]
pub(crate) struct Storage {
    disk: Arc<Disk>,
    marks: Arc<Mutex<Marks>>,
}

/// What was saved last.
#[derive(Clone, Copy, Debug)]
struct Marks {
    vote: Option<Vote>,
    committed: Option<LogId>,
}

impl Storage {
    pub(crate) fn new(disk: Arc<Disk>, held: &Held) -> Self {
        let marks = Marks { vote: held.vote, committed: held.committed };
        Self { disk, marks: Arc::new(Mutex::new(marks)) }
    }

    fn marks<T>(&self, touch: impl FnOnce(&mut Marks) -> T) -> T {
        touch(&mut self.marks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl RaftLogReader<TypeConfig> for Storage {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let (start, end) = bounds(&range);
        self.disk.read(start, end, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.disk.read(start, end, REQUEST_BYTES)
    }

    /// Reads as it goes: a replica that is far behind must not hold all that it lacks in memory.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (start, end) = bounds(&range);
        let disk = Arc::clone(&self.disk);
        let chunks = stream::unfold((disk, start), move |(disk, at)| async move {
            if at >= end {
                return None;
            }
            let read = disk.read(at, end.min(at + CHUNK), REQUEST_BYTES);
            let next = match &read {
                Ok(entries) if !entries.is_empty() => at + entries.len() as u64,
                // The reader sees that entries are missing, or the error, and stops.
                Ok(_) | Err(_) => end,
            };
            Some((read, (disk, next)))
        });
        let items = futures::StreamExt::map(chunks, |read| {
            let items = match read {
                Ok(entries) => entries.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            stream::iter(items)
        });
        Box::pin(futures::StreamExt::flatten(items))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.marks(|marks| marks.vote))
    }
}

impl RaftLogStorage<TypeConfig> for Storage {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let tail = &self.disk.tail;
        Ok(LogState { last_purged_log_id: tail.purged(), last_log_id: tail.last() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.disk.save_vote(*vote).await?;
        self.marks(|marks| marks.vote = Some(*vote));
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        if let Some(committed) = committed {
            self.marks(|marks| marks.committed = Some(committed));
            self.disk.save_committed(committed);
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.marks(|marks| marks.committed))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.disk.tail.append(&entries);
        self.disk.append(entries, callback);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        self.disk.tail.truncate(from);
        self.disk.truncate(from).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.disk.tail.purge(upto);
        self.disk.purge(upto).await
    }
}

/// The range as a first index and the one after the last.
fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}
