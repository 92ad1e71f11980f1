//! Raft's promises, kept at their weakest: each controller has a log of its own, of which its disk
//! has a part; what a majority has on its disks is committed; and a leader may be of the past and
//! not know.
//!
//! It is a model, because openraft brings its own tasks, timers and random numbers, which no seed
//! rules. It is also what lets a run take milliseconds. Openraft itself is held against our store
//! by its own suite (`raft-store/src/storage/tests.rs`), and real processes are under faults in
//! `tests/real`. What the model takes from openraft on trust is what the Raft paper proves (Ongaro
//! and Ousterhout 2014, figure 3): of that, state-machine safety is checked all the same, entry by
//! entry, for it is what a lost write breaks.
//!
//! Heartbeats are not modelled one by one: whether a majority hears a leader is looked up in the
//! network.

use std::{collections::BTreeMap, rc::Rc};

use bytes::Bytes;
use raft_store::records::{Content, Record};

use super::{
    disk::Write,
    log::Item,
    network::Place,
    world::{Happening, World},
};

/// What a leader knows.
#[derive(Clone, Debug)]
pub(super) struct Lead {
    pub(super) term: u64,
    /// The index of its term's first entry: once that is applied, everything before it is.
    pub(super) first: u64,
    /// How far each member is known to have followed, and up to where it was sent entries.
    pub(super) matched: BTreeMap<u64, u64>,
    pub(super) sent: BTreeMap<u64, u64>,
}

/// What controllers say to each other.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// The entries after `previous`, if the log has that one.
    Entries { term: u64, previous: (u64, u64), items: Vec<Rc<Item>>, commit: u64 },
    /// For one whose log ends before the leader's begins.
    Snapshot { term: u64, bytes: Bytes },
    /// Everything up to here is on disk.
    Matched { term: u64, index: u64 },
    /// The log is not the leader's: it ends here.
    Lacking { term: u64, last: u64 },
    /// Somebody else is elected.
    Stale { term: u64 },
}

/// Entries that one message carries at most.
const MESSAGE: usize = 32;

impl World {
    /// Who holds a number in Raft.
    pub(super) fn holder(&self, raft_id: u64) -> Option<usize> {
        self.controllers.iter().position(|one| one.raft_id == raft_id)
    }

    /// Writes to a controller's disk, and syncs what was written. False: it ended the controller.
    pub(super) fn write(&mut self, controller: usize, write: Write) -> bool {
        let now = self.now;
        let slow = if self.random.chance(20) { 100 } else { 3 };
        let takes = 1 + self.random.below(slow);
        let this = &mut self.controllers[controller];
        if !this.disk.write(now, write) {
            self.fail_controller(controller, "no space left on the disk");
            return false;
        }
        // One write after the other, each with its sync.
        let begins = now.max(this.disk.busy_until).max(this.disk.stalled_until);
        this.disk.busy_until = begins + takes;
        let (life, index) = (this.life, this.log.last());
        self.at(begins + takes, Happening::Synced { controller, life, index });
        true
    }

    /// A sync has returned.
    pub(super) fn synced(&mut self, controller: usize, life: u64, index: u64) {
        if !self.lives(controller, life) {
            return;
        }
        let this = &mut self.controllers[controller];
        if this.disk.stalled_until > self.now {
            let until = this.disk.stalled_until + 1;
            self.at(until, Happening::Synced { controller, life, index });
            return;
        }
        if !this.disk.sync() {
            self.fail_controller(controller, "the log can't be synced");
            return;
        }
        let index = index.min(this.log.last());
        if index > this.durable {
            this.durable = index;
            match &this.lead {
                Some(_) => self.advance(controller),
                None => self.say_matched(controller),
            }
        }
    }

    /// Tells the leader what is on disk.
    fn say_matched(&mut self, controller: usize) {
        let this = &self.controllers[controller];
        let (term, index) = (this.term, this.durable.min(this.agrees));
        if let Some(leader) = this.leader {
            self.tell_controller(controller, leader, Said::Matched { term, index });
        }
    }

    fn tell_controller(&mut self, from: usize, to: usize, said: Said) {
        let places = (Place::Controller(from), Place::Controller(to));
        if !self.network.reaches(places.0, places.1) {
            return;
        }
        let (life, raft_id) = (self.controllers[to].life, self.controllers[to].raft_id);
        let sender = self.controllers[from].raft_id;
        for _ in 0..self.network.copies(&mut self.random) {
            let delay = self.delay();
            let said = said.clone();
            self.soon(delay, Happening::Raft { to, life, raft_id, from: sender, said });
        }
    }

