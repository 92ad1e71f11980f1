//! A job's record.

use common::{
    cpus::CpuSet,
    hostlist::Hostlist,
    size::Mib,
    time::{Span, Timestamp},
};
use proto::types::{Place, memory_request::Amount};

use super::{
    super::session::Flags,
    record::{Record, or_null},
};
use crate::{
    render::Clock,
    view::{Job, State, asks::any, gres::detailed, job},
};

/// Appends the record, in Slurm's order.
pub(in super::super) fn text(out: &mut String, job: &Job<'_>, clock: &Clock, flags: Flags) {
    let mut record = Record::new(out, flags.one_line);
    owner(&mut record, job, flags.details);
    times(&mut record, job, clock);
    places(&mut record, job);
    resources(&mut record, job, flags.details);
    files(&mut record, job);
    record.end();
}

fn owner(record: &mut Record<'_>, job: &Job<'_>, details: bool) {
    let spec = job.spec;
    record.pair("JobId", job.id());
    if let (Some(array), Some(tasks)) = (job.array(), job.task_text()) {
        record.pair("ArrayJobId", array).pair("ArrayTaskId", tasks);
        if let Some(limit) = job.view.array_limit {
            record.pair("ArrayTaskThrottle", limit);
        }
    }
    if let Some(part) = job.het() {
        record.pair("HetJobId", part.leader).pair("HetJobOffset", part.offset);
    }
    record.pair("JobName", &spec.name).line();
    if let Some(set) = job.het_set() {
        record.pair("HetJobIdSet", set).line();
    }
    if details {
        record.pair("SLUID", "(null)").line();
    }
    record
        .pair("UserId", format_args!("{}({})", spec.user_name, spec.user))
        .pair("GroupId", format_args!("{}({})", spec.group_name, spec.group))
        .pair("MCS_label", "N/A")
        .line();
    record
        .pair("Priority", job.job.priority)
        .pair("Nice", spec.nice)
        .pair("Account", or_null(spec.account.as_deref()))
        .pair("QOS", job.spec.qos.as_deref().unwrap_or("(null)"))
        .line();
    record.pair("JobState", job.state().name()).pair("Reason", job.reason().replace(' ', "_"));
    if let Some(node) = job.failed_node() {
        record.pair("FailedNode", node);
    }
    record.pair("Dependency", or_null(job.dependency().as_deref())).line();
    record
        .pair("Requeue", u8::from(job.job.requeue))
        .pair("Restarts", job.job.restarts)
        .pair("BatchFlag", 1)
        .pair("Reboot", 0)
        .pair("ExitCode", job.exit_code())
        .line();
    if details {
        record.pair("DerivedExitCode", "0:0").line();
    }
}

fn times(record: &mut Record<'_>, job: &Job<'_>, clock: &Clock) {
    let moment = |at| clock.text(at, "Unknown");
    record
        .pair("RunTime", job.elapsed().padded())
        .pair("TimeLimit", job.time_limit().padded())
        .pair("TimeMin", job.time_min().map_or("N/A".to_owned(), Span::padded))
        .line();
    record
        .pair("SubmitTime", moment(Some(Timestamp(job.job.submitted))))
        .pair("EligibleTime", moment(job.eligible()))
        .line();
    record.pair("AccrueTime", moment(job.accrues_since())).line();
    record
        .pair("StartTime", moment(job.start()))
        .pair("EndTime", moment(job.finish().ok().flatten()))
        .pair("Deadline", clock.text(job.deadline(), "N/A"))
        .line();
    if let Some(at) = job.preemptable() {
        record
            .pair("PreemptEligibleTime", moment(Some(at)))
            .pair("PreemptTime", clock.text(job.preempted(), "None"))
            .line();
    }
    record
        .pair("SuspendTime", "None")
        .pair("SecsPreSuspend", 0)
        .pair("LastSchedEval", moment(job.run().map(|run| Timestamp(run.started))))
        .pair("Scheduler", "Main")
        .line();
}

fn places(record: &mut Record<'_>, job: &Job<'_>) {
    let list = |names: &[String]| {
        if names.is_empty() { "(null)".to_owned() } else { job::list(names) }
    };
    let spec = job.spec;
    record
        .pair("Partition", &job.job.partition)
        .pair("AllocNode:Sid", format_args!("{}:{}", spec.submit_host, spec.session))
        .line();
    record
        .pair("ReqNodeList", list(&spec.required_nodes))
        .pair("ExcNodeList", list(&spec.excluded_nodes))
        .line();
    let mut nodes = String::new();
    job.put_nodes(&mut nodes);
    record.pair("NodeList", nodes).line();
    if let Some(host) = job.batch_host() {
        record.pair("BatchHost", host).line();
    }
}

