//! The controllers: their stores, and what becomes of them.

use std::sync::Arc;

use common::{
    config::{Config, NodeConf, PartitionConf},
    id::{ClusterId, Term, UserId},
    machine::{Command, Entry, State, decide},
    time::{TimeLimit, Timestamp},
};
use proto::convert::{StateReader, decode_batch, encode_batch, state_records};

use super::{
    leader::Desk,
    network::Place,
    world::{Happening, World},
};

/// A controller that may be stopped, started, and left behind.
#[derive(Debug)]
pub(super) struct Controller {
    pub(super) alive: bool,
    pub(super) life: u64,
    /// Frozen, as by SIGSTOP, until this moment.
    pub(super) paused: Option<u64>,
    pub(super) state: State,
    /// How many of Raft's entries the state has followed.
    pub(super) applied: usize,
    /// On disk: the state after so many entries.
    snapshot: (usize, Vec<proto::log::StateRecord>),
    /// Its clock is off by as many milliseconds.
    pub(super) skew: i64,
}

impl Controller {
    pub(super) fn new() -> Self {
        Self {
            alive: false,
            life: 0,
            paused: None,
            state: State::default(),
            applied: 0,
            snapshot: (0, vec![]),
            skew: 0,
        }
    }
}

pub(super) fn node_name(node: usize) -> String {
    format!("n{}", node + 1)
}

/// Nodes are given up after ten seconds, and ended jobs are forgotten after a minute.
fn config(nodes: usize) -> Config {
    let mut config = Config::defaults("sim");
    config.slurmd_timeout = 10;
    config.min_job_age = 60;
    config.kill_wait = 5;
    config.return_to_service = 1;
    config.select_memory = false;
    let names: Vec<String> = (0..nodes).map(node_name).collect();
    config.nodes =
        names.iter().map(|name| NodeConf { cpus: 4, ..NodeConf::defaults(name) }).collect();
    config.partitions = vec![PartitionConf {
        nodes_text: names.join(","),
        nodes: names,
        default: true,
        max_time: TimeLimit::Minutes(2),
        ..PartitionConf::defaults("debug")
    }];
    config
}

impl World {
    /// The log's first entry.
    pub(super) fn form(&mut self) {
        let form = Command::Form {
            cluster: ClusterId([7; 16]),
            operator: UserId(500),
            config: Arc::new(config(self.options.nodes)),
        };
        let at = self.clock(0);
        let decided = decide(&self.truth, at, form).expect("a first forming");
        let entry = Entry {
            at,
            term: Term(0),
            sequence: 1,
            digest: self.truth.digest,
            request: None,
            events: decided.events,
        };
        self.raft.committed.push(encode_batch(std::slice::from_ref(&entry)));
        self.truth.apply(&entry);
    }

    pub(super) fn start_controller(&mut self, controller: usize) {
        let this = &mut self.controllers[controller];
        if this.alive {
            return;
        }
        this.alive = true;
        this.life += 1;
        this.paused = None;
        let life = this.life;
        let mut reader = StateReader::default();
        for record in &this.snapshot.1 {
            reader.take(record.clone()).expect("a record of ours");
        }
        this.applied = this.snapshot.0;
        this.state = match this.applied {
            0 => State::default(),
            _ => reader.finish().expect("a whole state"),
        };
        this.state.check();
        let applied = this.applied;
        self.say(format_args!("ctl{controller} starts from entry {applied}"));
        self.soon(1, Happening::Apply { controller, life });
        self.soon(250, Happening::ControllerTick { controller, life });
    }

    pub(super) fn kill_controller(&mut self, controller: usize) {
        if !self.controllers[controller].alive {
            return;
        }
        self.say(format_args!("ctl{controller} dies"));
        self.controllers[controller].alive = false;
        self.controllers[controller].life += 1;
        self.desks[controller] = None;
    }

    /// Follows some of the entries that this controller does not have yet.
    pub(super) fn apply(&mut self, controller: usize, life: u64) {
        if !self.lives(controller, life) {
            return;
        }
        let behind = self.raft.committed.len() - self.controllers[controller].applied;
        if behind == 0 {
            self.may_lead(controller);
            return;
        }
        let some = 1 + self.random.index(behind.min(16));
        let snapshot = self.random.chance(20);
        let this = &mut self.controllers[controller];
        for bytes in &self.raft.committed[this.applied..this.applied + some] {
            follow(&mut this.state, bytes);
        }
        this.applied += some;
        if snapshot {
            this.snapshot = (this.applied, state_records(&this.state).collect());
        }
        if some < behind {
            let delay = self.delay();
            self.soon(delay, Happening::Apply { controller, life });
        }
        self.may_lead(controller);
        self.send_orders(controller);
    }

    pub(super) fn lives(&self, controller: usize, life: u64) -> bool {
        let this = &self.controllers[controller];
        this.alive && this.life == life
    }

