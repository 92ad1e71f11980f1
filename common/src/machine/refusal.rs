//! Why a command changed nothing, in Slurm's words.

use std::sync::Arc;

use crate::{
    id::{JobId, NodeName},
    job::Reason,
};

/// Written for the person who typed the command: the text is what `slurm_strerror` gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("Invalid job id specified")]
    NoSuchJob(JobId),
    #[error("Access/permission denied")]
    Denied,
    #[error("Invalid user id")]
    NotOperator,
    /// `DisableRootJobs`.
    #[error("Invalid user id")]
    RootJobs,
    #[error("Job/step already completing or completed")]
    AlreadyDone(JobId),
    /// It has to be released first.
    #[error("Job is in held state, pending scheduler release")]
    Held(JobId),
    /// What is over can't be changed any more.
    #[error("Job has already finished")]
    Finished(JobId),
    #[error("Invalid partition name specified")]
    NoSuchPartition(String),
    #[error("No partition specified or system default partition")]
    NoDefaultPartition,
    #[error("Invalid node name specified")]
    NoSuchNode(NodeName),
    /// No node has one of the features, or it is no expression of features.
    #[error("Invalid feature specification")]
    Features,
    #[error("Requested node configuration is not available")]
    CannotEverFit(Lacking),
    #[error("Node count specification invalid")]
    NodeCount,
    #[error("More processors requested than permitted")]
    TooManyCpus,
    #[error("Requested time limit is invalid (missing or exceeds some limit)")]
    TimeLimit,
    #[error("Memory required by task is not available")]
    Memory,
    #[error(
        "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
    )]
    Policy(Reason),
    #[error("Invalid account or account/partition combination specified")]
    Account,
    #[error("Invalid qos specification")]
    Qos,
    /// A table of accounts that is not for this cluster.
    #[error("the accounts can't be loaded: {0}")]
    Accounts(String),
    #[error("Slurm temporarily unable to accept job, sleeping and retrying")]
    TooManyJobs,
    #[error("Pathname of a file, directory or other parameter too long")]
    ScriptTooLarge,
    #[error("Requested operation is presently disabled")]
    Disabled,
    #[error("Requested nodes are busy")]
    Busy,
    #[error("Invalid node state transition")]
    NodeState,
    #[error("Job is pending execution")]
    Pending(JobId),
    #[error("Job is no longer pending execution")]
    NotPending(JobId),
    #[error("Only the first job of an array or a job that ran can be requeued")]
    NotRequeueable(JobId),
    #[error("A reason is required to take a node down or drain it")]
    ReasonMissing,
    /// `AllowGroups`.
    #[error("User's group not permitted to use this partition")]
    PartitionGroup,
    #[error("Required partition not available (inactive or drain)")]
    PartitionInactive,
    #[error("Job dependency problem")]
    Dependency,
    #[error("Invalid job array specification")]
    Array,
    #[error("Circular job dependency")]
    CircularDependency,
    #[error("Job not heterogeneous job leader")]
    NotHetLeader(JobId),
    #[error("Operation not permitted on individual component of heterogeneous job")]
    HetComponent(JobId),
    #[error("Invalid time-min specification (exceeds job's time or other limits)")]
    TimeMin,
    /// There is no such license, or not as many.
    #[error("Invalid license specification")]
    License,
    /// And why, where Slurm says more than that.
    #[error("Invalid generic resource (gres) specification")]
    Gres(Option<String>),
    #[error("Invalid GRES specification (with and without type identification)")]
    GresMixed,
    /// What the log can't say yet.
    #[error(
        "{0} are understood once all controllers of the cluster run this release (rafter status)"
    )]
    Format(&'static str),
    #[error("{0}")]
    Unsupported(String),
    #[error("this token is not valid: it is unknown, used, expired, or made for another name")]
    Token,
    #[error("the cluster has been formed already")]
    AlreadyFormed,
    #[error("the configuration can't be taken over: {0}")]
    Config(String),
    #[error("controller `{0}` is not a member")]
    NoSuchController(String),
    #[error(
        "controller `{0}` is a member already; if its store is lost, remove it first \
         (rafter controller remove {0})"
    )]
    ControllerKnown(String),
    #[error("controller `{0}` is the only one, and can't be removed")]
    LastController(String),
    #[error(
        "another authority is taking the place of the cluster's: wait until that is done (rafter \
         authority show)"
    )]
    AuthorityChanging,
    #[error("Access denied to requested reservation")]
    ReservationAccess,
    #[error("Requested reservation is invalid")]
    ReservationInvalid,
    #[error("Invalid time specified")]
    Time,
    #[error("Requested reservation is in use")]
    ReservationBusy,
    #[error("Requested reservation overlaps with another reservation")]
    ReservationOverlap,
    #[error("Reservation request lacks users, groups or accounts")]
    ReservationEmpty,
    #[error("Duplicate reservation name")]
    ReservationName,
    #[error("Reservation already started")]
    ReservationStarted,
    /// What the first copy of this request was told.
    #[error("{}", .0.words)]
    Before(Arc<Refused>),
    /// The scheduler or a node acted on a view that has since moved on. Not an error.
    #[error("the view has moved on")]
    Stale,
}

/// A refusal as it is remembered: what the person who asked was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub words: String,
    /// [`Refusal::errno`].
    pub errno: Option<u32>,
    /// [`Refusal::detail`].
    pub detail: Option<String>,
}

impl Refused {
    /// The longest text that is remembered, in bytes: some name what a user wrote.
    pub const LONGEST: usize = 1024;
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        let short = |mut text: String| {
            text.truncate(text.floor_char_boundary(Self::LONGEST));
            text
        };
        Self {
            words: short(refusal.to_string()),
            errno: refusal.errno(),
            detail: refusal.detail().map(short),
        }
    }
}

