//! Why a job waits, or why it ended as it did: the words that `squeue` shows in brackets.

use std::fmt;

/// Slurm's names, where Slurm has one; see squeue(1), "JOB REASON CODES".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    None,
    Priority,
    Resources,
    BeginTime,
    /// A job that it waits for is not that far.
    Dependency,
    DependencyNeverSatisfied,
    JobHeldUser,
    JobHeldAdmin,
    PartitionDown,
    PartitionInactive,
    PartitionNodeLimit,
    PartitionTimeLimit,
    /// The partition could not run it even if all its nodes were idle.
    PartitionConfig,
    /// The nodes that it names are down, drained or reserved.
    ReqNodeNotAvail,
    /// Too many of the nodes that it could run on are down or drained.
    NodesNotAvail,
    BadConstraints,
    NodeDown,
    NonZeroExitCode,
    RaisedSignal,
    TimeLimit,
    OutOfMemory,
    /// The batch step could not be started.
    JobLaunchFailure,
    InvalidAccount,
    SystemFailure,
}

impl Reason {
    /// The word that `squeue` and `scontrol` print.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Priority => "Priority",
            Self::Resources => "Resources",
            Self::BeginTime => "BeginTime",
            Self::Dependency => "Dependency",
            Self::DependencyNeverSatisfied => "DependencyNeverSatisfied",
            Self::JobHeldUser => "JobHeldUser",
            Self::JobHeldAdmin => "JobHeldAdmin",
            Self::PartitionDown => "PartitionDown",
            Self::PartitionInactive => "PartitionInactive",
            Self::PartitionNodeLimit => "PartitionNodeLimit",
            Self::PartitionTimeLimit => "PartitionTimeLimit",
            Self::PartitionConfig => "PartitionConfig",
            Self::ReqNodeNotAvail => "ReqNodeNotAvail",
            Self::NodesNotAvail => {
                "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher \
                 priority partitions"
            }
            Self::BadConstraints => "BadConstraints",
            Self::NodeDown => "NodeDown",
            Self::NonZeroExitCode => "NonZeroExitCode",
            Self::RaisedSignal => "RaisedSignal",
            Self::TimeLimit => "TimeLimit",
            Self::OutOfMemory => "OutOfMemory",
            Self::JobLaunchFailure => "JobLaunchFailure",
            Self::InvalidAccount => "InvalidAccount",
            Self::SystemFailure => "SystemFailure",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
