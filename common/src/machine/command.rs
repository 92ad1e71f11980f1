//! What somebody wants: a user, a node, the scheduler, or the clock.

use std::sync::Arc;

use bytes::Bytes;

use super::{Refusal, SeenStage, event::TokenRole};
use crate::{
    account::Accounts,
    config::Config,
    id::{
        Attempt, ClusterId, ContentHash, ControllerName, JobId, NodeName, PartitionName, RequestId,
        UserId,
    },
    job::{ArrayPart, ExitStatus, Job, JobChanges, JobSpec, Place, SignalScope, TaskSet},
    node::{Availability, Inventory},
    reservation::{ReservationChanges, ReservationRequest},
    time::{TimeLimit, Timestamp},
};

/// Who sends a user's command, as the certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    pub user: UserId,
    /// Drawn by the client and kept over its retries.
    pub request: RequestId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    // From the controllers themselves.
    Form {
        cluster: ClusterId,
        operator: UserId,
        config: Arc<Config>,
    },
    SetConfig {
        config: Arc<Config>,
    },
    RaiseFormat {
        format: u32,
    },
    JoinController {
        controller: ControllerName,
        raft_id: u64,
        address: String,
    },
    LeaveController {
        by: By,
        controller: ControllerName,
    },
    /// Another authority is to take the place of the one that signs.
    BringAuthority {
        by: By,
        signing: Bytes,
        coming: Bytes,
    },
    /// The next step of that, which was due since this moment.
    StepAuthorities {
        since: Timestamp,
    },
    SpendToken {
        /// The same for the same joiner, so that one who missed the answer may ask again.
        request: RequestId,
        secret: ContentHash,
        role: TokenRole,
        name: String,
    },

    // From users.
    Submit(Box<Submission>),
    /// Ends jobs, or sends them a signal.
    Cancel {
        by: By,
        job: JobId,
        signal: Option<(u8, SignalScope)>,
    },
    Hold {
        by: By,
        job: JobId,
        admin: bool,
    },
    Release {
        by: By,
        job: JobId,
    },
    Requeue {
        by: By,
        job: JobId,
        hold: bool,
    },
    UpdateJob {
        by: By,
        job: JobId,
        changes: Box<JobChanges>,
    },
    /// On some tasks of an array, or on all of them.
    OnTasks {
        by: By,
        array: JobId,
        tasks: Option<TaskSet>,
        act: TaskAct,
    },
    UpdateNode {
        by: By,
        node: NodeName,
        changes: NodeChanges,
    },
    CreateReservation {
        by: By,
        request: Box<ReservationRequest>,
    },
    UpdateReservation {
        by: By,
        name: String,
        asked: Box<ReservationChanges>,
    },
    DeleteReservation {
        by: By,
        name: String,
    },
    /// Sets the table of accounts.
    LoadAccounts {
        by: By,
        accounts: Arc<Accounts>,
    },
    IssueToken {
        by: By,
        secret: ContentHash,
        role: TokenRole,
        name: String,
        expires: Timestamp,
    },
    /// Nothing: who took the request in refuses it for what no log knows, such as the groups that
    /// a user is in.
    Refuse {
        by: By,
        refusal: Box<Refusal>,
    },

    // From nodes.
    Register {
        node: NodeName,
        address: String,
        inventory: Box<Inventory>,
    },
    Report {
        node: NodeName,
        job: JobId,
        attempt: Attempt,
        report: Report,
    },

    // From the scheduler and the clock.
    Allocate(Allocation),
    /// Runs are to make way for a job.
    Preempt(Preemption),
    /// The moment of `--signal` has come.
    Warn {
        job: JobId,
        attempt: Attempt,
    },
    TimeUp {
        job: JobId,
        attempt: Attempt,
    },
    /// A job that waits can't be over by its deadline any more.
    MissDeadline {
        job: JobId,
    },
    /// The delay of a dependency is over.
    ConditionDue {
        job: JobId,
    },
    /// The time of a reservation is over, or nobody uses it.
    EndReservation {
        name: String,
        number: u32,
    },
    /// A node was silent for too long.
    Lose {
        node: NodeName,
    },
    Forget {
        jobs: Vec<JobId>,
    },
    ExpireToken {
        secret: ContentHash,
    },
}

impl Command {
    /// The user who sends it; none where no user does. Whoever joins with a token may come again
    /// with the same request once the token is known, and counts as none.
    #[must_use]
    pub fn by(&self) -> Option<&By> {
        match self {
            Self::Submit(submission) => Some(&submission.by),
            Self::Cancel { by, .. }
            | Self::Hold { by, .. }
            | Self::Release { by, .. }
            | Self::Requeue { by, .. }
            | Self::UpdateJob { by, .. }
            | Self::OnTasks { by, .. }
            | Self::UpdateNode { by, .. }
            | Self::BringAuthority { by, .. }
            | Self::LeaveController { by, .. }
            | Self::LoadAccounts { by, .. }
            | Self::CreateReservation { by, .. }
            | Self::UpdateReservation { by, .. }
            | Self::DeleteReservation { by, .. }
            | Self::IssueToken { by, .. }
            | Self::Refuse { by, .. } => Some(by),
            Self::Form { .. }
            | Self::SetConfig { .. }
            | Self::RaiseFormat { .. }
            | Self::JoinController { .. }
            | Self::StepAuthorities { .. }
            | Self::SpendToken { .. }
            | Self::Register { .. }
            | Self::Report { .. }
            | Self::Allocate(_)
            | Self::Preempt(_)
            | Self::Warn { .. }
            | Self::TimeUp { .. }
            | Self::MissDeadline { .. }
            | Self::ConditionDue { .. }
            | Self::EndReservation { .. }
            | Self::Lose { .. }
            | Self::Forget { .. }
            | Self::ExpireToken { .. } => None,
        }
    }
}