/// What no node of a partition has enough of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    Cpus,
    Memory,
    TmpDisk,
    /// Not even by itself: all of it together on one node, or a node that is not excluded.
    Nodes,
    /// It names nodes that its reservation does not have.
    Reserved,
}

impl Refusal {
    /// What `sbatch` says before the refusal, where it says more than one thing.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a line for each refusal")]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::NoSuchPartition(name) => Some(format!("invalid partition specified: {name}")),
            Self::CannotEverFit(Lacking::Cpus) => {
                Some("CPU count per node can not be satisfied".to_owned())
            }
            Self::CannotEverFit(Lacking::Memory) => {
                Some("Memory specification can not be satisfied".to_owned())
            }
            Self::CannotEverFit(Lacking::TmpDisk) => {
                Some("Temporary disk specification can not be satisfied".to_owned())
            }
            Self::CannotEverFit(Lacking::Reserved) => Some("Problem using reservation".to_owned()),
            Self::Policy(limit) => Some(limit.as_str().to_owned()),
            Self::Gres(why) => why.clone(),
            Self::Before(refused) => refused.detail.clone(),
            Self::CannotEverFit(Lacking::Nodes)
            | Self::GresMixed
            | Self::NoSuchJob(_)
            | Self::Denied
            | Self::NotOperator
            | Self::RootJobs
            | Self::AlreadyDone(_)
            | Self::Finished(_)
            | Self::Held(_)
            | Self::NoDefaultPartition
            | Self::NoSuchNode(_)
            | Self::Features
            | Self::NodeCount
            | Self::TooManyCpus
            | Self::TimeLimit
            | Self::Memory
            | Self::Account
            | Self::Qos
            | Self::Accounts(_)
            | Self::Busy
            | Self::TooManyJobs
            | Self::ScriptTooLarge
            | Self::Disabled
            | Self::NodeState
            | Self::Pending(_)
            | Self::NotPending(_)
            | Self::NotRequeueable(_)
            | Self::ReasonMissing
            | Self::PartitionGroup
            | Self::PartitionInactive
            | Self::Dependency
            | Self::Array
            | Self::CircularDependency
            | Self::NotHetLeader(_)
            | Self::HetComponent(_)
            | Self::License
            | Self::TimeMin
            | Self::Format(_)
            | Self::Unsupported(_)
            | Self::Token
            | Self::AlreadyFormed
            | Self::Config(_)
            | Self::NoSuchController(_)
            | Self::ControllerKnown(_)
            | Self::LastController(_)
            | Self::AuthorityChanging
            | Self::ReservationAccess
            | Self::ReservationInvalid
            | Self::Time
            | Self::ReservationBusy
            | Self::ReservationOverlap
            | Self::ReservationEmpty
            | Self::ReservationName
            | Self::ReservationStarted
            | Self::Stale => None,
        }
    }

    /// Slurm's number for it (`slurm_errno.h`), which clients of the API and scripts test.
    #[must_use]
    pub fn errno(&self) -> Option<u32> {
        match self {
            Self::NoSuchPartition(_) => Some(2000),
            Self::NoDefaultPartition => Some(2001),
            Self::Denied => Some(2002),
            Self::PartitionInactive => Some(2012),
            Self::CannotEverFit(_) => Some(2014),
            Self::NodeCount => Some(2006),
            Self::TooManyCpus => Some(2007),
            Self::NotOperator | Self::RootJobs => Some(2010),
            Self::NoSuchNode(_) => Some(2009),
            Self::Features => Some(2029),
            Self::NotPending(_) => Some(2015),
            Self::Busy => Some(2016),
            Self::NoSuchJob(_) => Some(2017),
            Self::AlreadyDone(_) => Some(2021),
            Self::PartitionGroup => Some(2003),
            Self::Pending(_) => Some(2035),
            Self::Dependency => Some(2038),
            Self::Qos => Some(2066),
            Self::Array => Some(2081),
            Self::CircularDependency => Some(2071),
            Self::NotHetLeader(_) => Some(2107),
            Self::HetComponent(_) => Some(2108),
            Self::License => Some(2048),
            Self::TimeMin => Some(2124),
            Self::Gres(_) => Some(2072),
            Self::Memory => Some(2044),
            Self::Account => Some(2045),
            Self::Policy(_) => Some(2050),
            Self::TimeLimit => Some(2051),
            Self::TooManyJobs => Some(2054),
            Self::NotRequeueable(_) | Self::Disabled => Some(2056),
            Self::ScriptTooLarge => Some(2013),
            Self::NodeState => Some(2024),
            Self::ReservationAccess => Some(2052),
            Self::ReservationInvalid => Some(2053),
            Self::Time => Some(2054),
            Self::ReservationBusy => Some(2055),
            Self::ReservationOverlap => Some(2058),
            Self::ReservationEmpty => Some(2080),
            Self::ReservationName => Some(2082),
            Self::ReservationStarted => Some(2104),
            Self::Before(refused) => refused.errno,
            Self::Finished(_)
            | Self::GresMixed
            | Self::Held(_)
            | Self::ReasonMissing
            | Self::Accounts(_)
            | Self::Format(_)
            | Self::Unsupported(_)
            | Self::Token
            | Self::AlreadyFormed
            | Self::Config(_)
            | Self::NoSuchController(_)
            | Self::ControllerKnown(_)
            | Self::LastController(_)
            | Self::AuthorityChanging
            | Self::Stale => None,
        }
    }
}