    /// A majority has the oldest append of the leader of `term`.
    pub(super) fn commit(&mut self, term: u64) {
        if term != self.raft.term {
            return;
        }
        let Some(leader) = self.raft.leader else { return };
        if !self.has_majority(leader) {
            self.soon(100, Happening::Commit { term });
            return;
        }
        let Some(append) = self.raft.commit() else { return };
        self.follow_truth();
        let life = self.controllers[leader].life;
        let delay = self.delay();
        self.soon(delay, Happening::Committed { controller: leader, life, flight: append.flight });
        self.spread();
    }

    /// Lets the truth follow what is committed, and everything that must hold is checked.
    pub(super) fn follow_truth(&mut self) {
        while self.truth_applied() < self.raft.committed.len() {
            let bytes = self.raft.committed[self.truth_applied()].clone();
            for entry in decode_batch(bytes).expect("what was encoded decodes") {
                if self.truth.precedes(&entry) {
                    self.truth.apply(&entry);
                    self.witness.entry(&entry, self.now);
                } else {
                    self.say(format_args!("void: {}.{}", entry.term, entry.sequence));
                }
            }
            self.truth.check();
            self.witness.followed += 1;
        }
    }

    fn truth_applied(&self) -> usize {
        // The first entry was applied when the cluster was formed.
        self.witness.followed + 1
    }

    /// Tells every controller that there is something to apply.
    pub(super) fn spread(&mut self) {
        for controller in 0..self.controllers.len() {
            let life = self.controllers[controller].life;
            let delay = 1 + self.delay();
            self.soon(delay, Happening::Apply { controller, life });
        }
    }

    /// Whether it lives, and enough others hear it and are heard.
    pub(super) fn has_majority(&self, controller: usize) -> bool {
        let runs = |at: usize| {
            let this = &self.controllers[at];
            this.alive && this.paused.is_none()
        };
        let place = Place::Controller(controller);
        let with = |at: &usize| {
            *at == controller || runs(*at) && self.network.joined(place, Place::Controller(*at))
        };
        let votes = (0..self.controllers.len()).filter(with).count();
        runs(controller) && votes > self.controllers.len() / 2
    }

    /// Elects a leader where there is none that a majority hears.
    pub(super) fn elect(&mut self) {
        let delay = 200 + self.random.below(400);
        self.soon(delay, Happening::Elect);
        // One that has stepped down, or was started anew, never takes up its term again.
        let in_office =
            |desk: &Option<Desk>| desk.as_ref().is_some_and(|d| d.term == self.raft.term);
        let holds = self.raft.leader.is_some_and(|leader| {
            let gave_up = self.witness.led == self.raft.term && !in_office(&self.desks[leader]);
            self.has_majority(leader) && !gave_up
        });
        if holds && !(self.faults && self.random.chance(5)) {
            return;
        }
        let able: Vec<usize> =
            (0..self.controllers.len()).filter(|at| self.has_majority(*at)).collect();
        if able.is_empty() {
            return;
        }
        let old = self.raft.leader;
        let new = able[self.random.index(able.len())];
        let surviving = self.random.index(self.raft.pending.len() + 1);
        let old_term = self.raft.term;
        let lost = self.raft.elect(Some(new), surviving);
        self.follow_truth();
        let (term, gone) = (self.raft.term, lost.len());
        self.say(format_args!(
            "ctl{new} is elected for term {term}: {surviving} appends survive, {gone} are lost"
        ));
        if let Some(old) = old {
            // It hears of it some time; until then it takes itself for the leader.
            let life = self.controllers[old].life;
            let late = if self.faults { self.random.below(5_000) } else { 10 };
            self.soon(late, Happening::Depose { controller: old, life, term: old_term });
            for append in lost {
                let lost = Happening::Lost { controller: old, life, flight: append.flight };
                self.soon(late, lost);
            }
        }
        self.spread();
    }

    /// The moment at which the one that `happening` concerns goes on, if it is frozen.
    pub(super) fn paused_until(&mut self, happening: &Happening) -> Option<u64> {
        let controller = match happening {
            Happening::Committed { controller, .. }
            | Happening::Lost { controller, .. }
            | Happening::Apply { controller, .. }
            | Happening::Depose { controller, .. }
            | Happening::ControllerTick { controller, .. }
            | Happening::Flush { controller, .. }
            | Happening::FromNode { controller, .. }
            | Happening::Asked { controller, .. } => *controller,
            Happening::Elect
            | Happening::Commit { .. }
            | Happening::Restart { .. }
            | Happening::ToNode { .. }
            | Happening::StreamBroken { .. }
            | Happening::HostTick { .. }
            | Happening::HostInput { .. }
            | Happening::Supervisor { .. }
            | Happening::HostRestart { .. }
            | Happening::Answered { .. }
            | Happening::UserTick
            | Happening::Fault
            | Happening::Heal => return None,
        };
        let this = &mut self.controllers[controller];
        let until = this.paused?;
        if until <= self.now {
            this.paused = None;
        }
        this.paused
    }

    pub(super) fn controller_clock(&self, controller: usize) -> Timestamp {
        self.clock(self.controllers[controller].skew)
    }
}

/// What every replica does with an entry of the log.
fn follow(state: &mut State, bytes: &bytes::Bytes) {
    for entry in decode_batch(bytes.clone()).expect("what was encoded decodes") {
        if state.precedes(&entry) {
            state.apply(&entry);
        }
    }
}
