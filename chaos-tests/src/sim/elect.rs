//! Who leads, and who counts.
//!
//! An election happens in a moment, among those that hear each other: whoever is elected has a log
//! that no voter's goes beyond, and each voter has the new term on its disk. Whoever led before
//! and was not among them does not know.

use std::collections::BTreeMap;

use raft_store::records::{Content, encode_vote};

use super::{
    disk::Write,
    network::Place,
    raft::Lead,
    world::{Happening, World},
};

/// Where operators want the membership to go. A controller with a damaged store is replaced: its
/// number leaves, and a new one joins.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) gone: Vec<u64>,
    pub(super) joining: Vec<u64>,
}

impl Wanted {
    /// Whether `members` is that.
    pub(super) fn is_met(&self, members: &[u64]) -> bool {
        !self.gone.iter().any(|id| members.contains(id))
            && self.joining.iter().all(|id| members.contains(id))
    }
}

/// A leader whose disk does not answer for so long steps down.
const STALL_MS: u64 = 1_500;

impl World {
    /// Which members of its own membership a controller reaches, and is heard by.
    fn reachable(&self, controller: usize) -> Vec<usize> {
        let place = Place::Controller(controller);
        let (_, members) = self.controllers[controller].log.members();
        let holders = members.iter().filter_map(|id| self.holder(*id));
        let with = |at: &usize| {
            let runs = self.controllers[*at].runs();
            runs && (*at == controller || self.network.joined(place, Place::Controller(*at)))
        };
        holders.filter(with).collect()
    }

    fn is_majority(&self, controller: usize, count: usize) -> bool {
        let (_, members) = self.controllers[controller].log.members();
        count > members.len() / 2
    }

    /// Whether it runs, and enough others hear it and are heard.
    pub(super) fn has_majority(&self, controller: usize) -> bool {
        let runs = self.controllers[controller].runs();
        runs && self.is_majority(controller, self.reachable(controller).len())
    }

    /// Whether a majority says that nobody was elected after this leader (section 6.4 of Ongaro's
    /// dissertation).
    pub(super) fn is_confirmed(&self, controller: usize) -> bool {
        let Some(lead) = &self.controllers[controller].lead else { return false };
        let loyal = self.reachable(controller);
        let loyal = loyal.iter().filter(|at| self.controllers[**at].term <= lead.term).count();
        self.controllers[controller].runs() && self.is_majority(controller, loyal)
    }

    /// Those that would vote for a candidate.
    fn voters(&self, candidate: usize) -> Vec<usize> {
        let log = &self.controllers[candidate].log;
        let own = (log.last_term(), log.last());
        let fit = |at: &usize| {
            let one = &self.controllers[*at];
            one.disk.is_fit(self.now) && (one.log.last_term(), one.log.last()) <= own
        };
        self.reachable(candidate).into_iter().filter(fit).collect()
    }

    /// Elects a leader where there is none that a majority hears.
    pub(super) fn elect(&mut self) {
        let delay = 200 + self.random.below(400);
        self.soon(delay, Happening::Elect);
        let holds = (0..self.controllers.len()).any(|at| self.is_confirmed(at));
        if holds && !(self.faults && self.random.chance(5)) {
            return;
        }
        let able = |at: &usize| {
            let one = &self.controllers[*at];
            let (_, members) = one.log.members();
            let member = members.contains(&one.raft_id) && one.runs();
            member && self.is_majority(*at, self.voters(*at).len())
        };
        let able: Vec<usize> = (0..self.controllers.len()).filter(able).collect();
        if able.is_empty() {
            return;
        }
        let new = able[self.random.index(able.len())];
        let voters = self.voters(new);
        let term = 1 + voters.iter().map(|at| self.controllers[*at].term).max().unwrap_or(0);
        let raft_id = self.controllers[new].raft_id;
        for voter in voters {
            self.give_up_lead(voter, "another one is elected");
            let one = &mut self.controllers[voter];
            one.term = term;
            one.agrees = 0;
            one.leader = Some(new);
            if self.write(voter, Write::Vote(encode_vote(term, raft_id))) {
                // Nobody votes before that is on the disk.
                self.controllers[voter].disk.sync();
            }
        }
        self.say(format_args!("ctl{new} is elected for term {term}"));
        self.terms += 1;
        let this = &mut self.controllers[new];
        let first = this.log.last() + 1;
        let (matched, sent) = (BTreeMap::new(), BTreeMap::new());
        this.lead = Some(Lead { term, first, matched, sent });
        self.append(new, term, Content::Blank);
        self.advance(new);
    }

    /// A controller leads no more, and knows it.
    pub(super) fn give_up_lead(&mut self, controller: usize, reason: &str) {
        if self.controllers[controller].lead.take().is_some() {
            self.controllers[controller].leader = None;
            self.step_down(controller, reason);
        }
    }

    /// What a leader looks at again and again.
    pub(super) fn lead_tick(&mut self, controller: usize) {
        if self.controllers[controller].lead.is_none() {
            return;
        }
        let disk = &self.controllers[controller].disk;
        let stalled = disk.stalled_until > self.now && disk.busy_until > self.now;
        if stalled && disk.stalled_until > self.now + STALL_MS && self.random.chance(300) {
            self.give_up_lead(controller, "its disk does not answer");
            return;
        }
        if !self.has_majority(controller) && self.random.chance(200) {
            self.give_up_lead(controller, "no majority answers");
            return;
        }
        self.repeat(controller);
        self.change_members(controller);
    }

    /// A damaged store is taken out of the cluster, and an empty one is made in its place.
    pub(super) fn replace(&mut self, controller: usize) {
        let old = self.controllers[controller].raft_id;
        let new = self.next_raft_id;
        self.next_raft_id += 1;
        let (life, skew) = (self.controllers[controller].life, self.controllers[controller].skew);
        let fresh =
            super::controller::Controller { life, skew, ..super::controller::Controller::new(new) };
        self.controllers[controller] = fresh;
        // One that was about to join goes, too.
        self.wanted.joining.retain(|id| *id != old);
        self.wanted.gone.push(old);
        self.wanted.joining.push(new);
        self.say(format_args!("ctl{controller} is replaced: {old} goes, {new} comes"));
        self.start_controller(controller);
    }

    /// Brings the membership to where operators want it: one at a time, each once the last one is
    /// committed, and after an entry of the leader's own term is.
    fn change_members(&mut self, controller: usize) {
        let this = &self.controllers[controller];
        let Some(lead) = &this.lead else { return };
        let (since, members) = this.log.members();
        let met = self.wanted.is_met(members);
        if met || since > this.commit || lead.first > this.commit {
            return;
        }
        let (term, last) = (lead.term, this.log.last());
        let mut wanted = members.to_vec();
        wanted.retain(|id| !self.wanted.gone.contains(id));
        if let Some(first) = members.iter().find(|id| !wanted.contains(id)) {
            wanted = members.iter().copied().filter(|id| id != first).collect();
        } else {
            let caught_up = |id: &&u64| lead.matched.get(id).is_some_and(|at| at + 8 >= last);
            let new = |id: &&u64| !members.contains(id);
            let next = self.wanted.joining.iter().filter(new).find(caught_up);
            let Some(next) = next else { return };
            wanted.push(*next);
        }
        self.say(format_args!("ctl{controller} changes the members to {wanted:?}"));
        self.append(controller, term, Content::Members(wanted));
    }
}
