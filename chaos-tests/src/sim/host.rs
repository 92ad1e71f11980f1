//! The nodes: a daemon around the real agent, and the supervisors that outlive it.

use std::collections::{BTreeMap, BTreeSet};

use common::{
    gres::GPU,
    id::{Incarnation, Term},
    job::ExitStatus,
    machine::Report,
    node::{GresFound, Inventory},
    time::Timestamp,
};
use node::{
    agent::{Act, Agent, Input},
    disk::standing,
    run::{self, End, Launch, RunId},
    supervisor::{end_of, record_of},
};
use step::spool::{Begun, Found, Started, Tracking};

use super::{
    controller::node_name,
    gpus::GPUS,
    network::Place,
    orders,
    spool::Spool,
    world::{Happening, Random, World},
};

/// Each node's.
const CPUS: u32 = 4;

/// What a node says to the controller that it takes for the leader.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) node: usize,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Hello { inventory: Box<Inventory>, steps: BTreeMap<RunId, Report> },
    Report { run: RunId, report: Report },
    Heartbeat,
}

/// What happens to a supervisor.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// It starts the script.
    Start,
    /// The script ends.
    Exit(ExitStatus),
    /// It is killed with all that it watches, and leaves nothing behind.
    Vanish,
}

pub(super) struct Host {
    pub(super) alive: bool,
    pub(super) life: u64,
    pub(super) boot: u64,
    skew: i64,
    agent: Agent,
    /// On disk, synced whenever they change.
    incarnation: u64,
    term: Term,
    pub(super) spool: Spool,
    /// The CPUs that each holds, and whether its script runs.
    supervisors: BTreeMap<RunId, (u32, bool)>,
    stream: Option<(u64, usize)>,
    welcomed: bool,
    heard: u64,
    /// Who leads, as somebody said that does not.
    hint: Option<usize>,
    /// What was ordered since the daemon started.
    ordered: BTreeSet<RunId>,
}

impl Host {
    pub(super) fn new(_: usize, random: &mut Random) -> Self {
        Self {
            alive: false,
            life: 0,
            boot: 1,
            skew: 0,
            agent: Agent::new(Term(0), []).0,
            incarnation: random.number(),
            term: Term(0),
            spool: Spool::default(),
            supervisors: BTreeMap::new(),
            stream: None,
            welcomed: false,
            heard: 0,
            hint: None,
            ordered: BTreeSet::new(),
        }
    }

    /// Whether nothing of any job is left on it.
    pub(super) fn is_clean(&self) -> bool {
        self.alive && self.spool.is_empty() && self.supervisors.is_empty()
    }

    pub(super) fn left(&self) -> String {
        format!("folders {:?}, supervisors {:?}", self.spool.runs(), self.supervisors)
    }

    pub(super) fn has(&self, run: RunId) -> bool {
        self.supervisors.contains_key(&run)
    }

    fn told(&self, run: RunId) -> Found {
        self.spool.told(run, self.supervisors.contains_key(&run), self.boot)
    }

    fn inventory(&self) -> Box<Inventory> {
        Box::new(Inventory {
            cpus: CPUS,
            boards: 1,
            sockets: 1,
            cores_per_socket: 4,
            threads_per_core: 1,
            memory_mib: 1_000,
            tmp_disk_mib: 0,
            architecture: "sim".into(),
            operating_system: "sim".into(),
            version: "0".into(),
            booted: Timestamp(self.boot),
            daemon_started: Timestamp(self.life),
            incarnation: Incarnation(self.incarnation),
            gres: Some(vec![GresFound { name: GPU.into(), count: GPUS }]),
        })
    }
}

impl World {
    pub(super) fn start_host(&mut self, node: usize) {
        let host = &mut self.hosts[node];
        if host.alive {
            return;
        }
        host.alive = true;
        host.life += 1;
        host.ordered.clear();
        let mut found = Vec::new();
        for run in host.spool.runs() {
            match standing(host.told(run)) {
                Some(standing) => found.push((run, standing)),
                None => host.spool.remove(self.now, run),
            }
        }
        let (agent, acts) = Agent::new(host.term, found);
        host.agent = agent;
        let life = host.life;
        self.say(format_args!("n{node} starts"));
        self.perform(node, acts);
        self.soon(10, Happening::HostTick { node, life });
    }

