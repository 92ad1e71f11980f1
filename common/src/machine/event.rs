//! What happened. The log is a list of these, and nothing else is durable.
//!
//! **Invariant:** a variant, once released, is never removed, renamed, or given a new meaning.
//! `proto`'s golden files hold one encoded entry of every variant ever released, and decode them
//! all.

use std::sync::Arc;

use bytes::Bytes;

use super::Refused;
use crate::{
    account::Accounts,
    config::Config,
    id::{
        Attempt, ClusterId, ContentHash, ControllerName, Incarnation, JobId, NodeName,
        PartitionName, RequestId, Term, UserId,
    },
    job::{
        Charge, End, Fate, Hold, JobChanges, JobSpec, Place, Requeue, SignalScope, Stay, TaskSet,
    },
    node::{Availability, Inventory, NodeReason},
    reservation::Reservation,
    time::{Span, TimeLimit, Timestamp},
};

/// The newest kind of events that this release understands. A leader proposes an event of a kind
/// only once `FormatRaised` says that every controller understands it.
pub const FORMAT: u32 = if cfg!(feature = "next-event") { 3 } else { 2 };

/// One append to the log: what one command caused, and when the leader decided so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub at: Timestamp,
    /// The term of the leader that decided.
    pub term: Term,
    /// Its place among that leader's entries, from 1. Each was decided on top of all before it,
    /// so one whose forerunner was lost is void.
    pub sequence: u64,
    /// The digest of the state that the leader decided against. A replica whose own differs has
    /// diverged, and stops.
    pub digest: u64,
    /// Which request this answers, so that a retry gets the same answer.
    pub request: Option<Answered>,
    pub events: Vec<Event>,
}

/// The first answer to a request, and how long it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub request: RequestId,
    /// A refusal is one, too: what is asked again later is refused again, whatever has changed.
    pub answer: Result<Answer, Arc<Refused>>,
    /// At which age of the state ([`State::age`](super::State::age)).
    pub forget_at: Span,
}

/// What a command that was not refused tells its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    Done,
    Job(JobId),
    /// The number of a reservation that was made.
    Reservation(u32),
}

