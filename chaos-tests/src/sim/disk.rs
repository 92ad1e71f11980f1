//! A controller's disk: what its store has written, and what of it would outlive a power cut.
//!
//! The records are the real ones: [`raft_store::records`] makes them and reads them again. Writes
//! are batches, as RocksDB's are: of what was not synced, a power cut leaves the first few, and one
//! that was torn is gone, which RocksDB's checksums see to (`raft-store`'s own tests cut its files
//! at every byte). A process that dies loses nothing that it had written.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::world::Random;

/// What a store holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) vote: Option<Bytes>,
    pub(super) log: BTreeMap<u64, Bytes>,
    /// The last entry that was purged: its index and term.
    pub(super) purged: (u64, u64),
    pub(super) snapshot: Option<Bytes>,
}

/// One batch of the writer.
#[derive(Clone, Debug)]
pub(super) enum Write {
    Vote(Bytes),
    /// Entries, which take the place of all from the first one's index on.
    Entries(Vec<(u64, Bytes)>),
    /// Removes the entries from this one on.
    Truncate(u64),
    Snapshot(Bytes),
    /// Removes the entries up to the one of this index and term.
    Purge(u64, u64),
}

impl Content {
    fn take(&mut self, write: Write) {
        match write {
            Write::Vote(vote) => self.vote = Some(vote),
            Write::Entries(entries) => {
                if let Some((first, _)) = entries.first() {
                    self.log.split_off(first);
                }
                self.log.extend(entries);
            }
            Write::Truncate(from) => drop(self.log.split_off(&from)),
            Write::Snapshot(snapshot) => self.snapshot = Some(snapshot),
            Write::Purge(upto, term) => {
                self.log = self.log.split_off(&(upto + 1));
                self.purged = self.purged.max((upto, term));
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Disk {
    durable: Content,
    /// What the kernel has and the disk has not, the oldest first: when it was written.
    written: VecDeque<(u64, Write)>,
    /// No space is left until this moment.
    pub(super) full_until: u64,
    /// Nothing is synced until this moment.
    pub(super) stalled_until: u64,
    /// The next sync fails.
    pub(super) failing: bool,
    /// When the writer is done with what it has.
    pub(super) busy_until: u64,
}

/// After how many milliseconds the kernel writes out by itself.
const WRITEBACK_MS: u64 = 5_000;

impl Disk {
    /// Hands a write to the kernel. False: there is no space.
    pub(super) fn write(&mut self, now: u64, write: Write) -> bool {
        if self.full_until > now {
            return false;
        }
        while self.written.front().is_some_and(|(at, _)| at + WRITEBACK_MS < now) {
            let (_, write) = self.written.pop_front().expect("it was looked at");
            self.durable.take(write);
        }
        self.written.push_back((now, write));
        true
    }

    /// Brings everything that was written so far to the disk. False: it could not.
    pub(super) fn sync(&mut self) -> bool {
        if std::mem::take(&mut self.failing) {
            return false;
        }
        if raft_store::records::writes_are_synced() {
            for (_, write) in self.written.drain(..) {
                self.durable.take(write);
            }
        }
        true
    }

    /// Whether a vote could be brought to the disk now.
    pub(super) fn is_fit(&self, now: u64) -> bool {
        self.full_until <= now && self.stalled_until <= now && !self.failing
    }

    /// The power fails: of what was not synced, the first few writes are there.
    pub(super) fn cut_power(&mut self, random: &mut Random) -> usize {
        let left = random.index(self.written.len() + 1);
        let lost = self.written.len() - left;
        self.written.truncate(left);
        lost
    }

    /// Opens it: all that can be read, which the store then has for good. RocksDB writes anew, and
    /// syncs, what it finds in its write-ahead log.
    pub(super) fn open(&mut self) -> Content {
        for (_, write) in self.written.drain(..) {
            self.durable.take(write);
        }
        self.busy_until = 0;
        self.durable.clone()
    }

    /// Flips a bit of something that is stored. Says of what.
    pub(super) fn flip_bit(&mut self, random: &mut Random) -> Option<String> {
        let content = &mut self.durable;
        let entries: Vec<u64> = content.log.keys().copied().collect();
        let chosen = random.index(entries.len() + 2);
        let (what, bytes) = match entries.get(chosen) {
            Some(index) => (format!("entry {index}"), content.log.get_mut(index)?),
            None if chosen == entries.len() => ("the vote".to_owned(), content.vote.as_mut()?),
            None => ("the snapshot".to_owned(), content.snapshot.as_mut()?),
        };
        let mut flipped = bytes.to_vec();
        let at = random.index(flipped.len());
        flipped[at] ^= 1 << random.below(8);
        *bytes = flipped.into();
        Some(what)
    }

    /// What a leader sends to one that is behind its log.
    pub(super) fn snapshot(&self) -> Option<Bytes> {
        let written = self.written.iter().rev().find_map(|(_, write)| match write {
            Write::Snapshot(snapshot) => Some(snapshot.clone()),
            Write::Vote(_) | Write::Entries(_) | Write::Truncate(_) | Write::Purge(..) => None,
        });
        written.or_else(|| self.durable.snapshot.clone())
    }
}