fn resources(record: &mut Record<'_>, job: &Job<'_>, details: bool) {
    let cores = job.cores();
    record
        .pair("NumNodes", node_count(job))
        .pair("NumCPUs", job.cpus())
        .pair("NumTasks", job.layout.tasks)
        .pair("CPUs/Task", job.cpus_per_task())
        .pair("ReqB:S:C:T", format_args!("0:0:{}:{}", any(cores.cores), any(cores.threads)))
        .line();
    record.pair("ReqTRES", job.requested()).line();
    record.pair("AllocTRES", or_null(job.allocated().as_deref())).line();
    let per_node = job.layout.tasks_per_node.unwrap_or(0);
    record
        .pair("Socks/Node", any(cores.sockets))
        .pair("NtasksPerN:B:S:C", format_args!("{per_node}:0:*:{}", any(cores.tasks_per_core)))
        .pair("CoreSpec", '*')
        .line();
    let holds = matches!(job.state(), State::Configuring | State::Running | State::Completing(_));
    if details && holds {
        record.pair("JOB_GRES", or_null(job.job_gres().as_deref())).line();
        holdings(record, job);
    }
    let (memory, mib) = match job.memory() {
        Some(Amount::PerCpu(mib)) => ("MinMemoryCPU", mib),
        Some(Amount::PerNode(mib)) => ("MinMemoryNode", mib),
        None => ("MinMemoryNode", 0),
    };
    record
        .pair("MinCPUsNode", job.min_cpus())
        .pair(memory, Mib(mib))
        .pair("MinTmpDiskNode", Mib(job.spec.tmp_disk_mib))
        .line();
    record
        .pair("Features", or_null(job.spec.constraint.as_deref()))
        .pair("DelayBoot", "00:00:00")
        .line();
    record
        .pair("OverSubscribe", "NO")
        .pair("Exclusive", job.exclusive())
        .pair("Contiguous", u8::from(job.placing().contiguous))
        .pair("Licenses", or_null(job.licenses()))
        .pair("LicensesAlloc", or_null(job.licenses_allocated()))
        .pair("Network", "(null)")
        .line();
    if let Some(few) = job.switches() {
        record.pair("Switches", format_args!("{}@{}", few.most, job.switch_wait().padded())).line();
    }
    if let Some(name) = job.reservation() {
        record.pair("Reservation", name).line();
    }
}

/// What it holds, a line for all nodes that follow each other and are alike.
fn holdings(record: &mut Record<'_>, job: &Job<'_>) {
    let places: Vec<(&Place, CpuSet)> = job.places().iter().zip(job.cpu_ids()).collect();
    let alike = |one: &(&Place, CpuSet), other: &(&Place, CpuSet)| {
        one.0.held == other.0.held && one.0.gres == other.0.gres && one.1 == other.1
    };
    for alike in places.chunk_by(alike) {
        let (place, cpus) = &alike[0];
        let nodes = Hostlist::from_names(alike.iter().map(|(place, _)| &place.node));
        // A job that an older release started says nothing of them.
        let ids = if cpus.is_empty() { "N/A".to_owned() } else { cpus.to_string() };
        record
            .text(format_args!("  Nodes={nodes}"))
            .pair("CPU_IDs", ids)
            .pair("Mem", place.held.unwrap_or_default().memory_mib)
            .pair("GRES", detailed(place))
            .line();
    }
}

/// While a job waits, how many it may have where that was said.
fn node_count(job: &Job<'_>) -> String {
    let count = job.node_count();
    let waits = job.state() == State::Pending;
    match job.layout.max_nodes.filter(|_| waits && job.layout.nodes_given) {
        Some(max) => format!("{count}-{max}"),
        None => count.to_string(),
    }
}

fn files(record: &mut Record<'_>, job: &Job<'_>) {
    let spec = job.spec;
    record.pair("Command", or_null(job.command().as_deref())).line();
    record.pair("SubmitLine", &spec.submit_line).line();
    record.pair("WorkDir", &spec.work_dir).line();
    if let Some(comment) = &spec.comment {
        record.pair("Comment", comment).line();
    }
    let error = job.std_err().map(|path| job.expanded(&path));
    record.pair("StdErr", error.unwrap_or_default()).line();
    record.pair("StdIn", job.expanded(&job.std_in())).line();
    record.pair("StdOut", job.expanded(&job.std_out()));
    for (name, text) in [
        ("CpusPerTres", job.cpus_per_tres()),
        ("MemPerTres", job.mem_per_tres()),
        ("TresPerJob", job.tres_per_job()),
        ("TresPerNode", job.tres_per_node()),
        ("TresPerTask", job.tres_per_task()),
    ] {
        if let Some(text) = text {
            record.line().pair(name, text);
        }
    }
}