    /// Ends the daemon, and nothing else.
    pub(super) fn kill_daemon(&mut self, node: usize) {
        let host = &mut self.hosts[node];
        host.alive = false;
        host.life += 1;
        host.stream = None;
        host.welcomed = false;
        self.say(format_args!("n{node}'s daemon dies"));
    }

    /// Ends everything on the machine, and what was not synced; with `wipe`, its disk is lost, too.
    pub(super) fn reboot(&mut self, node: usize, wipe: bool) {
        self.kill_daemon(node);
        let incarnation = self.random.number();
        let (now, host) = (self.now, &mut self.hosts[node]);
        host.boot += 1;
        // A life ends with the kernel, and with the spool.
        host.incarnation = incarnation;
        self.witness.booted(node);
        let host = &mut self.hosts[node];
        for run in std::mem::take(&mut host.supervisors).into_keys() {
            self.witness.stopped(run);
        }
        if wipe {
            host.spool = Spool::default();
            host.term = Term(0);
            self.witness.wiped(node);
        } else {
            host.spool.cut_power(now, &mut self.random);
        }
        self.say(format_args!("n{node} reboots, wiped: {wipe}"));
    }

    pub(super) fn host_tick(&mut self, node: usize, life: u64) {
        if !self.runs(node, life) {
            return;
        }
        self.soon(500, Happening::HostTick { node, life });
        let silent = self.now - self.hosts[node].heard > 3_000;
        match self.hosts[node].stream {
            Some((stream, _)) if silent => self.stream_broken(node, stream, None),
            Some(_) if self.hosts[node].welcomed => self.say_to_leader(node, What::Heartbeat),
            Some(_) => {}
            None => self.attach(node),
        }
    }

    fn attach(&mut self, node: usize) {
        let any = self.random.index(self.controllers.len());
        let guess = self.hosts[node].hint.take().unwrap_or(any);
        let stream = self.open_stream();
        let now = self.now;
        let host = &mut self.hosts[node];
        host.stream = Some((stream, guess));
        host.welcomed = false;
        host.heard = now;
        let steps = host.agent.hello();
        let inventory = host.inventory();
        self.say_to_leader(node, What::Hello { inventory, steps });
    }

    fn say_to_leader(&mut self, node: usize, what: What) {
        let Some((stream, controller)) = self.hosts[node].stream else { return };
        let life = self.controllers[controller].life;
        let said = Box::new(Said { node, what });
        let message = Happening::FromNode { controller, life, stream, said };
        self.send(Place::Node(node), Place::Controller(controller), node, stream, message);
    }

    /// Sends a message on a stream. One that is lost breaks it, which is noticed later.
    pub(super) fn send(
        &mut self,
        from: Place,
        to: Place,
        node: usize,
        stream: u64,
        message: Happening,
    ) {
        if self.witness.broken.contains(&(stream, from)) {
            return;
        }
        if !self.network.reaches(from, to) {
            // Nothing comes behind what is missing. The other direction goes on for a while.
            self.witness.broken.insert((stream, from));
            let noticed = 3_000 + self.random.below(4_000);
            self.soon(noticed, Happening::StreamBroken { node, stream, hint: None });
            return;
        }
        let copies = self.network.copies(&mut self.random);
        if copies == 0 {
            self.witness.broken.insert((stream, from));
            let noticed = self.random.below(2_000);
            self.soon(noticed, Happening::StreamBroken { node, stream, hint: None });
        }
        for _ in 0..copies {
            let arrival = self.now + self.delay();
            let last = self.witness.arrivals.entry((stream, from)).or_default();
            *last = arrival.max(*last);
            let arrival = *last;
            self.at(arrival, message.clone());
        }
    }

    pub(super) fn stream_broken(&mut self, node: usize, stream: u64, hint: Option<usize>) {
        if self.hosts[node].stream.is_none_or(|(current, _)| current != stream) {
            return;
        }
        self.hosts[node].stream = None;
        self.hosts[node].hint = hint;
        if std::mem::replace(&mut self.hosts[node].welcomed, false) {
            let life = self.hosts[node].life;
            self.host_input(node, life, Input::Detached);
        }
    }

