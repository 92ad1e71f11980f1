//! The world of a run: its time, its queue of what will happen, and who lives in it.

use std::{
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, Instant},
};

use common::{id::JobId, machine::State, time::Timestamp};
use node::run::{self, RunId};

use super::{
    campaign::Totals,
    controller::Controller,
    elect::Wanted,
    host::Host,
    leader::{self, Office},
    log::Item,
    network::{Network, Place},
    orders,
    preempting::Making,
    raft,
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
    pub making: Making,
    /// Whether all lines of the trace are kept.
    pub keep_trace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            controllers: 3,
            nodes: 4,
            jobs: 60,
            faults_s: 120,
            making: Making::Nobody,
            keep_trace: false,
        }
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    pub trace: Trace,
    pub totals: Totals,
}

/// How long after the faults every job must have ended. A job whose node failed waits for two
/// minutes before it runs again, may meet a time limit then, and may share one node with all
/// others.
const LIVENESS_MS: u64 = 3_000_000;

/// How often it is looked whether a run is over.
const LOOK_MS: u64 = 250;

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
    Raft { to: usize, life: u64, raft_id: u64, from: u64, said: raft::Said },
    Synced { controller: usize, life: u64, index: u64 },
    Purge { controller: usize, life: u64, upto: u64 },
    Apply { controller: usize, life: u64 },
    ControllerTick { controller: usize, life: u64 },
    Flush { controller: usize, life: u64 },
    Restart { controller: usize },
    Replace { controller: usize },
    FromNode { controller: usize, life: u64, stream: u64, said: Box<super::host::Said> },
    LateReport { late: Box<orders::Late> },
    ToNode { node: usize, life: u64, stream: u64, term: u64, said: Box<orders::Said> },
    LateOrder { node: usize, term: u64, order: Box<run::Order> },
    StreamBroken { node: usize, stream: u64, hint: Option<usize> },
    HostTick { node: usize, life: u64 },
    HostInput { node: usize, life: u64, input: Box<node::agent::Input> },
    Supervisor { node: usize, boot: u64, run: RunId, step: super::host::Step },
    HostRestart { node: usize },
    Watchdog { node: usize },
    Asked { controller: usize, life: u64, ask: Ask },
    Waited { controller: usize, life: u64, ask: Ask, index: u64, tries: u32 },
    Answered { ask: Ask, outcome: leader::Outcome, index: u64 },
    UserTick,
    Fault,
    Heal,
}

impl Happening {
    /// The controller that does not notice while it is frozen.
    fn concerns(&self) -> Option<usize> {
        match self {
            Self::Raft { to: controller, .. }
            | Self::Synced { controller, .. }
            | Self::Purge { controller, .. }
            | Self::Apply { controller, .. }
            | Self::ControllerTick { controller, .. }
            | Self::Flush { controller, .. }
            | Self::FromNode { controller, .. }
            | Self::Asked { controller, .. }
            | Self::Waited { controller, .. } => Some(*controller),
            Self::LateReport { late } => Some(late.controller),
            Self::Elect
            | Self::Restart { .. }
            | Self::Replace { .. }
            | Self::ToNode { .. }
            | Self::LateOrder { .. }
            | Self::StreamBroken { .. }
            | Self::HostTick { .. }
            | Self::HostInput { .. }
            | Self::Supervisor { .. }
            | Self::HostRestart { .. }
            | Self::Watchdog { .. }
            | Self::Answered { .. }
            | Self::UserTick
            | Self::Fault
            | Self::Heal => None,
        }
    }
}

pub(super) struct World {
    pub(super) options: Options,
    pub(super) now: u64,
    serial: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    pub(super) random: Random,
    pub(super) network: Network,
    pub(super) controllers: Vec<Controller>,
    pub(super) offices: Vec<Option<Office>>,
    pub(super) wanted: Wanted,
    pub(super) next_raft_id: u64,
    pub(super) terms: u64,
    pub(super) hosts: Vec<Host>,
    pub(super) user: User,
    pub(super) witness: Witness,
    /// What is committed, in order, and the state that follows from it.
    pub(super) chain: Vec<Rc<Item>>,
    pub(super) truth: State,
    pub(super) trace: Trace,
    pub(super) faults: bool,
    /// When the faults ended.
    pub(super) healed: Option<u64>,
    /// What the code that measures spans of time is told the run began at: only what has passed
    /// since counts.
    pub(super) epoch: Instant,
    streams: u64,
    /// Reports that are held up, by their jobs.
    pub(super) late: BTreeMap<JobId, Vec<orders::Late>>,
}

