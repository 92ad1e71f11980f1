//! The world of a run: its time, its queue of what will happen, and who lives in it.

use std::collections::BTreeMap;

use common::{machine::State, time::Timestamp};

use super::{
    controller::Controller,
    host::Host,
    leader::Desk,
    network::{Network, Place},
    raft::Raft,
    trace::Trace,
    user::{Ask, User},
    witness::Witness,
};

/// How large a run is.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub controllers: usize,
    pub nodes: usize,
    /// How many jobs are submitted.
    pub jobs: u32,
    /// Simulated seconds of faults.
    pub faults_s: u64,
    /// Whether all lines of the trace are kept.
    pub keep_trace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { controllers: 3, nodes: 4, jobs: 60, faults_s: 120, keep_trace: false }
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    pub trace: Trace,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    pub terms: u64,
    pub entries: u64,
    pub acknowledged: usize,
    pub launches: usize,
}

/// How long after the faults every job must have ended. A job whose node failed waits for two
/// minutes before it runs again, and may meet a time limit then.
const LIVENESS_MS: u64 = 1_200_000;

/// The moment at which each run begins, in milliseconds since the epoch.
const EPOCH: u64 = 1_700_000_000_000;

/// Everything that chance decides comes from here.
pub(super) struct Random(fastrand::Rng);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// A number below `end`; 0 where `end` is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.0.u64(..end) }
    }

    pub(super) fn index(&mut self, len: usize) -> usize {
        self.0.usize(..len)
    }

    /// Whether something happens that happens `thousandths` of times.
    pub(super) fn chance(&mut self, thousandths: u32) -> bool {
        self.0.u32(..1_000) < thousandths
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0.u64(..)
    }
}

/// Something that will happen. Each names the life of whom it concerns, so that what was under way
/// when somebody died does not reach who comes after.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    Elect,
    Commit { term: u64 },
    Committed { controller: usize, life: u64, flight: u64 },
    Lost { controller: usize, life: u64, flight: u64 },
    Apply { controller: usize, life: u64 },
    Depose { controller: usize, life: u64, term: u64 },
    ControllerTick { controller: usize, life: u64 },
    Flush { controller: usize, life: u64 },
    Restart { controller: usize },
    FromNode { controller: usize, life: u64, stream: u64, said: super::host::Said },
    ToNode { node: usize, life: u64, stream: u64, term: u64, said: super::leader::Said },
    StreamBroken { node: usize, stream: u64 },
    HostTick { node: usize, life: u64 },
    HostInput { node: usize, life: u64, input: node::agent::Input },
    Supervisor { node: usize, boot: u64, run: node::run::RunId, step: super::host::Step },
    HostRestart { node: usize },
    Asked { controller: usize, life: u64, ask: Ask },
    Answered { ask: Ask, outcome: super::leader::Outcome },
    UserTick,
    Fault,
    Heal,
}

pub struct World {
    pub(super) seed: u64,
    pub(super) options: Options,
    pub(super) now: u64,
    serial: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    pub(super) random: Random,
    pub(super) raft: Raft,
    pub(super) network: Network,
    pub(super) controllers: Vec<Controller>,
    pub(super) desks: Vec<Option<Desk>>,
    pub(super) hosts: Vec<Host>,
    pub(super) user: User,
    pub(super) witness: Witness,
    /// What everybody will have applied once they have caught up.
    pub(super) truth: State,
    pub(super) trace: Trace,
    pub(super) faults: bool,
    streams: u64,
}

impl World {
    pub(super) fn new(seed: u64, options: Options) -> Self {
        let mut random = Random::new(seed);
        let hosts = (0..options.nodes).map(|at| Host::new(at, &mut random)).collect();
        let mut world = Self {
            seed,
            options,
            now: 0,
            serial: 0,
            queue: BTreeMap::new(),
            raft: Raft::default(),
            network: Network::default(),
            controllers: (0..options.controllers).map(|_| Controller::new()).collect(),
            desks: (0..options.controllers).map(|_| None).collect(),
            hosts,
            user: User::new(options.jobs),
            witness: Witness::default(),
            truth: State::default(),
            trace: Trace::new(options.keep_trace),
            faults: true,
            streams: 0,
            random,
        };
        world.network.heal();
        world.form();
        for controller in 0..options.controllers {
            world.start_controller(controller);
        }
        for node in 0..options.nodes {
            world.start_host(node);
        }
        world.soon(1, Happening::Elect);
        world.soon(2_000, Happening::UserTick);
        world.soon(3_000, Happening::Fault);
        world.soon(options.faults_s * 1_000, Happening::Heal);
        world
    }

