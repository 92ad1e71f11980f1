//! Where a job is in its life.
//!
//! ```text
//!               allocate                    report
//!   Pending ──────────────▶ Active ──────────────────────────▶ Ended
//!     ▲  │                  Allocated ▶ Launching ▶ Running      ▲
//!     │  │ cancel             │ cancel, time limit               │ report
//!     │  ▼                    ▼                                  │
//!     │ Ended             Completing ────────────────────────────┘
//!     └───── requeue ────────┴── (attempt + 1)
//! ```

use std::sync::Arc;

use super::{ArrayPart, Dependency, End, JobSpec, Requeue, SignalScope};
use crate::{
    config::PartitionConf,
    cpus::CpuSet,
    gres::Gres,
    id::{Attempt, Incarnation, JobId, NodeName, PartitionName, Term, UserId},
    resources::Resources,
    time::{TimeLimit, Timestamp},
};

/// A job, as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub id: JobId,
    /// What was asked for. Shared: a change of phase does not copy it.
    pub spec: Arc<JobSpec>,
    pub submitted: Timestamp,
    /// The run that is going on, or that would be the next.
    pub attempt: Attempt,
    /// Higher goes first; 0 is held.
    pub priority: u32,
    pub hold: Hold,
    pub partition: PartitionName,
    /// What the spec's limit and the partition's defaults come to.
    pub time_limit: TimeLimit,
    /// Not before this moment: `--begin`, or the pause after a requeue.
    pub begin: Option<Timestamp>,
    /// Whether a run that a node's failure ended is tried again.
    pub requeue: bool,
    /// Earlier runs that were requeued (`Restarts=`).
    pub restarts: u32,
    pub phase: Phase,
    /// Signals that its owner sent and that its node has not confirmed.
    pub signals: Vec<PendingSignal>,
    /// How many signals were ever sent to this attempt: the next one's number.
    pub signals_sent: u32,
    /// What it has to do with an array.
    pub array: Option<ArrayPart>,
    /// What it waits for of other jobs, and what became of that.
    pub dependency: Option<Arc<Dependency>>,
    /// What its priority is made of that nobody asked for at its submission.
    pub rank: Rank,
    /// Others made way for it, and it has not started since: nobody takes its place.
    pub preemptor: bool,
}

/// What only a multifactor priority looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rank {
    /// Since when neither a hold nor another job keeps it; none: since it was submitted.
    pub since: Option<Timestamp>,
    /// Its priority was set (`scontrol update Priority=`), and no factor counts.
    pub direct: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hold {
    None,
    /// By its owner, who may release it.
    User,
    /// By an operator: only an operator may release it.
    Admin,
    /// The reservation that it waited for is gone: its owner may release it.
    Reservation,
}

/// What a job has only in one phase lives in that phase, so that a pending job can't have nodes
/// and an ended one can't lack an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    Pending,
    /// Holds nodes.
    Active(Run),
    /// Its end is decided, and its nodes are not clean yet: they stay held.
    Completing {
        run: Run,
        end: End,
        requeue: Option<Requeue>,
    },
    /// Over. A job that never ran has no run.
    Ended {
        run: Option<Run>,
        end: End,
    },
}

/// One run of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// When its nodes were allocated (`StartTime=`).
    pub started: Timestamp,
    /// The leader's term that allocated it.
    pub term: Term,
    /// The nodes in the order of their ranks; the first one runs the batch script.
    pub places: Vec<Place>,
    /// The batch host's life that the run belongs to.
    pub incarnation: Incarnation,
    pub stage: Stage,
    /// When the time limit strikes.
    pub deadline: Option<Timestamp>,
    /// Its limit, where it is shorter than the job's, as `--time-min` and `--deadline` let it be.
    pub time_limit: Option<TimeLimit>,
    /// Whether the signal of `--signal` has been sent.
    pub warned: bool,
    /// The reservation that it is in.
    pub stay: Option<Stay>,
    /// What its association is charged for it; none: a unit for each CPU.
    pub charge: Option<Charge>,
    /// That it makes way.
    pub preempted: Option<Preempted>,
}

/// A run's time in a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    pub name: String,
    /// When the run has to be over for its sake; none: it may go on.
    pub until: Option<Timestamp>,
}

/// How a run makes way for another job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preempted {
    pub at: Timestamp,
    /// For which job.
    pub by: JobId,
    /// When it is ended that does not end by itself.
    pub until: Timestamp,
    /// Whether it waits again then.
    pub requeue: bool,
}

/// What a run costs as long as it lasts: what is billed, times `UsageFactor` of its QOS. In
/// millionths of a unit, for each second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Charge(pub u64);

impl Charge {
    /// What one unit comes to: a CPU, where nothing else is said.
    pub const UNIT: u64 = 1_000_000;
}

/// A job's share of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub node: NodeName,
    /// What is taken from the node's books.
    pub held: Resources,
    pub tasks: u32,
    /// Its generic resources, with their ids. The scheduler leaves those open.
    pub gres: Vec<Gres>,
    /// Which CPUs it has. The scheduler leaves that open; none in a log of format 1.
    pub cpus: CpuSet,
}

impl Place {
    /// A share without generic resources, and without ids.
    #[must_use]
    pub fn of(node: NodeName, held: Resources, tasks: u32) -> Self {
        Self { node, held, tasks, gres: vec![], cpus: CpuSet::default() }
    }
}

/// How far a launch has come. Each is a fact that its node confirmed, except the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The nodes are held; the order to launch follows from it.
    Allocated,
    /// The node has the order on its disk.
    Launching,
    /// The script has been started.
    Running,
}