/// A job on its way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    pub by: By,
    pub spec: JobSpec,
    /// The other components of a heterogeneous job, whose leader `spec` is; none of any other.
    pub components: Vec<JobSpec>,
    pub script: Bytes,
    pub environment: Bytes,
}

/// What the scheduler would give a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    pub job: JobId,
    pub attempt: Attempt,
    /// Which of the waiting tasks it is, where the job stands for those of an array.
    pub task: Option<u32>,
    /// What it asked for when the places were chosen: refused where it asks for something else
    /// by now.
    pub asked: Arc<JobSpec>,
    /// Which of its partitions it runs in, where it waits in several.
    pub partition: Option<PartitionName>,
    /// How long it may run, where that is less than it asks for.
    pub time_limit: Option<TimeLimit>,
    pub places: Vec<Place>,
    /// The other components of a heterogeneous job, in their order: they start with it.
    pub others: Vec<Allocation>,
}

impl Allocation {
    /// Nodes for a job as it is, or for the first of the tasks that it stands for, where it waits
    /// in one partition.
    #[must_use]
    pub fn of(job: &Job, places: Vec<Place>) -> Self {
        let task = match &job.array {
            Some(ArrayPart::Waiting(tasks)) => tasks.first(),
            Some(ArrayPart::Task { .. }) | None => None,
        };
        let asked = job.spec.clone();
        let (job, attempt) = (job.id, job.attempt);
        let (partition, time_limit, others) = (None, None, vec![]);
        Self { job, attempt, task, asked, partition, time_limit, places, others }
    }

    /// Itself, and the other components of a heterogeneous job.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }
}

/// Who would make way for a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preemption {
    /// How it would start then.
    pub start: Allocation,
    /// All of them, or none.
    pub runs: Vec<(JobId, Attempt)>,
}

/// What is done to tasks of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskAct {
    Cancel { signal: Option<(u8, SignalScope)> },
    Hold { admin: bool },
    Release,
    Requeue { hold: bool },
    Update { changes: Box<JobChanges> },
}

/// What a node says of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The order to launch is on its disk.
    Launching,
    /// The script has been started.
    Running,
    Delivered {
        number: u32,
    },
    /// Over, and nothing of it is left on the node.
    Ended {
        at: Timestamp,
        exit: ExitStatus,
        out_of_memory: bool,
    },
    /// Could not be started, and why.
    LaunchFailed {
        at: Timestamp,
        message: String,
        /// Another job would fail here, too: the node is drained, and the job is tried elsewhere.
        node_fault: bool,
    },
    /// The node knows nothing of it any more, or lost its supervisor: how it ended is not known.
    Lost {
        at: Timestamp,
    },
}

impl Report {
    /// What it says that the node has on its disk.
    #[must_use]
    pub fn stage(&self) -> SeenStage {
        match self {
            Self::Launching => SeenStage::Launching,
            Self::Running | Self::Delivered { .. } => SeenStage::Running,
            Self::Ended { .. } | Self::LaunchFailed { .. } | Self::Lost { .. } => SeenStage::Over,
        }
    }

    /// The same, of what a node lists when it says hello.
    #[must_use]
    pub fn listed(&self) -> SeenStage {
        match self.stage() {
            SeenStage::Listed | SeenStage::Launching => SeenStage::Listed,
            stage @ (SeenStage::Running | SeenStage::Over) => stage,
        }
    }
}

/// What `scontrol update nodename=...` changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeChanges {
    pub target: Option<NodeTarget>,
    pub reason: Option<String>,
}

/// A state that an operator may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeTarget {
    Drain,
    Undrain,
    Down,
    Resume,
    /// `State=IDLE`: as resume, but leaves a drain alone.
    Idle,
}

impl NodeTarget {
    /// The standing that a node would have.
    #[must_use]
    pub fn standing(self, availability: Availability, drain: bool) -> (Availability, bool) {
        match self {
            Self::Drain => (availability, true),
            Self::Undrain => (availability, false),
            Self::Down => (Availability::Down, drain),
            Self::Resume => (Self::revived(availability), false),
            Self::Idle => (Self::revived(availability), drain),
        }
    }

    fn revived(availability: Availability) -> Availability {
        match availability {
            Availability::Down => Availability::Up,
            other @ (Availability::Unknown | Availability::Up | Availability::Lost) => other,
        }
    }
}
