//! What a job asks for.

use common::{
    id::{ContentHash, GroupId, NodeName, PartitionName, UserId},
    job::{
        JobChanges, JobSpec, Layout, MemoryRequest, OpenMode, ResourceLimit, SignalScope,
        WarnSignal,
    },
    time::{Span, TimeLimit, Timestamp},
};

use super::{array, asks, byte, dependency, enumeration, exact, gres, need};
use crate::{Invalid, types as wire};

enumeration!(SignalScope, wire::SignalScope, "scope", {
    Steps = Steps, Batch = Batch, Full = Full,
});

impl From<TimeLimit> for wire::TimeLimit {
    fn from(limit: TimeLimit) -> Self {
        let minutes = match limit {
            TimeLimit::Minutes(minutes) => Some(minutes),
            TimeLimit::Unlimited => None,
        };
        Self { minutes }
    }
}

impl From<wire::TimeLimit> for TimeLimit {
    fn from(wire: wire::TimeLimit) -> Self {
        wire.minutes.map_or(Self::Unlimited, Self::Minutes)
    }
}

impl From<MemoryRequest> for wire::MemoryRequest {
    fn from(request: MemoryRequest) -> Self {
        use wire::memory_request::Amount;
        let amount = match request {
            MemoryRequest::Default => None,
            MemoryRequest::PerNode(mib) => Some(Amount::PerNode(mib)),
            MemoryRequest::PerCpu(mib) => Some(Amount::PerCpu(mib)),
        };
        Self { amount }
    }
}

impl From<wire::MemoryRequest> for MemoryRequest {
    fn from(wire: wire::MemoryRequest) -> Self {
        use wire::memory_request::Amount;
        match wire.amount {
            None => Self::Default,
            Some(Amount::PerNode(mib)) => Self::PerNode(mib),
            Some(Amount::PerCpu(mib)) => Self::PerCpu(mib),
        }
    }
}

impl From<Layout> for wire::Layout {
    fn from(layout: Layout) -> Self {
        Self {
            min_nodes: layout.min_nodes,
            max_nodes: layout.max_nodes,
            nodes_given: layout.nodes_given,
            tasks: layout.tasks,
            tasks_given: layout.tasks_given,
            cpus_per_task: layout.cpus_per_task,
            tasks_per_node: layout.tasks_per_node,
            min_cpus_per_node: layout.min_cpus_per_node,
        }
    }
}

impl From<wire::Layout> for Layout {
    fn from(wire: wire::Layout) -> Self {
        Self {
            min_nodes: wire.min_nodes,
            max_nodes: wire.max_nodes,
            nodes_given: wire.nodes_given,
            tasks: wire.tasks,
            tasks_given: wire.tasks_given,
            cpus_per_task: wire.cpus_per_task,
            tasks_per_node: wire.tasks_per_node,
            min_cpus_per_node: wire.min_cpus_per_node,
        }
    }
}

impl From<&JobSpec> for wire::JobSpec {
    fn from(spec: &JobSpec) -> Self {
        Self {
            name: spec.name.clone(),
            user: spec.user.0,
            user_name: spec.user_name.clone(),
            group: spec.group.0,
            group_name: spec.group_name.clone(),
            partition: spec.partition.to_string(),
            account: spec.account.clone(),
            qos: spec.qos.clone(),
            layout: Some(spec.layout.into()),
            memory: Some(spec.memory.into()),
            time_limit: spec.time_limit.map(Into::into),
            required_nodes: texts(&spec.required_nodes),
            excluded_nodes: texts(&spec.excluded_nodes),
            exclusive: spec.exclusive,
            hold: spec.hold,
            begin: spec.begin.map(|at| at.0),
            requeue: spec.requeue,
            nice: spec.nice,
            warn_signal: spec.warn_signal.map(|warn| wire::WarnSignal {
                signal: u32::from(warn.signal),
                before_ms: warn.before.0,
                batch_only: warn.batch_only,
            }),
            comment: spec.comment.clone(),
            script: spec.script.0.to_vec().into(),
            environment: spec.environment.0.to_vec().into(),
            arguments: spec.arguments.clone(),
            command: spec.command.clone(),
            work_dir: spec.work_dir.clone(),
            std_in: spec.std_in.clone(),
            std_out: spec.std_out.clone(),
            std_err: spec.std_err.clone(),
            append: spec.open_mode.map(|mode| mode == OpenMode::Append),
            export: spec.export.clone(),
            submit_line: spec.submit_line.clone(),
            submit_host: spec.submit_host.clone(),
            session: spec.session,
            umask: spec.umask,
            limits: spec.limits.iter().copied().map(Into::into).collect(),
            trace: spec.trace.clone(),
            dependency: spec.dependency.as_deref().map(Into::into),
            kill_on_invalid_dep: spec.kill_on_invalid_dep,
            array: spec.array.as_deref().map(Into::into),
            constraint: asks::constraint_text(spec.constraint.as_ref()),
            tmp_disk_mib: spec.tmp_disk_mib,
            gres: spec.gres.as_deref().map(Into::into),
            asks: spec.asks.as_deref().map(Into::into),
            reservations: spec.reservations.clone(),
            het: spec.het.map(Into::into),
        }
    }
}

