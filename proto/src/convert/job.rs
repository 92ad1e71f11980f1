//! A job, its runs and its ends.

use std::sync::Arc;

use common::{
    cpus::CpuSet,
    id::{Attempt, Incarnation, JobId, NodeName, PartitionName, Term, UserId},
    job::{
        Charge, End, EndState, ExitStatus, Hold, Job, PendingSignal, Phase, Place, Rank, Reason,
        Requeue, Run, Stage,
    },
    resources::Resources,
    time::Timestamp,
};

use super::{byte, cpus, dependency, enumeration, gres, listed, need, spec::slim_spec};
use crate::{Invalid, types as wire};

enumeration!(Hold, wire::Hold, "hold", {
    None = None, User = User, Admin = Admin, Reservation = Reservation,
});
enumeration!(Stage, wire::Stage, "stage", {
    Allocated = Allocated, Launching = Launching, Running = Running,
});
enumeration!(EndState, wire::EndState, "state", {
    Completed = Completed, Failed = Failed, Cancelled = Cancelled, Timeout = Timeout,
    NodeFail = NodeFail, OutOfMemory = OutOfMemory, Deadline = Deadline,
    Preempted = Preempted,
});
enumeration!(Reason, wire::Reason, "reason", {
    None = None, Priority = Priority, Resources = Resources, BeginTime = BeginTime,
    Licenses = Licenses, Deadline = Deadline,
    Dependency = Dependency, DependencyNeverSatisfied = DependencyNeverSatisfied,
    JobArrayTaskLimit = JobArrayTaskLimit, JobHeldUser = JobHeldUser,
    JobHeldAdmin = JobHeldAdmin, PartitionDown = PartitionDown,
    PartitionInactive = PartitionInactive, PartitionNodeLimit = PartitionNodeLimit,
    PartitionTimeLimit = PartitionTimeLimit, PartitionConfig = PartitionConfig,
    ReqNodeNotAvail = ReqNodeNotAvail, NodesNotAvail = NodesNotAvail,
    Reservation = Reservation, ReservationDeleted = ReservationDeleted,
    MayBeReserved = MayBeReserved, BadConstraints = BadConstraints, NodeDown = NodeDown,
    NonZeroExitCode = NonZeroExitCode, RaisedSignal = RaisedSignal, TimeLimit = TimeLimit,
    OutOfMemory = OutOfMemory, JobLaunchFailure = JobLaunchFailure,
    InvalidAccount = InvalidAccount, AccountNotAllowed = AccountNotAllowed,
    QosNotAllowed = QosNotAllowed,
    SystemFailure = SystemFailure,
    InvalidQos = InvalidQos, AssocGrpJobsLimit = AssocGrpJobsLimit,
    AssocMaxJobsLimit = AssocMaxJobsLimit,
    AssocMaxWallDurationPerJobLimit = AssocMaxWallDurationPerJobLimit,
    AssocGrpSubmitJobsLimit = AssocGrpSubmitJobsLimit,
    AssocMaxSubmitJobLimit = AssocMaxSubmitJobLimit, AssocGrpCpuLimit = AssocGrpCpuLimit,
    AssocGrpMemLimit = AssocGrpMemLimit, AssocGrpNodeLimit = AssocGrpNodeLimit,
    AssocGrpGres = AssocGrpGres, AssocMaxCpuPerJobLimit = AssocMaxCpuPerJobLimit,
    AssocMaxMemPerJob = AssocMaxMemPerJob, AssocMaxNodePerJobLimit = AssocMaxNodePerJobLimit,
    AssocMaxGresPerJob = AssocMaxGresPerJob, AssocMaxCpuPerNode = AssocMaxCpuPerNode,
    AssocMaxMemPerNode = AssocMaxMemPerNode, AssocMaxUnknownPerNode = AssocMaxUnknownPerNode,
    AssocMaxGresPerNode = AssocMaxGresPerNode, QosGrpJobsLimit = QosGrpJobsLimit,
    QosMaxJobsPerUserLimit = QosMaxJobsPerUserLimit,
    QosMaxWallDurationPerJobLimit = QosMaxWallDurationPerJobLimit,
    QosGrpSubmitJobsLimit = QosGrpSubmitJobsLimit,
    QosMaxSubmitJobPerUserLimit = QosMaxSubmitJobPerUserLimit, QosGrpCpuLimit = QosGrpCpuLimit,
    QosGrpMemLimit = QosGrpMemLimit, QosGrpNodeLimit = QosGrpNodeLimit, QosGrpGres = QosGrpGres,
    QosMaxCpuPerJobLimit = QosMaxCpuPerJobLimit, QosMaxMemoryPerJob = QosMaxMemoryPerJob,
    QosMaxNodePerJobLimit = QosMaxNodePerJobLimit, QosMaxGresPerJob = QosMaxGresPerJob,
    QosMaxCpuPerNode = QosMaxCpuPerNode, QosMaxMemoryPerNode = QosMaxMemoryPerNode,
    QosMaxUnknownPerNode = QosMaxUnknownPerNode, QosMaxGresPerNode = QosMaxGresPerNode,
    QosMaxCpuPerUserLimit = QosMaxCpuPerUserLimit, QosMaxMemoryPerUser = QosMaxMemoryPerUser,
    QosMaxNodePerUserLimit = QosMaxNodePerUserLimit, QosMaxGresPerUser = QosMaxGresPerUser,
    QosMinCpuNotSatisfied = QosMinCpuNotSatisfied, QosMinMemory = QosMinMemory,
    QosMinNode = QosMinNode, QosMinGres = QosMinGres, MaxJobsPerAccount = MaxJobsPerAccount,
    MaxSubmitJobsPerAccount = MaxSubmitJobsPerAccount, MaxCpuPerAccount = MaxCpuPerAccount,
    MaxMemoryPerAccount = MaxMemoryPerAccount, MaxNodePerAccount = MaxNodePerAccount,
    MaxGresPerAccount = MaxGresPerAccount,
});

