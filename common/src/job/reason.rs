//! Why a job waits, or why it ended as it did: the words that `squeue` shows in brackets.

use std::fmt;

/// Slurm's names, where Slurm has one; see squeue(1), "JOB REASON CODES".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    None,
    Priority,
    Resources,
    /// Too few licenses are free.
    Licenses,
    /// It can't be over by its deadline any more.
    Deadline,
    BeginTime,
    /// A job that it waits for is not that far.
    Dependency,
    DependencyNeverSatisfied,
    /// As many tasks of its array run as may.
    JobArrayTaskLimit,
    JobHeldUser,
    JobHeldAdmin,
    PartitionDown,
    PartitionInactive,
    PartitionNodeLimit,
    PartitionTimeLimit,
    /// No QOS of that name, or none that its user may choose.
    InvalidQos,
    // Limits of associations (`Assoc`), and of QOS.
    AssocGrpJobsLimit,
    AssocMaxJobsLimit,
    AssocMaxWallDurationPerJobLimit,
    AssocGrpSubmitJobsLimit,
    AssocMaxSubmitJobLimit,
    AssocGrpCpuLimit,
    AssocGrpMemLimit,
    AssocGrpNodeLimit,
    AssocGrpGres,
    AssocMaxCpuPerJobLimit,
    AssocMaxMemPerJob,
    AssocMaxNodePerJobLimit,
    AssocMaxGresPerJob,
    AssocMaxCpuPerNode,
    AssocMaxMemPerNode,
    AssocMaxUnknownPerNode,
    AssocMaxGresPerNode,
    QosGrpJobsLimit,
    QosMaxJobsPerUserLimit,
    QosMaxWallDurationPerJobLimit,
    QosGrpSubmitJobsLimit,
    QosMaxSubmitJobPerUserLimit,
    QosGrpCpuLimit,
    QosGrpMemLimit,
    QosGrpNodeLimit,
    QosGrpGres,
    QosMaxCpuPerJobLimit,
    QosMaxMemoryPerJob,
    QosMaxNodePerJobLimit,
    QosMaxGresPerJob,
    QosMaxCpuPerNode,
    QosMaxMemoryPerNode,
    QosMaxUnknownPerNode,
    QosMaxGresPerNode,
    QosMaxCpuPerUserLimit,
    QosMaxMemoryPerUser,
    QosMaxNodePerUserLimit,
    QosMaxGresPerUser,
    QosMinCpuNotSatisfied,
    QosMinMemory,
    QosMinNode,
    QosMinGres,
    MaxJobsPerAccount,
    MaxSubmitJobsPerAccount,
    MaxCpuPerAccount,
    MaxMemoryPerAccount,
    MaxNodePerAccount,
    MaxGresPerAccount,
    /// The partition could not run it even if all its nodes were idle.
    PartitionConfig,
    /// The nodes that it names are down, drained or reserved.
    ReqNodeNotAvail,
    /// Too many of the nodes that it could run on are down or drained.
    NodesNotAvail,
    /// Its reservation does not hold yet.
    Reservation,
    ReservationDeleted,
    /// What it could have is reserved for others before it would be over.
    MayBeReserved,
    BadConstraints,
    NodeDown,
    NonZeroExitCode,
    RaisedSignal,
    TimeLimit,
    OutOfMemory,
    /// The batch step could not be started.
    JobLaunchFailure,
    InvalidAccount,
    /// Its account may not use the partition.
    AccountNotAllowed,
    /// Its QOS may not use the partition.
    QosNotAllowed,
    SystemFailure,
}