/// A signal on its way to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingSignal {
    /// Rises by one with each signal to this attempt: a node delivers each number once.
    pub number: u32,
    pub signal: u8,
    pub scope: SignalScope,
    pub by: UserId,
}

impl Run {
    /// When it has to be over, where its job's limit is that long.
    #[must_use]
    pub fn deadline_of(&self, limit: TimeLimit) -> Option<Timestamp> {
        let of_limit = limit.span().map(|limit| self.started + limit);
        let of_stay = self.stay.as_ref().and_then(|stay| stay.until);
        let makes_way = self.preempted.map(|preempted| preempted.until);
        of_limit.into_iter().chain(of_stay).chain(makes_way).min()
    }

    /// The node that runs the batch script.
    #[must_use]
    pub fn batch_host(&self) -> &NodeName {
        &self.places.first().expect("a run has at least one node").node
    }

    /// What its association is charged for each second of it.
    #[must_use]
    pub fn charge(&self) -> Charge {
        let cpus: u64 = self.places.iter().map(|place| u64::from(place.held.cpus)).sum();
        self.charge.unwrap_or(Charge(cpus.saturating_mul(Charge::UNIT)))
    }
}

impl Job {
    /// The run that holds nodes, if one does.
    #[must_use]
    pub fn holding(&self) -> Option<&Run> {
        match &self.phase {
            Phase::Active(run) | Phase::Completing { run, .. } => Some(run),
            Phase::Pending | Phase::Ended { .. } => None,
        }
    }

    /// The run that is going on or is over.
    #[must_use]
    pub fn run(&self) -> Option<&Run> {
        match &self.phase {
            Phase::Active(run) | Phase::Completing { run, .. } => Some(run),
            Phase::Ended { run, .. } => run.as_ref(),
            Phase::Pending => None,
        }
    }

    /// That its run makes way, and for whom.
    #[must_use]
    pub fn makes_way(&self) -> Option<Preempted> {
        self.holding().and_then(|run| run.preempted)
    }

    /// How it ended, where that is decided.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        match &self.phase {
            Phase::Completing { end, .. } | Phase::Ended { end, .. } => Some(end),
            Phase::Pending | Phase::Active(_) => None,
        }
    }

    /// The next moment at which something is due by its time limit: the warning signal, or the
    /// limit itself.
    #[must_use]
    pub fn alarm(&self) -> Option<Timestamp> {
        let Phase::Active(run) = &self.phase else {
            return None;
        };
        let deadline = run.deadline?;
        match self.spec.warn_signal {
            // Nothing of a component that is led runs that could be warned.
            Some(warn) if !run.warned && !self.is_led() => Some(deadline - warn.before),
            Some(_) | None => Some(deadline),
        }
    }

    /// Its limit in one of its partitions. One that asks for none and waits in several has the
    /// limit of the partition in which it starts.
    #[must_use]
    pub fn time_limit_in(&self, partition: &PartitionConf) -> TimeLimit {
        if self.partition.is_several() {
            partition.time_limit(self.spec.time_limit)
        } else {
            self.time_limit
        }
    }

    /// The same job, were it in that one of its partitions alone.
    #[must_use]
    pub fn in_partition(&self, partition: &PartitionConf) -> Self {
        let (name, limit) = (partition.name.as_str().into(), self.time_limit_in(partition));
        Self { partition: name, time_limit: limit, ..self.clone() }
    }

    /// Since when it could have run but for its turn and for room. That moment may be to come; of
    /// one that is held it has no meaning.
    #[must_use]
    pub fn eligible(&self) -> Timestamp {
        let since = self.rank.since.unwrap_or(self.submitted);
        self.begin.map_or(since, |begin| since.max(begin))
    }

    /// The limit of the run that is going on or is over, else what it asks for.
    #[must_use]
    pub fn granted_limit(&self) -> TimeLimit {
        self.run().and_then(|run| run.time_limit).unwrap_or(self.time_limit)
    }

    /// The shortest limit that it can do with. Who says by when he wants to be done, and not how
    /// long that takes, can do with a minute, as in Slurm.
    #[must_use]
    pub fn least_limit(&self) -> TimeLimit {
        self.spec.least_limit(self.time_limit)
    }

    /// The last moment at which it can begin, where it has a deadline.
    #[must_use]
    pub fn last_start(&self) -> Option<Timestamp> {
        let deadline = self.spec.asks().deadline?;
        let least = self.least_limit().span();
        Some(least.map_or(Timestamp(0), |least| deadline - least))
    }

    /// When it is too late for a job that waits.
    #[must_use]
    pub fn waits_until(&self) -> Option<Timestamp> {
        self.last_start().filter(|_| self.is_pending())
    }

    /// The array that it stands for, or is a task of.
    #[must_use]
    pub fn array_id(&self) -> Option<JobId> {
        match self.array {
            Some(ArrayPart::Waiting(_)) => Some(self.id),
            Some(ArrayPart::Task { array, .. }) => Some(array),
            None => None,
        }
    }

    /// How many tasks it stands for.
    #[must_use]
    pub fn tasks(&self) -> u32 {
        match &self.array {
            Some(ArrayPart::Waiting(tasks)) => tasks.len(),
            Some(ArrayPart::Task { .. }) | None => 1,
        }
    }

    /// Whether nothing is waited for of other jobs.
    #[must_use]
    pub fn is_independent(&self) -> bool {
        self.dependency.as_ref().is_none_or(|dependency| dependency.is_met())
    }

    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self.phase, Phase::Pending)
    }
}