impl From<Resources> for wire::Resources {
    fn from(resources: Resources) -> Self {
        Self { cpus: resources.cpus, memory_mib: resources.memory_mib }
    }
}

impl From<wire::Resources> for Resources {
    fn from(wire: wire::Resources) -> Self {
        Self { cpus: wire.cpus, memory_mib: wire.memory_mib }
    }
}

impl From<&Place> for wire::Place {
    fn from(place: &Place) -> Self {
        Self {
            node: place.node.to_string(),
            held: Some(place.held.into()),
            tasks: place.tasks,
            gres: gres::several(&place.gres),
        }
    }
}

impl TryFrom<wire::Place> for Place {
    type Error = Invalid;

    fn try_from(wire: wire::Place) -> Result<Self, Invalid> {
        Ok(Self {
            node: NodeName::from(wire.node),
            held: need(wire.held, "held")?.into(),
            tasks: wire.tasks,
            gres: gres::all(wire.gres)?,
            cpus: CpuSet::default(),
        })
    }
}

impl From<&Run> for wire::Run {
    fn from(run: &Run) -> Self {
        Self {
            started: run.started.0,
            term: run.term.0,
            places: run.places.iter().map(Into::into).collect(),
            cpus: cpus::of_places(&run.places),
            incarnation: run.incarnation.0,
            stage: wire::Stage::from(run.stage).into(),
            deadline: run.deadline.map(|at| at.0),
            warned: run.warned,
            stay: run.stay.as_ref().map(Into::into),
            charge: run.charge.map(|charge| charge.0),
            time_limit: run.time_limit.map(Into::into),
            preempted: run.preempted.map(Into::into),
        }
    }
}

impl TryFrom<wire::Run> for Run {
    type Error = Invalid;

    fn try_from(wire: wire::Run) -> Result<Self, Invalid> {
        let places = cpus::with_places(wire.places, wire.cpus)?;
        if places.is_empty() {
            return Err(Invalid::Missing("places"));
        }
        Ok(Self {
            started: Timestamp(wire.started),
            term: Term(wire.term),
            places,
            incarnation: Incarnation(wire.incarnation),
            stage: listed::<wire::Stage, _>(wire.stage, "stage")?,
            deadline: wire.deadline.map(Timestamp),
            warned: wire.warned,
            stay: wire.stay.map(Into::into),
            charge: wire.charge.map(Charge),
            time_limit: wire.time_limit.map(Into::into),
            preempted: wire.preempted.map(Into::into),
        })
    }
}

impl From<&End> for wire::End {
    fn from(end: &End) -> Self {
        Self {
            at: end.at.0,
            state: wire::EndState::from(end.state).into(),
            exit_code: u32::from(end.exit.code),
            exit_signal: u32::from(end.exit.signal),
            by: end.by.map(|user| user.0),
            reason: end.reason.map(|reason| wire::Reason::from(reason).into()),
            message: end.message.clone(),
        }
    }
}

impl TryFrom<wire::End> for End {
    type Error = Invalid;

    fn try_from(wire: wire::End) -> Result<Self, Invalid> {
        let reason = |reason| listed::<wire::Reason, _>(reason, "reason");
        Ok(Self {
            at: Timestamp(wire.at),
            state: listed::<wire::EndState, _>(wire.state, "state")?,
            exit: ExitStatus {
                code: byte(wire.exit_code, "exit_code")?,
                signal: byte(wire.exit_signal, "exit_signal")?,
            },
            by: wire.by.map(UserId),
            reason: wire.reason.map(reason).transpose()?,
            message: wire.message,
        })
    }
}