/// The spec without the hashes, the submit line, arguments, limits, files, trace, and what is known
/// of the submitting process.
pub(super) fn slim_spec(spec: &JobSpec) -> wire::JobSpec {
    wire::JobSpec {
        name: spec.name.clone(),
        user: spec.user.0,
        user_name: spec.user_name.clone(),
        group: spec.group.0,
        group_name: spec.group_name.clone(),
        partition: spec.partition.to_string(),
        account: spec.account.clone(),
        qos: spec.qos.clone(),
        layout: Some(spec.layout.into()),
        memory: Some(spec.memory.into()),
        time_limit: spec.time_limit.map(Into::into),
        required_nodes: texts(&spec.required_nodes),
        excluded_nodes: texts(&spec.excluded_nodes),
        exclusive: spec.exclusive,
        hold: spec.hold,
        begin: spec.begin.map(|at| at.0),
        requeue: spec.requeue,
        nice: spec.nice,
        comment: spec.comment.clone(),
        command: spec.command.clone(),
        work_dir: spec.work_dir.clone(),
        constraint: asks::constraint_text(spec.constraint.as_ref()),
        tmp_disk_mib: spec.tmp_disk_mib,
        gres: spec.gres.as_deref().map(Into::into),
        asks: spec.asks.as_deref().map(Into::into),
        reservations: spec.reservations.clone(),
        het: spec.het.map(Into::into),
        ..wire::JobSpec::default()
    }
}

impl TryFrom<wire::JobSpec> for JobSpec {
    type Error = Invalid;

    fn try_from(wire: wire::JobSpec) -> Result<Self, Invalid> {
        let mode = |append| if append { OpenMode::Append } else { OpenMode::Truncate };
        let hash = |bytes: &[u8], name| match bytes {
            [] => Ok(ContentHash::default()),
            bytes => exact(bytes, name).map(ContentHash),
        };
        Ok(Self {
            name: wire.name,
            user: UserId(wire.user),
            user_name: wire.user_name,
            group: GroupId(wire.group),
            group_name: wire.group_name,
            partition: PartitionName::from(wire.partition),
            account: wire.account,
            qos: wire.qos,
            layout: need(wire.layout, "layout")?.into(),
            memory: wire.memory.map_or(MemoryRequest::Default, Into::into),
            time_limit: wire.time_limit.map(Into::into),
            required_nodes: names(wire.required_nodes),
            excluded_nodes: names(wire.excluded_nodes),
            exclusive: wire.exclusive,
            hold: wire.hold,
            begin: wire.begin.map(Timestamp),
            requeue: wire.requeue,
            nice: wire.nice,
            warn_signal: wire.warn_signal.map(TryInto::try_into).transpose()?,
            comment: wire.comment,
            script: hash(&wire.script, "script")?,
            environment: hash(&wire.environment, "environment")?,
            arguments: wire.arguments,
            command: wire.command,
            work_dir: wire.work_dir,
            std_in: wire.std_in,
            std_out: wire.std_out,
            std_err: wire.std_err,
            open_mode: wire.append.map(mode),
            export: wire.export,
            submit_line: wire.submit_line,
            submit_host: wire.submit_host,
            session: wire.session,
            umask: wire.umask,
            limits: wire.limits.into_iter().map(Into::into).collect(),
            trace: wire.trace,
            dependency: dependency::shared(wire.dependency)?,
            kill_on_invalid_dep: wire.kill_on_invalid_dep,
            array: array::shared(wire.array)?,
            constraint: asks::constraint(wire.constraint)?.filter(|asked| !asked.is_empty()),
            tmp_disk_mib: wire.tmp_disk_mib,
            gres: gres::shared(wire.gres),
            asks: asks::shared(wire.asks)?,
            reservations: wire.reservations,
            het: wire.het.map(TryInto::try_into).transpose()?,
        })
    }
}