    /// Appends to the log of a leader. The index, if it leads in that term.
    pub(super) fn append(&mut self, controller: usize, term: u64, content: Content) -> Option<u64> {
        let this = &mut self.controllers[controller];
        if this.lead.as_ref().is_none_or(|lead| lead.term != term) {
            return None;
        }
        let index = this.log.last() + 1;
        let item = Item::new(Record { term, index, content });
        this.log.push(Rc::clone(&item));
        if !self.write(controller, Write::Entries(vec![(index, item.bytes.clone())])) {
            return None;
        }
        self.replicate_all(controller);
        Some(index)
    }

    /// Whom a leader sends its log to: the members, and who is to become one.
    fn followers(&self, controller: usize) -> Vec<u64> {
        let this = &self.controllers[controller];
        let (_, members) = this.log.members();
        let joining = self.wanted.joining.iter().filter(|id| !members.contains(id));
        let all = members.iter().chain(joining).copied();
        all.filter(|id| *id != this.raft_id).collect()
    }

    pub(super) fn replicate_all(&mut self, controller: usize) {
        for follower in self.followers(controller) {
            self.replicate(controller, follower);
        }
    }

    /// Sends a follower what it was not sent yet, or that there is nothing.
    fn replicate(&mut self, controller: usize, follower: u64) {
        let Some(to) = self.holder(follower).filter(|to| self.controllers[*to].alive) else {
            return;
        };
        let this = &mut self.controllers[controller];
        let Some(lead) = &mut this.lead else { return };
        let sent = lead.sent.get(&follower).copied().unwrap_or(this.commit).min(this.log.last());
        let Some(term) = this.log.term_at(sent) else {
            // What it lacks is only in the snapshot.
            let term = lead.term;
            if let Some(bytes) = this.disk.snapshot() {
                lead.sent.insert(follower, this.log.base);
                self.tell_controller(controller, to, Said::Snapshot { term, bytes });
            }
            return;
        };
        let items = this.log.slice(sent + 1, MESSAGE);
        lead.sent.insert(follower, sent + items.len() as u64);
        let (term, previous, commit) = (lead.term, (sent, term), this.commit);
        self.tell_controller(controller, to, Said::Entries { term, previous, items, commit });
    }

    /// What a leader does again and again: what was lost on the way is sent again.
    pub(super) fn repeat(&mut self, controller: usize) {
        for follower in self.followers(controller) {
            let this = &mut self.controllers[controller];
            let last = this.log.last();
            let Some(lead) = &mut this.lead else { return };
            let matched = lead.matched.get(&follower).copied().unwrap_or(0);
            let behind = matched < last;
            if behind && lead.matched.contains_key(&follower) {
                lead.sent.insert(follower, matched);
            }
            // One that has everything hears now and then what is committed.
            if behind || self.random.chance(250) {
                self.replicate(controller, follower);
            }
        }
    }

    pub(super) fn hear_raft(&mut self, to: usize, from: u64, said: Said) {
        let term = match said {
            Said::Entries { term, .. }
            | Said::Snapshot { term, .. }
            | Said::Matched { term, .. }
            | Said::Lacking { term, .. }
            | Said::Stale { term } => term,
        };
        let Some(sender) = self.holder(from) else { return };
        if term < self.controllers[to].term {
            let term = self.controllers[to].term;
            if matches!(said, Said::Entries { .. } | Said::Snapshot { .. }) {
                self.tell_controller(to, sender, Said::Stale { term });
            }
            return;
        }
        if term > self.controllers[to].term && !self.enter_term(to, term) {
            return;
        }
        match said {
            Said::Entries { term, previous, items, commit } => {
                self.controllers[to].leader = Some(sender);
                self.take_entries(to, sender, term, previous, &items, commit);
            }
            Said::Snapshot { term, bytes } => {
                self.controllers[to].leader = Some(sender);
                if !self.install(to, &bytes) {
                    let this = &self.controllers[to];
                    let index = this.commit.min(this.durable);
                    self.tell_controller(to, sender, Said::Matched { term, index });
                }
            }
            Said::Matched { index, .. } => self.follower_matched(to, from, index),
            Said::Lacking { last, .. } => {
                if let Some(lead) = &mut self.controllers[to].lead {
                    lead.sent.insert(from, last);
                    self.replicate(to, from);
                }
            }
            Said::Stale { .. } => {}
        }
    }