    pub(super) fn node_hears(
        &mut self,
        node: usize,
        life: u64,
        stream: u64,
        term: u64,
        said: orders::Said,
    ) {
        let current = self.hosts[node].stream.is_some_and(|(current, _)| current == stream);
        if !self.runs(node, life) || !current {
            return;
        }
        self.hosts[node].heard = self.now;
        let term = Term(term);
        match said {
            orders::Said::Beat => {}
            orders::Said::Welcome => {
                self.hosts[node].welcomed = true;
                self.host_input(node, life, Input::Attached { term });
            }
            orders::Said::Order(order) => {
                if let run::Order::Launch(launch) = &order {
                    self.hosts[node].ordered.insert(launch.run());
                }
                self.host_input(node, life, Input::Heard { term, order });
            }
        }
    }

    /// An order of a leader of the past arrives, whatever became of its stream.
    pub(super) fn late_order(&mut self, node: usize, term: u64, order: run::Order) {
        let (life, term) = (self.hosts[node].life, Term(term));
        if self.hosts[node].agent.term() > term {
            self.host_input(node, life, Input::Heard { term, order });
        }
    }

    fn runs(&self, node: usize, life: u64) -> bool {
        self.hosts[node].alive && self.hosts[node].life == life
    }

    pub(super) fn host_input(&mut self, node: usize, life: u64, input: Input) {
        if !self.runs(node, life) {
            return;
        }
        let now = self.clock(self.hosts[node].skew);
        let acts = self.hosts[node].agent.handle(now, input);
        self.perform(node, acts);
    }

    /// Carries out what the agent asks for. The daemon may die after any of it.
    fn perform(&mut self, node: usize, acts: Vec<Act>) {
        for act in acts {
            self.act(node, act);
            if self.faults && self.random.chance(3) {
                self.kill_daemon(node);
                let down = self.random.below(15_000);
                self.soon(down, Happening::HostRestart { node });
                return;
            }
        }
    }

    fn act(&mut self, node: usize, act: Act) {
        let disk = 1 + self.random.below(5);
        let boot = self.hosts[node].boot;
        match act {
            Act::KeepTerm(term) => self.hosts[node].term = term,
            Act::Detach => {
                self.hosts[node].stream = None;
                self.hosts[node].welcomed = false;
            }
            Act::Prepare(launch) => self.prepare(node, &launch),
            Act::Spawn(run) => self.spawn(node, run),
            Act::Watch(run) => self.watch(node, run),
            Act::Terminate { run, termination } => {
                self.witness.preempted.terminated(run);
                let patience = self.random.below(termination.kill_wait.0);
                let step = Step::Exit(ExitStatus { code: 0, signal: 15 });
                self.soon(patience, Happening::Supervisor { node, boot, run, step });
            }
            Act::Signal { run, signal } => self.signal(node, disk, run, &signal),
            Act::Record { run, .. } if self.hosts[node].supervisors.contains_key(&run) => {
                self.told(node, disk, Input::Held(run));
            }
            Act::Record { run, end } => {
                if let Some(ended) = record_of(&end) {
                    self.hosts[node].spool.write(run, "ended.json", &ended, true);
                }
                self.told(node, disk, Input::Recorded(run));
            }
            Act::Remove(run) => {
                self.hosts[node].spool.remove(self.now, run);
                self.told(node, disk, Input::Removed(run));
            }
            Act::Report { run, report } => self.say_to_leader(node, What::Report { run, report }),
        }
    }

    /// The agent will hear `input`, unless its daemon dies before.
    pub(super) fn told(&mut self, node: usize, delay: u64, input: Input) {
        let life = self.hosts[node].life;
        self.soon(delay, Happening::HostInput { node, life, input: Box::new(input) });
    }

    fn prepare(&mut self, node: usize, launch: &Launch) {
        let run = launch.run();
        let disk = 1 + self.random.below(5);
        if self.faults && self.random.chance(10) {
            let node_fault = self.random.chance(500);
            let message = "no space left".to_owned();
            self.told(node, disk, Input::Failed { run, message, node_fault });
            return;
        }
        let host = &mut self.hosts[node];
        host.spool.prepare(launch, &node_name(node), host.boot);
        self.told(node, disk, Input::Prepared(run));
    }