/// What a one-time token lets its bearer become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenRole {
    Node,
    Controller,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first event of a log.
    ClusterFormed {
        cluster: ClusterId,
        operator: UserId,
    },
    /// The cluster's configuration, whole, as the leader read it.
    ConfigSet {
        config: Arc<Config>,
    },
    /// Every controller understands events of this kind, and those before.
    FormatRaised {
        format: u32,
    },
    ControllerJoined {
        controller: ControllerName,
        raft_id: u64,
        address: String,
    },
    ControllerLeft {
        controller: ControllerName,
    },
    /// The log goes on from a copy that ended with entry `index` of cluster `from`: a backup, or
    /// what one controller had. What was logged elsewhere after it is not known.
    ClusterRestored {
        /// The cluster's id from here on.
        cluster: ClusterId,
        from: ClusterId,
        index: u64,
        /// No job gets a lower id.
        next_job: u32,
        /// By how much the attempts of jobs rise that wait: those between may have run.
        attempts: u32,
    },
    /// Whose signatures count from here on: of the authority that signs, of one that is to take its
    /// place, and of one whose place was taken. Each is a certificate (DER); no key is in the log.
    AuthoritiesSet {
        signing: Bytes,
        coming: Option<Bytes>,
        going: Option<Bytes>,
    },
    /// What a release of the future may have to say. See the feature `next-event`.
    #[cfg(feature = "next-event")]
    Noted {
        text: String,
    },
    TokenIssued {
        secret: ContentHash,
        role: TokenRole,
        name: String,
        expires: Timestamp,
    },
    /// Used up, or expired.
    TokenSpent {
        secret: ContentHash,
    },

    NodeRegistered {
        node: NodeName,
        address: String,
        inventory: Arc<Inventory>,
    },
    NodeChanged {
        node: NodeName,
        change: NodeChange,
    },

    /// A batch script or environment that no live job had yet. Its bytes are kept beside the
    /// state, by their hash.
    BlobStored {
        hash: ContentHash,
        content: Bytes,
    },
    JobSubmitted {
        job: JobId,
        spec: Arc<JobSpec>,
        priority: u32,
        hold: Hold,
        time_limit: TimeLimit,
        requeue: bool,
    },
    JobHeld {
        job: JobId,
        hold: Hold,
    },
    JobReleased {
        job: JobId,
        priority: u32,
    },
    /// `spec` is what is asked for from here on.
    JobUpdated {
        job: JobId,
        changes: Arc<JobChanges>,
    },
    /// Holds the nodes from this moment; the launch follows.
    JobAllocated {
        job: JobId,
        attempt: Attempt,
        incarnation: Incarnation,
        places: Vec<Place>,
        deadline: Option<Timestamp>,
        /// Which of its partitions it runs in, where it waited in several. Since format 2.
        partition: Option<PartitionName>,
        /// The reservation that it starts in. Since format 2.
        stay: Option<Stay>,
        /// What it is charged; none: a unit for each CPU. Since format 2.
        charge: Option<Charge>,
        /// How long it may run, where that is less than it asks for. Since format 2.
        time_limit: Option<TimeLimit>,
    },
    JobLaunching {
        job: JobId,
        attempt: Attempt,
    },
    JobRunning {
        job: JobId,
        attempt: Attempt,
    },
    JobSignalled {
        job: JobId,
        attempt: Attempt,
        signal: u8,
        scope: SignalScope,
        by: UserId,
        /// It is the one that `--signal` asked for.
        warning: bool,
    },
    /// The node delivered the signal of that number, and all before it.
    SignalDelivered {
        job: JobId,
        attempt: Attempt,
        number: u32,
    },
    /// The end is decided; the nodes are not clean yet.
    JobCompleting {
        job: JobId,
        attempt: Attempt,
        end: End,
        requeue: Option<Requeue>,
    },
    /// A run is to make way for the job `by`. Its processes are told; where it has not ended by
    /// then, it is ended. Since format 2.
    JobPreempted {
        job: JobId,
        attempt: Attempt,
        by: JobId,
        until: Timestamp,
        requeue: bool,
    },
    /// Over: the nodes are given back.
    JobEnded {
        job: JobId,
        attempt: Attempt,
        end: End,
    },
    /// The run of `attempt` is over (or never began), and the job waits for its next one.
    JobRequeued {
        job: JobId,
        attempt: Attempt,
        requeue: Requeue,
        end: Option<End>,
    },
    /// A task of an array has a job of its own from here on: the array's where it is the last one
    /// that waited. Since format 2, as the next one.
    TaskSplit {
        array: JobId,
        index: u32,
        job: JobId,
    },
    /// Tasks that had no job of their own, and will have none.
    TasksCancelled {
        array: JobId,
        tasks: Arc<TaskSet>,
        end: End,
    },
    /// A table of accounts, users, associations and QOS takes the place of the one before. Since
    /// format 2.
    AccountsLoaded {
        accounts: Arc<Accounts>,
    },
    /// Since format 2, as the next two.
    ReservationCreated {
        reservation: Arc<Reservation>,
        by: UserId,
    },
    /// It is like this from here on. By nobody where it was its own rules.
    ReservationUpdated {
        reservation: Arc<Reservation>,
        by: Option<UserId>,
    },
    /// By nobody where its time was over.
    ReservationDeleted {
        name: String,
        by: Option<UserId>,
    },
    /// What became of one thing that the job waits for, by its place among them. Since format 2.
    ConditionSettled {
        job: JobId,
        condition: u32,
        fate: Fate,
    },
    /// Leaves the live state for the history.
    JobForgotten {
        job: JobId,
    },
}

