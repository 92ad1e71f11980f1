//! A node's disk, its supervisors and its leaders, in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common::{
    id::{JobId, Term},
    job::ExitStatus,
    machine::Report,
    time::Timestamp,
};
use node::{
    agent::{Act, Agent, Found, Input},
    run::{End, Order, RunId, Termination},
};

mod leader;

/// What lies in a run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Folder {
    Prepared,
    /// A supervisor has begun.
    Begun {
        started: bool,
    },
    Ended(End),
}

/// What the daemon does besides thinking. A crash drops it.
#[derive(Clone, Debug)]
enum Task {
    Prepare(RunId),
    Spawn(RunId),
    Record(RunId, End),
    Remove(RunId),
}

/// What the log knows of a run.
#[derive(Clone, Debug, Default)]
struct Logged {
    terminated: bool,
    /// The first end counts.
    end: Option<Report>,
    /// The leader gave the node up: whatever it says of this run comes too late.
    given_up: bool,
    /// The node said that it has it.
    seen: bool,
    /// The node said that it is over.
    over: bool,
}

pub(crate) struct World {
    now: u64,
    agent: Agent,
    kept_term: Term,
    disk: BTreeMap<RunId, Folder>,
    /// Supervisors that live, with the termination that they got.
    alive: BTreeMap<RunId, Option<Termination>>,
    /// What a task of the daemon has to tell a supervisor, once it lives.
    requests: BTreeMap<RunId, Termination>,
    /// Runs that a task of the daemon watches.
    watched: BTreeSet<RunId>,
    tasks: Vec<Task>,
    inputs: VecDeque<Input>,
    starts: BTreeMap<RunId, u32>,
    term: Term,
    /// The latest that the node has heard.
    heard: Term,
    attached: bool,
    log: BTreeMap<RunId, Logged>,
    /// Runs whose termination reached the node before anything else of them did, and those that
    /// had not begun when the node was given up.
    doomed: BTreeSet<RunId>,
}

impl World {
    pub(crate) fn new() -> Self {
        let (agent, acts) = Agent::new(Term(0), []);
        assert_eq!(acts, []);
        Self {
            now: 1_000,
            agent,
            kept_term: Term(0),
            disk: BTreeMap::new(),
            alive: BTreeMap::new(),
            requests: BTreeMap::new(),
            watched: BTreeSet::new(),
            tasks: Vec::new(),
            inputs: VecDeque::new(),
            starts: BTreeMap::new(),
            term: Term(1),
            heard: Term(0),
            attached: false,
            log: BTreeMap::new(),
            doomed: BTreeSet::new(),
        }
    }

    // The daemon.

    fn think(&mut self, input: Input) {
        self.now += 1;
        let acts = self.agent.handle(Timestamp(self.now), input);
        self.act(acts);
    }