    fn spawn(&mut self, node: usize, run: RunId) {
        let host = &mut self.hosts[node];
        let asked = host.ordered.contains(&run);
        assert!(asked, "{run} begins on n{node}, and no leader said so since its daemon started");
        match host.told(run) {
            Found::NotStarted => {}
            Found::Running(_) | Found::Ended(_) | Found::Orphaned | Found::Unprepared => {
                self.watch(node, run);
                return;
            }
        }
        let (boot, cpus) = (host.boot, host.spool.cpus(run));
        host.supervisors.insert(run, (cpus, false));
        let delay = 1 + self.random.below(20);
        self.soon(delay, Happening::Supervisor { node, boot, run, step: Step::Start });
    }

    /// Tells the daemon what a supervisor that it begins to watch has come to.
    fn watch(&mut self, node: usize, run: RunId) {
        let input = match self.hosts[node].told(run) {
            Found::Running(Some(_)) => Input::Started(run),
            Found::Running(None) => return,
            Found::Ended(ended) => Input::Ended { run, end: end_of(ended) },
            Found::Orphaned | Found::Unprepared | Found::NotStarted => Input::Vanished(run),
        };
        self.told(node, 1, input);
    }

    pub(super) fn supervisor(&mut self, node: usize, boot: u64, run: RunId, step: Step) {
        let host = &self.hosts[node];
        if host.boot != boot || !host.supervisors.contains_key(&run) {
            return;
        }
        match step {
            Step::Start => self.start_script(node, run),
            Step::Exit(exit) => {
                let at = self.clock(self.hosts[node].skew);
                self.end_script(node, run, End::Exited { at, exit, out_of_memory: false });
            }
            Step::Vanish => {
                self.hosts[node].supervisors.remove(&run);
                self.witness.stopped(run);
                self.told(node, 1, Input::Vanished(run));
            }
        }
    }

    fn start_script(&mut self, node: usize, run: RunId) {
        let boot = self.hosts[node].boot;
        let begun = Begun { boot: boot.to_string(), cgroups: vec![] };
        self.hosts[node].spool.write(run, "begun.json", &begun, false);
        if self.random.chance(20) {
            let at = self.clock(self.hosts[node].skew);
            let message = "no such user".to_owned();
            self.end_script(node, run, End::LaunchFailed { at, message, node_fault: false });
            return;
        }
        self.run_script(node, run);
        let long = if self.random.chance(100) { 300_000 } else { 5_000 };
        let lasts = 1 + self.random.below(long);
        let code = if self.random.chance(100) { 1 } else { 0 };
        let step = match self.faults && self.random.chance(20) {
            true => Step::Vanish,
            false => Step::Exit(ExitStatus { code, signal: 0 }),
        };
        self.soon(lasts, Happening::Supervisor { node, boot, run, step });
    }

    fn run_script(&mut self, node: usize, run: RunId) {
        let host = &mut self.hosts[node];
        let runs = host.supervisors.iter().filter(|(_, (_, runs))| *runs);
        let (mut cpus, mut same_job) = (0, false);
        for (other, (held, _)) in runs {
            cpus += held;
            same_job |= other.job == run.job;
        }
        assert!(!same_job, "two attempts of one job run on n{node}: {run}");
        let supervisor = host.supervisors.get_mut(&run).expect("it starts its script");
        supervisor.1 = true;
        assert!(cpus + supervisor.0 <= CPUS, "CPUs of n{node} are held twice when {run} starts");
        let started = Started {
            at_ms: self.now,
            pid: 1,
            start_ticks: 1,
            tracking: Tracking::Cgroup2,
            memory_limited: false,
        };
        host.spool.write(run, "started.json", &started, false);
        self.witness.started(run, node);
        self.say(format_args!("n{node} runs {run}"));
        self.told(node, 1, Input::Started(run));
    }

    fn end_script(&mut self, node: usize, run: RunId, end: End) {
        let host = &mut self.hosts[node];
        host.supervisors.remove(&run);
        let ended = record_of(&end).expect("a supervisor writes how it ended");
        host.spool.write(run, "ended.json", &ended, true);
        self.witness.ended(run, node, &ended);
        self.say(format_args!("n{node} ends {run}"));
        self.told(node, 1, Input::Ended { run, end });
    }

    pub(super) fn skew_host(&mut self, node: usize, skew: i64) {
        self.hosts[node].skew = skew;
    }
}