impl World {
    pub(super) fn new(seed: u64, options: Options) -> Self {
        let mut random = Random::new(seed);
        let hosts = (0..options.nodes).map(|at| Host::new(at, &mut random)).collect();
        let controllers = (1..=options.controllers as u64).map(Controller::new).collect();
        let mut world = Self {
            options,
            now: 0,
            serial: 0,
            queue: BTreeMap::new(),
            network: Network::default(),
            controllers,
            offices: (0..options.controllers).map(|_| None).collect(),
            wanted: Wanted::default(),
            next_raft_id: options.controllers as u64 + 1,
            terms: 0,
            hosts,
            user: User::new(options.jobs),
            witness: Witness::default(),
            chain: vec![],
            truth: State::default(),
            trace: Trace::new(options.keep_trace),
            faults: true,
            healed: None,
            epoch: Instant::now(),
            streams: 0,
            late: BTreeMap::new(),
            random,
        };
        #[cfg(feature = "planted")]
        super::planted::use_clock();
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

    /// Lets everything happen, and checks how it ends.
    pub(super) fn run(&mut self) {
        let end = self.options.faults_s * 1_000 + LIVENESS_MS;
        let mut look = 0;
        while self.now < end && (self.now < look || !self.is_over()) {
            if self.now >= look {
                look = self.now + LOOK_MS;
            }
            self.step();
        }
        assert!(self.is_over(), "not over in time:\n{}", self.unfinished());
        self.check_end();
    }

    pub(super) fn outcome(self) -> Outcome {
        let totals = Totals {
            runs: 1,
            simulated_ms: self.now,
            terms: self.terms,
            entries: self.chain.len() as u64,
            reads: self.user.reads,
            preempted: self.witness.preempted.count(),
            replaced: self.next_raft_id - self.options.controllers as u64 - 1,
            acknowledged: self.user.acknowledged.len(),
            launches: self.witness.launches(),
        };
        Outcome { trace: self.trace, totals }
    }

    fn step(&mut self) {
        let ((at, _), happening) = self.queue.pop_first().expect("ticks never end");
        self.now = at;
        if let Some(controller) = happening.concerns()
            && let Some(until) = self.controllers[controller].paused
        {
            if until > at {
                self.at(until, happening);
                return;
            }
            self.controllers[controller].paused = None;
        }
        self.happen(happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Elect => self.elect(),
            Happening::Raft { to, life, raft_id, from, said } => {
                if self.lives(to, life) && self.controllers[to].raft_id == raft_id {
                    self.hear_raft(to, from, said);
                }
            }
            Happening::Synced { controller, life, index } => self.synced(controller, life, index),
            Happening::Purge { controller, life, upto } => self.purge(controller, life, upto),
            Happening::Apply { controller, life } => self.apply(controller, life),
            Happening::ControllerTick { controller, life } => {
                self.controller_tick(controller, life);
            }
            Happening::Flush { controller, life } => self.flush(controller, life),
            Happening::Restart { controller } => self.start_controller(controller),
            Happening::Replace { controller } => self.replace(controller),
            Happening::FromNode { controller, life, stream, said } => {
                self.controller_hears(controller, life, stream, *said);
            }
            Happening::LateReport { late } => self.late_report(*late),
            Happening::ToNode { node, life, stream, term, said } => {
                self.node_hears(node, life, stream, term, *said);
            }
            Happening::LateOrder { node, term, order } => self.late_order(node, term, *order),
            Happening::StreamBroken { node, stream, hint } => {
                self.stream_broken(node, stream, hint);
            }
            Happening::HostTick { node, life } => self.host_tick(node, life),
            Happening::HostInput { node, life, input } => self.host_input(node, life, *input),
            Happening::Supervisor { node, boot, run, step } => {
                self.supervisor(node, boot, run, step);
            }
            Happening::HostRestart { node } => self.start_host(node),
            Happening::Watchdog { node } => self.watchdog(node),
            Happening::Asked { controller, life, ask } => self.asked(controller, life, ask),
            Happening::Waited { controller, life, ask, index, tries } => {
                self.waited(controller, life, ask, index, tries);
            }
            Happening::Answered { ask, outcome, index } => self.answered(ask, outcome, index),
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

    /// Now, for code that measures spans of time.
    pub(super) fn instant(&self) -> Instant {
        self.epoch + Duration::from_millis(self.now)
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