    /// Lets everything happen.
    pub(super) fn run(mut self) -> Outcome {
        let end = self.options.faults_s * 1_000 + LIVENESS_MS;
        let seed = self.seed;
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while self.now < end && !self.is_over() {
                self.step();
            }
            assert!(self.is_over(), "not over in time:\n{}", self.unfinished());
            self.check_end();
        }));
        if let Err(panic) = ran {
            let lines = self.trace.lines();
            for line in &lines[lines.len().saturating_sub(200)..] {
                eprintln!("{line}");
            }
            eprintln!("SEED={seed}: an invariant does not hold; the lines above led to it");
            std::panic::resume_unwind(panic);
        }
        Outcome {
            simulated_ms: self.now,
            terms: self.raft.term,
            entries: self.raft.committed.len() as u64,
            acknowledged: self.user.acknowledged.len(),
            launches: self.witness.launches(),
            trace: self.trace,
        }
    }

    fn step(&mut self) {
        let ((at, _), happening) = self.queue.pop_first().expect("ticks never end");
        self.now = at;
        if let Some(until) = self.paused_until(&happening) {
            self.at(until, happening);
            return;
        }
        self.happen(happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Elect => self.elect(),
            Happening::Commit { term } => self.commit(term),
            Happening::Committed { controller, life, flight } => {
                self.landed(controller, life, flight, true);
            }
            Happening::Lost { controller, life, flight } => {
                self.landed(controller, life, flight, false);
            }
            Happening::Apply { controller, life } => self.apply(controller, life),
            Happening::Depose { controller, life, term } => self.depose(controller, life, term),
            Happening::ControllerTick { controller, life } => {
                self.controller_tick(controller, life)
            }
            Happening::Flush { controller, life } => self.flush(controller, life),
            Happening::Restart { controller } => self.start_controller(controller),
            Happening::FromNode { controller, life, stream, said } => {
                self.controller_hears(controller, life, stream, said);
            }
            Happening::ToNode { node, life, stream, term, said } => {
                self.node_hears(node, life, stream, term, said);
            }
            Happening::StreamBroken { node, stream } => self.stream_broken(node, stream),
            Happening::HostTick { node, life } => self.host_tick(node, life),
            Happening::HostInput { node, life, input } => self.host_input(node, life, input),
            Happening::Supervisor { node, boot, run, step } => {
                self.supervisor(node, boot, run, step);
            }
            Happening::HostRestart { node } => self.start_host(node),
            Happening::Asked { controller, life, ask } => self.asked(controller, life, ask),
            Happening::Answered { ask, outcome } => self.answered(ask, outcome),
            Happening::UserTick => self.user_tick(),
            Happening::Fault => self.fault(),
            Happening::Heal => self.heal(),
        }
    }

    pub(super) fn at(&mut self, at: u64, happening: Happening) {
        self.serial += 1;
        self.queue.insert((at.max(self.now), self.serial), happening);
    }

    /// Lets something happen after `delay` milliseconds.
    pub(super) fn soon(&mut self, delay: u64, happening: Happening) {
        self.at(self.now + delay, happening);
    }

    pub(super) fn delay(&mut self) -> u64 {
        self.network.delay(&mut self.random)
    }

    pub(super) fn open_stream(&mut self) -> u64 {
        self.streams += 1;
        self.streams
    }

    /// The clock of somebody who is `skew` milliseconds off.
    pub(super) fn clock(&self, skew: i64) -> Timestamp {
        Timestamp((EPOCH + self.now).saturating_add_signed(skew))
    }

    pub(super) fn say(&mut self, text: std::fmt::Arguments<'_>) {
        self.trace.line(self.now, text);
    }

    pub(super) fn places(&self) -> Vec<Place> {
        let controllers = (0..self.controllers.len()).map(Place::Controller);
        let nodes = (0..self.hosts.len()).map(Place::Node);
        controllers.chain(nodes).chain([Place::User]).collect()
    }
}
