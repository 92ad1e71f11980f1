//! What the node does with its runs, as a function of what it hears. Pure.
//!
//! The daemon tells the agent what happened ([`Input`]) and carries out what it asks for ([`Act`]),
//! in order. Whatever an act brings about comes back as an input.
//!
//! ```text
//!   launch       Prepared        Started        Ended
//!  ────────▶ Preparing ──▶ Launching ──▶ Running ──▶ Over ──▶ Removing ──▶ (forgotten)
//!     │          │ Failed   ▲ │ Failed     │ Vanished ▲  release
//!     ▼          ▼          │ ▼            ▼          │
//!  Waiting       └──────────┼▶ Recording ◀─┴──────────┘ Recorded
//!  (for an earlier attempt, │  ▲
//!   or for room)            │  └── a termination that comes before the launch, or finds it Idle
//!                           │ launch
//!                         Idle: the leader that ordered it is gone, or the daemon was
//! ```
//!
//! **Invariant:** a run begins only while the node is attached to a leader that has ordered it on
//! that stream. One whose folder was made while the stream broke or the daemon was restarted waits,
//! until a leader says again that it is wanted: the node may have been given up meanwhile, and the
//! job may run elsewhere.
//!
//!
//! A launch whose script is not to be had for now is dropped, and not spoken of: `Unavailable`.
//!
//! **Invariant:** a run that was ever prepared, or whose end was ever recorded, is never prepared
//! again. A launch that comes after its own termination finds the run's recorded end.
//!
//! **Invariant:** nothing is reported that a restart of the daemon would forget, and no end is
//! forgotten before the leader released it: by then the log has it.
//!
//! **Invariant:** nobody is obeyed whose term is older than the latest that was ever heard. The
//! latest goes to disk before an order of it is carried out, so that a restart can't make the node
//! obedient to a leader of the past.

mod ends;
mod terminate;

use std::collections::BTreeMap;

use common::{
    id::{JobId, Term},
    job::ExitStatus,
    machine::{Cause, Report},
    planted::{Bug, planted},
    time::Timestamp,
};

use crate::run::{End, Launch, Order, RunId, Signal, Termination};

#[cfg(test)]
mod tests;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A leader has read what [`Agent::hello`] listed, and has welcomed the node.
    Attached {
        term: Term,
    },
    /// The stream to the leader ended.
    Detached,
    Heard {
        term: Term,
        order: Order,
    },
    /// The run's folder is complete.
    Prepared(RunId),
    /// The run's script or environment is not to be had for now. Nothing of it is on disk.
    Unavailable(RunId),
    /// The run's folder, or its supervisor, could not be made.
    Failed {
        run: RunId,
        message: String,
        node_fault: bool,
    },
    /// The script runs.
    Started(RunId),
    Delivered {
        run: RunId,
        number: u32,
    },
    /// The supervisor put the end on disk.
    Ended {
        run: RunId,
        end: End,
    },
    /// The supervisor is gone and left no end; nothing of the run is left either.
    Vanished(RunId),
    /// The end that [`Act::Record`] names is on disk.
    Recorded(RunId),
    /// No end was recorded: a supervisor holds the run after all.
    Held(RunId),
    /// The run's folder is gone.
    Removed(RunId),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Put the term on disk. What follows waits for it.
    KeepTerm(Term),
    /// Close the stream: who speaks leads no more.
    Detach,
    /// Make the run's folder, then tell: [`Input::Prepared`], [`Input::Unavailable`] or
    /// [`Input::Failed`].
    Prepare(Box<Launch>),
    /// Start the run's supervisor, and watch it. It sees for itself whether another was started
    /// before.
    Spawn(RunId),
    /// Watch the supervisor that an earlier life of the daemon started.
    Watch(RunId),
    Terminate {
        run: RunId,
        termination: Termination,
    },
    Signal {
        run: RunId,
        signal: Signal,
    },
    /// Put an end on disk that no supervisor writes, then tell: [`Input::Recorded`], or
    /// [`Input::Held`].
    Record {
        run: RunId,
        end: End,
    },
    /// Delete the run's folder, then tell: [`Input::Removed`].
    Remove(RunId),
    /// Tell the leader.
    Report {
        run: RunId,
        report: Report,
    },
}