    fn act(&mut self, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::KeepTerm(term) => self.kept_term = term,
                Act::Detach => {
                    self.detach();
                    return;
                }
                Act::Prepare(launch) => self.tasks.push(Task::Prepare(launch.run())),
                Act::Spawn(run) => self.tasks.push(Task::Spawn(run)),
                Act::Watch(run) => self.watch(run),
                Act::Terminate { run, termination } => {
                    self.requests.insert(run, termination);
                    self.pass_on(run);
                }
                Act::Signal { .. } => unreachable!("nobody sends signals here"),
                Act::Record { run, end } => self.tasks.push(Task::Record(run, end)),
                Act::Remove(run) => self.tasks.push(Task::Remove(run)),
                Act::Report { run, report } => {
                    assert!(self.attached, "a report without a leader");
                    self.report(run, &report);
                }
            }
        }
    }

    fn pass_on(&mut self, run: RunId) {
        if let (Some(got), Some(termination)) = (self.alive.get_mut(&run), self.requests.get(&run))
        {
            *got = Some(*termination);
        }
    }

    pub(crate) fn hear(&mut self) {
        if let Some(input) = self.inputs.pop_front() {
            self.think(input);
        }
    }

    pub(crate) fn work(&mut self, choice: usize) {
        if !self.tasks.is_empty() {
            let task = self.tasks.remove(choice % self.tasks.len());
            if let (Task::Prepare(run), 8) = (&task, choice) {
                return self.inputs.push_back(Input::Unavailable(*run));
            }
            if let Some(input) = self.carry_out(&task) {
                self.inputs.push_back(input);
            }
        }
    }

    /// What a task does, and what it tells.
    fn carry_out(&mut self, task: &Task) -> Option<Input> {
        match task {
            Task::Prepare(run) => {
                let known = self.disk.insert(*run, Folder::Prepared);
                assert_eq!(known, None, "{run} is prepared twice");
                Some(Input::Prepared(*run))
            }
            Task::Spawn(run) => {
                if self.disk.get(run) == Some(&Folder::Prepared) {
                    self.disk.insert(*run, Folder::Begun { started: false });
                    self.alive.insert(*run, None);
                }
                self.watch(*run);
                self.pass_on(*run);
                None
            }
            Task::Record(run, _) if self.alive.contains_key(run) => Some(Input::Held(*run)),
            Task::Record(run, end) => {
                if !matches!(end, End::Lost { .. }) {
                    self.disk.insert(*run, Folder::Ended(end.clone()));
                }
                Some(Input::Recorded(*run))
            }
            Task::Remove(run) => {
                self.disk.remove(run);
                Some(Input::Removed(*run))
            }
        }
    }

    /// A task watches the run from here on, and tells what it finds.
    fn watch(&mut self, run: RunId) {
        self.watched.insert(run);
        match self.disk.get(&run) {
            Some(Folder::Begun { started }) => {
                if *started {
                    self.inputs.push_back(Input::Started(run));
                }
                if !self.alive.contains_key(&run) {
                    self.inputs.push_back(Input::Vanished(run));
                }
            }
            Some(Folder::Ended(end)) => {
                let end = end.clone();
                self.inputs.push_back(Input::Ended { run, end });
            }
            // As a reboot leaves it: not to be started.
            Some(Folder::Prepared) | None => self.inputs.push_back(Input::Vanished(run)),
        }
    }

    /// The daemon dies. Its tasks may have got done, unheard.
    pub(crate) fn crash(&mut self, done: u64) {
        self.attached = false;
        let tasks = std::mem::take(&mut self.tasks);
        for (at, task) in tasks.iter().enumerate() {
            if done >> (at % 64) & 1 == 1 {
                self.carry_out(task);
            }
        }
        self.restart();
    }

    fn restart(&mut self) {
        self.attached = false;
        self.tasks.clear();
        self.inputs.clear();
        self.watched.clear();
        self.requests.clear();
        let found: Vec<_> = self
            .disk
            .iter()
            .map(|(run, folder)| {
                let found = match folder {
                    Folder::Prepared => Found::Idle,
                    Folder::Begun { started: false } if self.alive.contains_key(run) => {
                        Found::Launching
                    }
                    Folder::Begun { .. } => Found::Running,
                    Folder::Ended(end) => Found::Over(end.clone()),
                };
                (*run, found)
            })
            .collect();
        let (agent, acts) = Agent::new(self.kept_term, found);
        self.agent = agent;
        self.act(acts);
    }

    /// The machine dies. What had not ended never will.
    pub(crate) fn reboot(&mut self) {
        self.alive.clear();
        for folder in self.disk.values_mut() {
            if *folder == Folder::Prepared {
                *folder = Folder::Begun { started: false };
            }
        }
        self.restart();
    }

    // The supervisors.

    pub(crate) fn start(&mut self, choice: usize) {
        let Some((run, _)) = pick(&self.alive, choice) else { return };
        if self.disk[&run] == (Folder::Begun { started: false }) {
            self.disk.insert(run, Folder::Begun { started: true });
            *self.starts.entry(run).or_default() += 1;
            if self.watched.contains(&run) {
                self.inputs.push_back(Input::Started(run));
            }
        }
    }

    pub(crate) fn end(&mut self, choice: usize) {
        let Some((run, _)) = pick(&self.alive, choice) else { return };
        self.alive.remove(&run);
        let code = u8::try_from(self.now % 200).expect("small");
        let end = End::Exited {
            at: Timestamp(self.now),
            exit: ExitStatus { code, signal: 0 },
            out_of_memory: false,
        };
        self.disk.insert(run, Folder::Ended(end.clone()));
        if self.watched.contains(&run) {
            self.inputs.push_back(Input::Ended { run, end });
        }
    }

    pub(crate) fn kill(&mut self, choice: usize) {
        let Some((run, _)) = pick(&self.alive, choice) else { return };
        self.alive.remove(&run);
        if self.watched.contains(&run) {
            self.inputs.push_back(Input::Vanished(run));
        }
    }

    // What must hold.

    pub(crate) fn check(&self) {
        for (run, starts) in &self.starts {
            assert!(*starts <= 1, "the script of {run} was started {starts} times");
            assert!(!self.doomed.contains(run), "{run} was cancelled or given up, and began");
        }
        let jobs: BTreeSet<JobId> = self.alive.keys().map(|run| run.job).collect();
        assert_eq!(jobs.len(), self.alive.len(), "two attempts at a time: {:?}", self.alive);
        for (run, folder) in &self.disk {
            let Folder::Ended(end) = folder else { continue };
            let end = Report::from(end.clone());
            match self.log.get(run).and_then(|logged| logged.end.as_ref()) {
                // A run that was given up may have ended well.
                None | Some(Report::Lost { .. }) => {}
                Some(logged) => assert_eq!(*logged, end, "the log and the disk differ on {run}"),
            }
        }
        assert!(self.kept_term <= self.agent.term());
    }

    /// Without faults, and with all jobs cancelled, everything comes to an end.
    pub(crate) fn settle(&mut self) {
        if !self.attached {
            self.attach(0);
        }
        let jobs: BTreeSet<u32> = self.log.keys().map(|run| run.job.0).collect();
        for _ in 0..8 {
            jobs.iter().for_each(|job| self.terminate(*job));
            while !self.tasks.is_empty() || !self.inputs.is_empty() {
                self.work(0);
                self.hear();
            }
            self.refuse();
            while let Some((run, _)) = pick(&self.alive, 0) {
                let terminated = self.alive[&run].is_some();
                assert!(terminated, "{run} goes on, whom nobody wants");
                self.end(0);
            }
            let over = self.log.iter().filter(|(_, logged)| logged.over).map(|(run, _)| *run);
            for run in over.collect::<Vec<_>>() {
                self.order(Order::Release(run));
            }
            self.check();
        }
        for (run, logged) in &self.log {
            assert!(logged.end.is_some(), "{run} hangs");
        }
        assert_eq!(self.disk, BTreeMap::new());
        assert!(self.agent.hello().is_empty());
    }
}

impl Task {
    fn run(&self) -> RunId {
        match self {
            Self::Prepare(run) | Self::Spawn(run) | Self::Record(run, _) | Self::Remove(run) => {
                *run
            }
        }
    }
}

fn pick<V: Clone>(among: &BTreeMap<RunId, V>, choice: usize) -> Option<(RunId, V)> {
    let at = choice.checked_rem(among.len())?;
    among.iter().nth(at).map(|(run, value)| (*run, value.clone()))
}