impl Reason {
    /// The word that `squeue` and `scontrol` print.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table")]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Priority => "Priority",
            Self::Resources => "Resources",
            Self::Licenses => "Licenses",
            Self::Deadline => "DeadLine",
            Self::BeginTime => "BeginTime",
            Self::Dependency => "Dependency",
            Self::DependencyNeverSatisfied => "DependencyNeverSatisfied",
            Self::JobArrayTaskLimit => "JobArrayTaskLimit",
            Self::JobHeldUser => "JobHeldUser",
            Self::JobHeldAdmin => "JobHeldAdmin",
            Self::PartitionDown => "PartitionDown",
            Self::PartitionInactive => "PartitionInactive",
            Self::PartitionNodeLimit => "PartitionNodeLimit",
            Self::PartitionTimeLimit => "PartitionTimeLimit",
            Self::InvalidQos => "InvalidQOS",
            Self::AssocGrpJobsLimit => "AssocGrpJobsLimit",
            Self::AssocMaxJobsLimit => "AssocMaxJobsLimit",
            Self::AssocMaxWallDurationPerJobLimit => "AssocMaxWallDurationPerJobLimit",
            Self::AssocGrpSubmitJobsLimit => "AssocGrpSubmitJobsLimit",
            Self::AssocMaxSubmitJobLimit => "AssocMaxSubmitJobLimit",
            Self::AssocGrpCpuLimit => "AssocGrpCpuLimit",
            Self::AssocGrpMemLimit => "AssocGrpMemLimit",
            Self::AssocGrpNodeLimit => "AssocGrpNodeLimit",
            Self::AssocGrpGres => "AssocGrpGRES",
            Self::AssocMaxCpuPerJobLimit => "AssocMaxCpuPerJobLimit",
            Self::AssocMaxMemPerJob => "AssocMaxMemPerJob",
            Self::AssocMaxNodePerJobLimit => "AssocMaxNodePerJobLimit",
            Self::AssocMaxGresPerJob => "AssocMaxGRESPerJob",
            Self::AssocMaxCpuPerNode => "AssocMaxCpuPerNode",
            Self::AssocMaxMemPerNode => "AssocMaxMemPerNode",
            Self::AssocMaxUnknownPerNode => "AssocMaxUnknownPerNode",
            Self::AssocMaxGresPerNode => "AssocMaxGRESPerNode",
            Self::QosGrpJobsLimit => "QOSGrpJobsLimit",
            Self::QosMaxJobsPerUserLimit => "QOSMaxJobsPerUserLimit",
            Self::QosMaxWallDurationPerJobLimit => "QOSMaxWallDurationPerJobLimit",
            Self::QosGrpSubmitJobsLimit => "QOSGrpSubmitJobsLimit",
            Self::QosMaxSubmitJobPerUserLimit => "QOSMaxSubmitJobPerUserLimit",
            Self::QosGrpCpuLimit => "QOSGrpCpuLimit",
            Self::QosGrpMemLimit => "QOSGrpMemLimit",
            Self::QosGrpNodeLimit => "QOSGrpNodeLimit",
            Self::QosGrpGres => "QOSGrpGRES",
            Self::QosMaxCpuPerJobLimit => "QOSMaxCpuPerJobLimit",
            Self::QosMaxMemoryPerJob => "QOSMaxMemoryPerJob",
            Self::QosMaxNodePerJobLimit => "QOSMaxNodePerJobLimit",
            Self::QosMaxGresPerJob => "QOSMaxGRESPerJob",
            Self::QosMaxCpuPerNode => "QOSMaxCpuPerNode",
            Self::QosMaxMemoryPerNode => "QOSMaxMemoryPerNode",
            Self::QosMaxUnknownPerNode => "QOSMaxUnknownPerNode",
            Self::QosMaxGresPerNode => "QOSMaxGRESPerNode",
            Self::QosMaxCpuPerUserLimit => "QOSMaxCpuPerUserLimit",
            Self::QosMaxMemoryPerUser => "QOSMaxMemoryPerUser",
            Self::QosMaxNodePerUserLimit => "QOSMaxNodePerUserLimit",
            Self::QosMaxGresPerUser => "QOSMaxGRESPerUser",
            Self::QosMinCpuNotSatisfied => "QOSMinCpuNotSatisfied",
            Self::QosMinMemory => "QOSMinMemory",
            Self::QosMinNode => "QOSMinNode",
            Self::QosMinGres => "QOSMinGRES",
            Self::MaxJobsPerAccount => "MaxJobsPerAccount",
            Self::MaxSubmitJobsPerAccount => "MaxSubmitJobsPerAccount",
            Self::MaxCpuPerAccount => "MaxCpuPerAccount",
            Self::MaxMemoryPerAccount => "MaxMemoryPerAccount",
            Self::MaxNodePerAccount => "MaxNodePerAccount",
            Self::MaxGresPerAccount => "MaxGRESPerAccount",
            Self::PartitionConfig => "PartitionConfig",
            Self::ReqNodeNotAvail => "ReqNodeNotAvail",
            Self::NodesNotAvail => {
                "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher \
                 priority partitions"
            }
            Self::Reservation => "Reservation",
            Self::ReservationDeleted => "ReservationDeleted",
            Self::MayBeReserved => "ReqNodeNotAvail, May be reserved for other job",
            Self::BadConstraints => "BadConstraints",
            Self::NodeDown => "NodeDown",
            Self::NonZeroExitCode => "NonZeroExitCode",
            Self::RaisedSignal => "RaisedSignal",
            Self::TimeLimit => "TimeLimit",
            Self::OutOfMemory => "OutOfMemory",
            Self::JobLaunchFailure => "JobLaunchFailure",
            Self::InvalidAccount => "InvalidAccount",
            Self::AccountNotAllowed => "AccountNotAllowed",
            Self::QosNotAllowed => "QOSNotAllowed",
            Self::SystemFailure => "SystemFailure",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