/// What the disk says of a run when the daemon starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Its folder is complete. No supervisor has begun it.
    Idle,
    /// A supervisor lives, and has not begun it yet.
    Launching,
    /// Its supervisor began it. Whether it still lives, who watches it will find out.
    Running,
    Over(End),
}

/// The runs of this node.
#[derive(Clone, Debug)]
pub struct Agent {
    /// The latest that was heard.
    term: Term,
    attached: bool,
    runs: BTreeMap<RunId, Run>,
    /// What the last hello said. Whoever answers it knows this much.
    listed: BTreeMap<RunId, Report>,
}

#[derive(Clone, Debug)]
struct Run {
    stage: Stage,
    /// Ordered by the leader that the node is attached to.
    wanted: bool,
    /// The termination that it got.
    doom: Option<Termination>,
    /// The last signal that was passed on to its supervisor, and the last that it confirmed.
    signalled: u32,
    delivered: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// An earlier attempt of its job is not over, or a run that nobody wants. Nothing of it is on
    /// disk.
    Waiting(Box<Launch>),
    /// Its folder is being made.
    Preparing,
    /// Its folder is complete. It waits to be wanted.
    Idle,
    /// Its folder is complete, and its supervisor is being started.
    Launching,
    /// Its script has been started.
    Running,
    /// Its end is on its way to the disk.
    Recording(End),
    /// Its end is on disk.
    Over(End),
    /// Released.
    Removing,
}

impl Run {
    fn new(stage: Stage) -> Self {
        Self { stage, wanted: false, doom: None, signalled: 0, delivered: 0 }
    }

    /// Whether nothing of it runs or will run.
    fn is_over(&self) -> bool {
        match self.stage {
            Stage::Over(_) | Stage::Removing => true,
            Stage::Waiting(_)
            | Stage::Preparing
            | Stage::Idle
            | Stage::Launching
            | Stage::Running
            | Stage::Recording(_) => false,
        }
    }

    /// What there is to say of it.
    fn report(&self) -> Option<Report> {
        match &self.stage {
            Stage::Waiting(_) | Stage::Preparing | Stage::Removing => None,
            // An end that is not on disk yet is nothing to speak of, but the run is not missing.
            Stage::Idle | Stage::Launching | Stage::Recording(_) => Some(Report::Launching),
            Stage::Running => Some(Report::Running),
            Stage::Over(end) => Some(end.clone().into()),
        }
    }
}

impl Agent {
    /// The agent of a daemon that starts, with the latest term and the runs that are on its disk,
    /// and what is to be done about them.
    #[must_use]
    pub fn new(term: Term, found: impl IntoIterator<Item = (RunId, Found)>) -> (Self, Vec<Act>) {
        let mut runs = BTreeMap::new();
        let mut acts = Vec::new();
        for (run, found) in found {
            let stage = match found {
                Found::Idle => Stage::Idle,
                Found::Launching => {
                    acts.push(Act::Watch(run));
                    Stage::Launching
                }
                Found::Running => {
                    acts.push(Act::Watch(run));
                    Stage::Running
                }
                Found::Over(end) => Stage::Over(end),
            };
            runs.insert(run, Run::new(stage));
        }
        (Self { term, attached: false, runs, listed: BTreeMap::new() }, acts)
    }

    /// The latest term that was heard.
    #[must_use]
    pub fn term(&self) -> Term {
        self.term
    }

    /// Every run that a new leader must know of, with the last report of it.
    pub fn hello(&mut self) -> BTreeMap<RunId, Report> {
        let reports = self.runs.iter().filter_map(|(run, state)| Some((*run, state.report()?)));
        self.listed = reports.collect();
        self.listed.clone()
    }