    /// Takes note of a later term. False: that could not be kept.
    pub(super) fn enter_term(&mut self, controller: usize, term: u64) -> bool {
        self.give_up_lead(controller, "another term has begun");
        let this = &mut self.controllers[controller];
        this.term = term;
        this.agrees = 0;
        this.leader = None;
        let vote = raft_store::records::encode_vote(term, 0);
        self.write(controller, Write::Vote(vote))
    }

    fn take_entries(
        &mut self,
        to: usize,
        leader: usize,
        term: u64,
        previous: (u64, u64),
        items: &[Rc<Item>],
        commit: u64,
    ) {
        let this = &mut self.controllers[to];
        let base = this.log.base;
        let fits = previous.0 < base || this.log.term_at(previous.0) == Some(previous.1);
        if !fits {
            let last = this.commit.max(previous.0.saturating_sub(16).min(this.log.last()));
            self.tell_controller(to, leader, Said::Lacking { term, last });
            return;
        }
        let mut fresh = Vec::new();
        for item in items.iter().filter(|item| item.record.index > base) {
            let Record { index, term, .. } = item.record;
            match this.log.term_at(index) {
                Some(known) if known == term => continue,
                Some(_) => {
                    assert!(index > this.commit, "a leader takes back what is committed");
                    this.log.truncate(index);
                    this.durable = this.durable.min(index - 1);
                }
                None if index > this.log.last() + 1 => break,
                None => {}
            }
            this.log.push(Rc::clone(item));
            fresh.push((index, item.bytes.clone()));
        }
        let upto = previous.0 + items.len() as u64;
        this.agrees = this.agrees.max(upto.min(this.log.last()));
        let (old, life) = (this.commit, this.life);
        this.commit = old.max(commit.min(upto).min(this.log.last()));
        let news = this.commit > old;
        if fresh.is_empty() {
            let index = this.durable.min(this.agrees);
            self.tell_controller(to, leader, Said::Matched { term, index });
        } else if !self.write(to, Write::Entries(fresh)) {
            return;
        }
        if news {
            let delay = self.delay();
            self.soon(delay, Happening::Apply { controller: to, life });
        }
    }

    fn follower_matched(&mut self, leader: usize, follower: u64, index: u64) {
        let this = &mut self.controllers[leader];
        let last = this.log.last();
        let Some(lead) = &mut this.lead else { return };
        let matched = lead.matched.entry(follower).or_insert(0);
        *matched = index.min(last).max(*matched);
        let matched = *matched;
        let sent = lead.sent.entry(follower).or_insert(matched);
        *sent = (*sent).max(matched);
        let more = *sent < last;
        self.advance(leader);
        if more {
            self.replicate(leader, follower);
        }
    }

    /// Commits what a majority of the members has on its disks, of the leader's own term (section
    /// 5.4.2 of the paper).
    pub(super) fn advance(&mut self, leader: usize) {
        let this = &self.controllers[leader];
        let Some(lead) = &this.lead else { return };
        let (_, members) = this.log.members();
        let of = |id: &u64| match *id == this.raft_id {
            true => this.durable,
            false => lead.matched.get(id).copied().unwrap_or(0),
        };
        let mut reached: Vec<u64> = members.iter().map(of).collect();
        reached.sort_unstable();
        let Some(upto) = reached.get(reached.len().saturating_sub(1) / 2).copied() else { return };
        if upto <= this.commit || this.log.term_at(upto) != Some(lead.term) {
            return;
        }
        let life = this.life;
        for index in this.commit + 1..=upto {
            let item = Rc::clone(self.controllers[leader].log.get(index).expect("it was counted"));
            if (index as usize) <= self.chain.len() {
                assert!(
                    self.committed(index).bytes == item.bytes,
                    "ctl{leader} commits another entry {index} than was committed before"
                );
            } else {
                self.chain(&item);
            }
        }
        self.controllers[leader].commit = upto;
        self.soon(1, Happening::Apply { controller: leader, life });
        self.replicate_all(leader);
    }
}
