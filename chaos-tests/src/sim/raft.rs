//! Raft's promises: one leader a term, an append that is committed or lost, and one order of what
//! is committed for everybody.
//!
//! It keeps them at their weakest. A new leader finds any number of its forerunner's last appends
//! committed, though nobody was told, and the rest lost; and an append that its leader has given up
//! may still arrive.

use bytes::Bytes;

/// One append on its way.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) flight: u64,
    pub(super) bytes: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct Raft {
    pub(super) term: u64,
    pub(super) leader: Option<usize>,
    /// What everybody has or will have, in this order.
    pub(super) committed: Vec<Bytes>,
    /// The leader's appends that are not committed.
    pub(super) pending: std::collections::VecDeque<Pending>,
}

impl Raft {
    /// Takes an append of the leader of `term`. False: who sent it leads no more, and the append
    /// is lost.
    pub(super) fn append(&mut self, controller: usize, term: u64, append: Pending) -> bool {
        let leads = self.leader == Some(controller) && self.term == term;
        if leads {
            self.pending.push_back(append);
        }
        leads
    }

    /// A majority has the oldest append.
    pub(super) fn commit(&mut self) -> Option<Pending> {
        let append = self.pending.pop_front()?;
        self.committed.push(append.bytes.clone());
        Some(append)
    }

    /// A new leader is elected. Of the appends that were on their way, the first `surviving` turn
    /// out to be committed; the others are returned.
    pub(super) fn elect(&mut self, leader: Option<usize>, surviving: usize) -> Vec<Pending> {
        self.term += 1;
        self.leader = leader;
        for _ in 0..surviving {
            self.commit();
        }
        self.pending.drain(..).collect()
    }
}