impl From<Requeue> for wire::Requeue {
    fn from(requeue: Requeue) -> Self {
        Self { begin: requeue.begin.map(|at| at.0), hold: requeue.hold }
    }
}

impl From<wire::Requeue> for Requeue {
    fn from(wire: wire::Requeue) -> Self {
        Self { begin: wire.begin.map(Timestamp), hold: wire.hold }
    }
}

impl From<&PendingSignal> for wire::PendingSignal {
    fn from(signal: &PendingSignal) -> Self {
        Self {
            number: signal.number,
            signal: u32::from(signal.signal),
            scope: wire::SignalScope::from(signal.scope).into(),
            by: signal.by.0,
        }
    }
}

impl TryFrom<wire::PendingSignal> for PendingSignal {
    type Error = Invalid;

    fn try_from(wire: wire::PendingSignal) -> Result<Self, Invalid> {
        Ok(Self {
            number: wire.number,
            signal: byte(wire.signal, "signal")?,
            scope: listed::<wire::SignalScope, _>(wire.scope, "scope")?,
            by: UserId(wire.by),
        })
    }
}

impl From<&Job> for wire::Job {
    fn from(job: &Job) -> Self {
        with_spec(job, job.spec.as_ref().into())
    }
}

/// The job with as much of its spec as lists of jobs show: a queue may hold very many.
#[must_use]
pub fn slim_job(job: &Job) -> wire::Job {
    with_spec(job, slim_spec(&job.spec))
}

fn with_spec(job: &Job, spec: wire::JobSpec) -> wire::Job {
    let (requeue_after, over) = match &job.phase {
        Phase::Completing { requeue, .. } => (requeue.map(Into::into), false),
        Phase::Pending | Phase::Active(_) => (None, false),
        Phase::Ended { .. } => (None, true),
    };
    wire::Job {
        id: job.id.0,
        spec: Some(spec),
        submitted: job.submitted.0,
        attempt: job.attempt.0,
        priority: job.priority,
        hold: wire::Hold::from(job.hold).into(),
        partition: job.partition.to_string(),
        time_limit: Some(job.time_limit.into()),
        begin: job.begin.map(|at| at.0),
        requeue: job.requeue,
        restarts: job.restarts,
        run: job.run().map(Into::into),
        end: job.end().map(Into::into),
        over,
        requeue_after,
        signals: job.signals.iter().map(Into::into).collect(),
        signals_sent: job.signals_sent,
        dependency: job.dependency.as_deref().map(Into::into),
        array: job.array.as_ref().map(Into::into),
        since: job.rank.since.map(|at| at.0),
        direct_priority: job.rank.direct,
        preemptor: job.preemptor,
    }
}

impl TryFrom<wire::Job> for Job {
    type Error = Invalid;

    fn try_from(wire: wire::Job) -> Result<Self, Invalid> {
        let run = wire.run.map(Run::try_from).transpose()?;
        let end = wire.end.map(End::try_from).transpose()?;
        let requeue = wire.requeue_after.map(Into::into);
        let phase = match (run, end, wire.over) {
            (None, None, false) => Phase::Pending,
            (Some(run), None, false) => Phase::Active(run),
            (Some(run), Some(end), false) => Phase::Completing { run, end, requeue },
            (run, Some(end), true) => Phase::Ended { run, end },
            (None, Some(_), false) => return Err(Invalid::Missing("run")),
            (_, None, true) => return Err(Invalid::Missing("end")),
        };
        Ok(Self {
            id: JobId(wire.id),
            spec: Arc::new(need(wire.spec, "spec")?.try_into()?),
            submitted: Timestamp(wire.submitted),
            attempt: Attempt(wire.attempt),
            priority: wire.priority,
            hold: listed::<wire::Hold, _>(wire.hold, "hold")?,
            partition: PartitionName::from(wire.partition),
            time_limit: need(wire.time_limit, "time_limit")?.into(),
            begin: wire.begin.map(Timestamp),
            requeue: wire.requeue,
            restarts: wire.restarts,
            phase,
            signals: wire.signals.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            signals_sent: wire.signals_sent,
            dependency: dependency::shared(wire.dependency)?,
            preemptor: wire.preemptor,
            array: wire.array.map(TryInto::try_into).transpose()?,
            rank: Rank { since: wire.since.map(Timestamp), direct: wire.direct_priority },
        })
    }
}