impl Event {
    /// Its name, as `rafter events --json` prints it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ClusterFormed { .. } => "ClusterFormed",
            Self::ConfigSet { .. } => "ConfigSet",
            Self::FormatRaised { .. } => "FormatRaised",
            Self::ControllerJoined { .. } => "ControllerJoined",
            Self::ControllerLeft { .. } => "ControllerLeft",
            Self::ClusterRestored { .. } => "ClusterRestored",
            Self::AuthoritiesSet { .. } => "AuthoritiesSet",
            #[cfg(feature = "next-event")]
            Self::Noted { .. } => "Noted",
            Self::TokenIssued { .. } => "TokenIssued",
            Self::TokenSpent { .. } => "TokenSpent",
            Self::NodeRegistered { .. } => "NodeRegistered",
            Self::NodeChanged { .. } => "NodeChanged",
            Self::BlobStored { .. } => "BlobStored",
            Self::JobSubmitted { .. } => "JobSubmitted",
            Self::JobHeld { .. } => "JobHeld",
            Self::JobReleased { .. } => "JobReleased",
            Self::JobUpdated { .. } => "JobUpdated",
            Self::JobAllocated { .. } => "JobAllocated",
            Self::JobLaunching { .. } => "JobLaunching",
            Self::JobRunning { .. } => "JobRunning",
            Self::JobSignalled { .. } => "JobSignalled",
            Self::SignalDelivered { .. } => "SignalDelivered",
            Self::JobCompleting { .. } => "JobCompleting",
            Self::JobPreempted { .. } => "JobPreempted",
            Self::JobEnded { .. } => "JobEnded",
            Self::JobRequeued { .. } => "JobRequeued",
            Self::TaskSplit { .. } => "TaskSplit",
            Self::TasksCancelled { .. } => "TasksCancelled",
            Self::AccountsLoaded { .. } => "AccountsLoaded",
            Self::ReservationCreated { .. } => "ReservationCreated",
            Self::ReservationUpdated { .. } => "ReservationUpdated",
            Self::ReservationDeleted { .. } => "ReservationDeleted",
            Self::ConditionSettled { .. } => "ConditionSettled",
            Self::JobForgotten { .. } => "JobForgotten",
        }
    }

    /// The job that an event is about.
    #[must_use]
    pub fn job(&self) -> Option<JobId> {
        match self {
            Self::JobSubmitted { job, .. }
            | Self::JobHeld { job, .. }
            | Self::JobReleased { job, .. }
            | Self::JobUpdated { job, .. }
            | Self::JobAllocated { job, .. }
            | Self::JobLaunching { job, .. }
            | Self::JobRunning { job, .. }
            | Self::JobSignalled { job, .. }
            | Self::SignalDelivered { job, .. }
            | Self::JobCompleting { job, .. }
            | Self::JobPreempted { job, .. }
            | Self::JobEnded { job, .. }
            | Self::JobRequeued { job, .. }
            | Self::TaskSplit { job, .. }
            | Self::TasksCancelled { array: job, .. }
            | Self::ConditionSettled { job, .. }
            | Self::JobForgotten { job } => Some(*job),
            Self::ClusterFormed { .. }
            | Self::ConfigSet { .. }
            | Self::FormatRaised { .. }
            | Self::ControllerJoined { .. }
            | Self::ControllerLeft { .. }
            | Self::ClusterRestored { .. }
            | Self::AuthoritiesSet { .. }
            | Self::AccountsLoaded { .. }
            | Self::ReservationCreated { .. }
            | Self::ReservationUpdated { .. }
            | Self::ReservationDeleted { .. }
            | Self::TokenIssued { .. }
            | Self::TokenSpent { .. }
            | Self::NodeRegistered { .. }
            | Self::NodeChanged { .. }
            | Self::BlobStored { .. } => None,
            #[cfg(feature = "next-event")]
            Self::Noted { .. } => None,
        }
    }
}

/// How a node's standing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeChange {
    pub availability: Availability,
    pub drain: bool,
    pub reason: Option<NodeReason>,
}