    /// Whether nothing is going on that a stopping daemon should wait for.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.runs.values().all(|run| match run.stage {
            Stage::Preparing | Stage::Recording(_) | Stage::Removing => false,
            Stage::Waiting(_)
            | Stage::Idle
            | Stage::Launching
            | Stage::Running
            | Stage::Over(_) => true,
        })
    }

    /// How many runs there are that are not over.
    #[must_use]
    pub fn active(&self) -> usize {
        self.runs.values().filter(|run| !run.is_over()).count()
    }

    /// Follows what happened, and says what is to be done about it.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Act> {
        match input {
            Input::Attached { term } => self.attach(term),
            Input::Detached => {
                self.detach();
                vec![]
            }
            Input::Heard { term, order } => self.hear(now, term, order),
            Input::Prepared(run) => self.prepared(now, run),
            Input::Unavailable(run) => self.unavailable(now, run),
            Input::Failed { run, message, node_fault } => {
                self.end_unwritten(run, End::LaunchFailed { at: now, message, node_fault })
            }
            Input::Vanished(run) => self.end_unwritten(run, End::Lost { at: now }),
            Input::Started(run) => self.started(run),
            Input::Delivered { run, number } => self.delivered(run, number),
            Input::Ended { run, end } => self.ended(run, end),
            Input::Recorded(run) => self.recorded(run),
            Input::Held(run) => self.held(run),
            Input::Removed(run) => {
                if self.runs.get(&run).is_some_and(|state| state.stage == Stage::Removing) {
                    self.runs.remove(&run);
                }
                vec![]
            }
        }
    }

    fn attach(&mut self, term: Term) -> Vec<Act> {
        let Some(mut acts) = self.follow(term) else { return vec![Act::Detach] };
        self.attached = true;
        // What has changed since the hello was written, its reader can't know.
        for (run, state) in &self.runs {
            if let Some(report) = state.report()
                && self.listed.get(run) != Some(&report)
            {
                acts.push(Act::Report { run: *run, report });
            }
        }
        acts
    }

    fn detach(&mut self) {
        self.attached = false;
        // Whether a launch is still wanted, the next leader will say.
        self.runs.retain(|_, run| !matches!(run.stage, Stage::Waiting(_)));
        for run in self.runs.values_mut() {
            run.wanted = false;
        }
        if planted(Bug::DropCompletion) {
            self.runs.retain(|_, run| !matches!(run.stage, Stage::Over(_)));
        }
    }

    /// Takes note of a leader's term; none where it is of the past.
    fn follow(&mut self, term: Term) -> Option<Vec<Act>> {
        if term < self.term && !planted(Bug::IgnoreTerm) {
            return None;
        }
        let later = term > self.term;
        self.term = self.term.max(term);
        Some(if later { vec![Act::KeepTerm(term)] } else { vec![] })
    }

    fn hear(&mut self, now: Timestamp, term: Term, order: Order) -> Vec<Act> {
        if !self.attached {
            return vec![];
        }
        let Some(mut acts) = self.follow(term) else {
            self.detach();
            return vec![Act::Detach];
        };
        acts.extend(match order {
            Order::Launch(launch) => self.launch(now, launch),
            Order::Terminate { run, termination } => self.terminate(now, run, termination),
            Order::Signal { run, signal } => self.signal(run, signal),
            Order::Release(run) => self.release(run),
        });
        acts
    }

    fn launch(&mut self, now: Timestamp, launch: Box<Launch>) -> Vec<Act> {
        let run = launch.run();
        if let Some(known) = self.runs.get_mut(&run) {
            known.wanted = true;
            if known.stage == Stage::Idle && self.may_begin(run) {
                return self.spawn(run);
            }
            return self.tell(run);
        }
        if self.of_job(run.job).any(|(other, _)| other.attempt > run.attempt) {
            return vec![];
        }
        let mut acts = self.clear_the_way(now, run);
        let stage = if self.may_begin(run) {
            acts.push(Act::Prepare(launch));
            Stage::Preparing
        } else {
            Stage::Waiting(launch)
        };
        self.runs.insert(run, Run { wanted: true, ..Run::new(stage) });
        acts
    }

    fn of_job(&self, job: JobId) -> impl Iterator<Item = (RunId, &Run)> {
        let attempts = self.runs.iter().map(|(run, state)| (*run, state));
        attempts.filter(move |(run, _)| run.job == job)
    }

    /// Whether all earlier attempts of its job are over, and all runs that the cluster does not
    /// want. What those hold, the cluster gives to others, and nothing may be held twice.
    fn may_begin(&self, run: RunId) -> bool {
        self.runs.iter().all(|(other, state)| {
            let earlier = other.job == run.job && other.attempt < run.attempt;
            let stale = state.doom.is_some_and(|doom| doom.cause == Cause::Stale);
            state.is_over() || !(earlier || stale)
        })
    }

    fn prepared(&mut self, now: Timestamp, run: RunId) -> Vec<Act> {
        let Some(state) = self.runs.get_mut(&run).filter(|s| s.stage == Stage::Preparing) else {
            return vec![];
        };
        if state.doom.is_some() {
            return self.record(run, never_ran(now));
        }
        if !state.wanted {
            state.stage = Stage::Idle;
            return self.tell(run);
        }
        self.spawn(run)
    }

    fn spawn(&mut self, run: RunId) -> Vec<Act> {
        let state = self.runs.get_mut(&run).expect("its callers have found it");
        state.stage = Stage::Launching;
        let mut acts = self.tell(run);
        acts.push(Act::Spawn(run));
        acts
    }

    /// Forgets the launch, of which nobody was told: a leader that still wants it orders it again.
    fn unavailable(&mut self, now: Timestamp, run: RunId) -> Vec<Act> {
        let Some(state) = self.runs.get(&run).filter(|s| s.stage == Stage::Preparing) else {
            return vec![];
        };
        if state.doom.is_some() {
            return self.record(run, never_ran(now));
        }
        self.runs.remove(&run);
        self.begin_waiting()
    }

    fn started(&mut self, run: RunId) -> Vec<Act> {
        match self.runs.get_mut(&run) {
            Some(state) if state.stage == Stage::Launching => state.stage = Stage::Running,
            Some(_) | None => return vec![],
        }
        self.tell(run)
    }

    fn signal(&mut self, run: RunId, signal: Signal) -> Vec<Act> {
        let Some(state) = self.runs.get_mut(&run) else { return vec![] };
        match state.stage {
            Stage::Launching | Stage::Running if signal.number > state.signalled => {
                state.signalled = signal.number;
                vec![Act::Signal { run, signal }]
            }
            Stage::Launching | Stage::Running if signal.number <= state.delivered => {
                let report = Report::Delivered { number: state.delivered };
                self.report(run, report)
            }
            Stage::Over(_) => self.tell(run),
            Stage::Launching
            | Stage::Running
            | Stage::Waiting(_)
            | Stage::Preparing
            | Stage::Idle
            | Stage::Recording(_)
            | Stage::Removing => vec![],
        }
    }

    fn delivered(&mut self, run: RunId, number: u32) -> Vec<Act> {
        let Some(state) = self.runs.get_mut(&run) else { return vec![] };
        state.delivered = state.delivered.max(number);
        state.signalled = state.signalled.max(number);
        self.report(run, Report::Delivered { number })
    }

    fn release(&mut self, run: RunId) -> Vec<Act> {
        let Some(state) = self.runs.get_mut(&run) else { return vec![] };
        if let Stage::Over(_) = state.stage {
            state.stage = Stage::Removing;
            return vec![Act::Remove(run)];
        }
        // The leader takes it for over, and it is not.
        self.tell(run)
    }

    /// Reports what there is to say of a run.
    fn tell(&self, run: RunId) -> Vec<Act> {
        let report = self.runs.get(&run).and_then(Run::report);
        report.map_or_else(Vec::new, |report| self.report(run, report))
    }

    fn report(&self, run: RunId, report: Report) -> Vec<Act> {
        if self.attached { vec![Act::Report { run, report }] } else { vec![] }
    }
}

/// The end of a run that was terminated before it began.
fn never_ran(at: Timestamp) -> End {
    End::Exited { at, exit: ExitStatus::default(), out_of_memory: false }
}