impl TryFrom<wire::WarnSignal> for WarnSignal {
    type Error = Invalid;

    fn try_from(wire: wire::WarnSignal) -> Result<Self, Invalid> {
        Ok(Self {
            signal: byte(wire.signal, "signal")?,
            before: Span(wire.before_ms),
            batch_only: wire.batch_only,
        })
    }
}

impl From<ResourceLimit> for wire::ResourceLimit {
    fn from(limit: ResourceLimit) -> Self {
        Self { resource: limit.resource, soft: limit.soft, hard: limit.hard }
    }
}

impl From<wire::ResourceLimit> for ResourceLimit {
    fn from(wire: wire::ResourceLimit) -> Self {
        Self { resource: wire.resource, soft: wire.soft, hard: wire.hard }
    }
}

impl From<&JobChanges> for wire::JobChanges {
    fn from(changes: &JobChanges) -> Self {
        let list = |nodes: &Option<Vec<NodeName>>| {
            nodes.as_ref().map(|nodes| wire::NameList { names: texts(nodes) })
        };
        Self {
            name: changes.name.clone(),
            partition: changes.partition.as_ref().map(ToString::to_string),
            time_limit: changes.time_limit.map(Into::into),
            priority: changes.priority,
            nice: changes.nice,
            begin: changes.begin.map(|at| at.0),
            comment: changes.comment.clone(),
            requeue: changes.requeue,
            min_nodes: changes.min_nodes,
            max_nodes: changes.max_nodes,
            tasks: changes.tasks,
            cpus_per_task: changes.cpus_per_task,
            memory: changes.memory.map(Into::into),
            required_nodes: list(&changes.required_nodes),
            excluded_nodes: list(&changes.excluded_nodes),
            std_out: changes.std_out.clone(),
            std_err: changes.std_err.clone(),
            dependency: changes.dependency.as_deref().map(Into::into),
            array_limit: changes.array_limit,
            constraint: asks::constraint_text(changes.constraint.as_ref()),
            tmp_disk_mib: changes.tmp_disk_mib,
            account: changes.account.clone(),
            qos: changes.qos.clone(),
            asks: asks::changes_message(&changes.asks),
            reservations: (changes.reservations.clone()).map(|names| wire::NameList { names }),
        }
    }
}

impl TryFrom<wire::JobChanges> for JobChanges {
    type Error = Invalid;

    fn try_from(wire: wire::JobChanges) -> Result<Self, Invalid> {
        Ok(Self {
            name: wire.name,
            partition: wire.partition.map(PartitionName::from),
            time_limit: wire.time_limit.map(Into::into),
            priority: wire.priority,
            nice: wire.nice,
            begin: wire.begin.map(Timestamp),
            comment: wire.comment,
            requeue: wire.requeue,
            min_nodes: wire.min_nodes,
            max_nodes: wire.max_nodes,
            tasks: wire.tasks,
            cpus_per_task: wire.cpus_per_task,
            memory: wire.memory.map(Into::into),
            required_nodes: wire.required_nodes.map(|list| names(list.names)),
            excluded_nodes: wire.excluded_nodes.map(|list| names(list.names)),
            std_out: wire.std_out,
            std_err: wire.std_err,
            dependency: dependency::shared(wire.dependency)?,
            array_limit: wire.array_limit,
            constraint: asks::constraint(wire.constraint)?,
            tmp_disk_mib: wire.tmp_disk_mib,
            account: wire.account,
            qos: wire.qos,
            asks: wire.asks.map(TryInto::try_into).transpose()?.unwrap_or_default(),
            reservations: wire.reservations.map(|list| list.names),
        })
    }
}

fn texts(names: &[NodeName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn names(texts: Vec<String>) -> Vec<NodeName> {
    texts.into_iter().map(NodeName::from).collect()
}
