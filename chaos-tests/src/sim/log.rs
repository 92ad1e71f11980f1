//! A controller's log, as it has it in memory.

use std::{cell::OnceCell, collections::VecDeque, rc::Rc};

use bytes::Bytes;
use common::machine::Entry;
use raft_store::records::{self, Content, Record};

/// An entry of the log. Controllers share it; what one reads from its disk is another.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) record: Record,
    /// As it is on disk.
    pub(super) bytes: Bytes,
    facts: OnceCell<Result<Vec<Entry>, String>>,
}

impl Item {
    pub(super) fn new(record: Record) -> Rc<Self> {
        let bytes = records::encode(&record);
        Rc::new(Self { record, bytes, facts: OnceCell::new() })
    }

    pub(super) fn read(record: Record, bytes: Bytes) -> Rc<Self> {
        Rc::new(Self { record, bytes, facts: OnceCell::new() })
    }

    /// What it says, or why it can't be understood.
    pub(super) fn facts(&self) -> &Result<Vec<Entry>, String> {
        self.facts.get_or_init(|| match &self.record.content {
            Content::Batch(batch) => records::facts(self.record.index, batch),
            Content::Blank | Content::Members(_) => Ok(vec![]),
        })
    }
}

/// The entries after `base`, which a snapshot covers.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) base: u64,
    base_term: u64,
    items: VecDeque<Rc<Item>>,
    /// The memberships in the log, by the index of their entries, and the one before it.
    members: Vec<(u64, Vec<u64>)>,
}

impl Log {
    /// A log that goes on from a snapshot's last entry.
    pub(super) fn after(base: u64, base_term: u64, members: Vec<u64>) -> Self {
        Self { base, base_term, items: VecDeque::new(), members: vec![(0, members)] }
    }

    pub(super) fn last(&self) -> u64 {
        self.base + self.items.len() as u64
    }

    pub(super) fn get(&self, index: u64) -> Option<&Rc<Item>> {
        let place = index.checked_sub(self.base + 1)?;
        self.items.get(usize::try_from(place).expect("a log in memory"))
    }

    /// The term of an entry; none where the log does not have it.
    pub(super) fn term_at(&self, index: u64) -> Option<u64> {
        match index == self.base {
            true => Some(self.base_term),
            false => self.get(index).map(|item| item.record.term),
        }
    }

    pub(super) fn last_term(&self) -> u64 {
        self.items.back().map_or(self.base_term, |item| item.record.term)
    }

    /// Who counts in majorities, by the newest entry that says so, and its index.
    pub(super) fn members(&self) -> (u64, &[u64]) {
        self.members.last().map_or((0, &[]), |(index, members)| (*index, members))
    }

    /// Who counted when the entry at `index` was the last.
    pub(super) fn members_at(&self, index: u64) -> Vec<u64> {
        let upto = self.members.iter().rev().find(|(at, _)| *at <= index);
        upto.map(|(_, members)| members.clone()).unwrap_or_default()
    }

    pub(super) fn push(&mut self, item: Rc<Item>) {
        if let Content::Members(members) = &item.record.content {
            self.members.push((self.last() + 1, members.clone()));
        }
        self.items.push_back(item);
    }

    /// Drops the entries from `from` on.
    pub(super) fn truncate(&mut self, from: u64) {
        let keep = usize::try_from(from - self.base - 1).expect("a log in memory");
        self.items.truncate(keep);
        self.members.retain(|(index, _)| *index < from);
    }

    /// Drops the entries up to `upto`.
    pub(super) fn purge(&mut self, upto: u64) {
        while self.base < upto
            && let Some(item) = self.items.pop_front()
        {
            self.base += 1;
            self.base_term = item.record.term;
        }
        let before = self.members_at(upto);
        self.members.retain(|(index, _)| *index > upto);
        self.members.insert(0, (0, before));
    }

    /// Up to `most` entries from `from` on.
    pub(super) fn slice(&self, from: u64, most: usize) -> Vec<Rc<Item>> {
        let skip = usize::try_from(from - self.base - 1).expect("a log in memory");
        self.items.iter().skip(skip).take(most).cloned().collect()
    }
}
