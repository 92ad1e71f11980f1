//! A job as JSON, in the shape of Slurm's `data_parser/v0.0.45`.
//!
//! What Rafter has no notion of has the value that Slurm gives to what is unset.

use common::{cpus::CpuSet, time::Timestamp};
use proto::{
    ctl::CpuLayout,
    types::{Hold, Place, memory_request::Amount},
};
use serde_json::{Map, Value, json};

pub(super) use crate::render::json::Meta;
use crate::{
    render::json::{self, infinite, maybe, number, or_infinite, unset},
    signal,
    view::{Job, State, gres::detailed, job},
};

/// The whole answer.
pub(super) fn answer(jobs: &[Job<'_>], meta: &Meta<'_>, now: Timestamp, compact: bool) -> String {
    let data = vec![
        ("jobs", jobs.iter().map(|job| self::job(job, meta.cluster)).collect()),
        ("last_backfill", number(0)),
        ("last_update", number(now.seconds())),
    ];
    json::text(&json::answer(data, meta), compact)
}

/// One job.
pub(crate) fn job(job: &Job<'_>, cluster: &str) -> Value {
    let parts = [
        account_to_cron(job, cluster),
        deadline_to_job(job),
        job_to_nodes(job),
        nice_to_profile(job),
        qos_to_state(job),
        standard_to_working(job),
    ];
    let fields = parts.into_iter().flatten();
    Value::Object(fields.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

type Fields = Vec<(&'static str, Value)>;

/// Seconds since the epoch; 0 where there is no such moment.
fn moment(at: Option<Timestamp>) -> Value {
    number(at.map_or(0, Timestamp::seconds))
}

fn account_to_cron(job: &Job<'_>, cluster: &str) -> Fields {
    let billed = job.held().map(|(cpus, _)| f64::from(cpus));
    vec![
        ("account", json!(job.spec.account.as_deref().unwrap_or_default())),
        ("accrue_time", moment(job.accrues_since())),
        ("admin_comment", json!("")),
        ("allocating_node", json!(job.spec.submit_host)),
        ("array_job_id", number(job.array().unwrap_or(0).into())),
        ("array_task_id", maybe(task_id(job))),
        ("array_max_tasks", number(job.view.array_limit.unwrap_or(0).into())),
        ("array_task_string", json!(waiting_tasks(job))),
        ("association_id", json!(0)),
        ("batch_features", json!("")),
        ("batch_flag", json!(true)),
        ("batch_host", json!(job.batch_host().unwrap_or_default())),
        ("flags", flags(job)),
        ("burst_buffer", json!("")),
        ("burst_buffer_state", json!("")),
        ("cluster", json!(cluster)),
        ("cluster_features", json!("")),
        ("command", json!(job.command().unwrap_or_default())),
        ("comment", json!(job.spec.comment.as_deref().unwrap_or_default())),
        ("container", json!("")),
        ("container_id", json!("")),
        ("container_type", json!("")),
        ("contiguous", json!(job.placing().contiguous)),
        ("core_spec", json!(0)),
        ("thread_spec", json!(32_766)),
        ("cores_per_socket", maybe(job.cores().cores.map(u64::from))),
        (
            "billable_tres",
            json!({ "set": billed.is_some(), "infinite": false, "number": billed.unwrap_or(0.0) }),
        ),
        ("cpus_per_task", number(job.cpus_per_task().into())),
        ("cpu_frequency_minimum", unset()),
        ("cpu_frequency_maximum", unset()),
        ("cpu_frequency_governor", unset()),
        ("cpus_per_tres", json!(job.cpus_per_tres().unwrap_or_default())),
        ("cron", json!("")),
    ]
}

fn flags(job: &Job<'_>) -> Value {
    let all = [
        ("EXACT_TASK_COUNT_REQUESTED", job.layout.tasks_given),
        ("EXACT_CPU_COUNT_REQUESTED", job.layout.cpus_per_task.is_some()),
        ("JOB_WAS_RUNNING", job.run().is_some()),
        (
            "EXACT_MEMORY_REQUESTED",
            job.spec.memory.as_ref().is_some_and(|memory| memory.amount.is_some()),
        ),
        ("USING_DEFAULT_ACCOUNT", job.spec.account.is_none()),
        ("USING_DEFAULT_QOS", true),
        ("USING_DEFAULT_WCKEY", true),
        ("PARTITION_ASSIGNED", true),
    ];
    all.iter().filter(|(_, has)| *has).map(|(name, _)| json!(name)).collect()
}

fn deadline_to_job(job: &Job<'_>) -> Fields {
    vec![
        ("deadline", number(job.deadline().map_or(0, |at| at.seconds()))),
        ("delay_boot", number(0)),
        ("dependency", json!(job.dependency().unwrap_or_default())),
        ("derived_exit_code", exit_code(0, 0)),
        ("eligible_time", moment(job.eligible())),
        ("end_time", moment(job.finish().ok().flatten())),
        ("excluded_nodes", json!(job::list(&job.spec.excluded_nodes))),
        (
            "exit_code",
            job.end()
                .map_or_else(|| exit_code(0, 0), |end| exit_code(end.exit_code, end.exit_signal)),
        ),
        ("extra", json!("")),
        ("failed_node", json!(job.failed_node().unwrap_or_default())),
        ("features", json!(job.spec.constraint.as_deref().unwrap_or_default())),
        ("federation_origin", json!("")),
        ("federation_siblings_active", json!("")),
        ("federation_siblings_viable", json!("")),
        ("gres_detail", details(job)),
        ("group_id", json!(job.spec.group)),
        ("group_name", json!(job.spec.group_name)),
        ("het_job_id", number(job.het().map_or(0, |part| part.leader.into()))),
        ("het_job_id_set", json!(job.het_set().unwrap_or_default())),
        ("het_job_offset", number(job.het().map_or(0, |part| part.offset.into()))),
        ("job_id", json!(job.id())),
    ]
}

/// Of each node, where it has anything.
fn details(job: &Job<'_>) -> Value {
    let texts = job.places().iter().map(detailed).filter(|text| !text.is_empty());
    texts.map(Value::from).collect()
}

/// The task that it is; none of one that stands for those that wait.
fn task_id(job: &Job<'_>) -> Option<u64> {
    let waits = job.waiting().is_some() && job.task.is_none();
    job.task_text().filter(|_| !waits)?.parse().ok()
}

fn waiting_tasks(job: &Job<'_>) -> String {
    let waits = job.waiting().is_some() && job.task.is_none();
    job.task_text().filter(|_| waits).unwrap_or_default()
}

fn exit_code(code: u32, signal: u32) -> Value {
    let (status, code) = match (code, signal) {
        (0, 0) => ("SUCCESS", number(0)),
        (code, 0) => ("ERROR", number(code.into())),
        (_, _) => ("SIGNALED", unset()),
    };
    let id = maybe((signal > 0).then_some(signal.into()));
    let name = u8::try_from(signal).ok().filter(|signal| *signal > 0).map(signal::name);
    json!({
        "status": [status],
        "return_code": code,
        "signal": { "id": id, "name": name.unwrap_or_default() },
    })
}

fn job_to_nodes(job: &Job<'_>) -> Fields {
    let most = if job.run().is_none() { job.layout.max_nodes } else { None };
    let mut nodes = String::new();
    job.put_nodes(&mut nodes);
    vec![
        ("job_resources", resources(job, &nodes)),
        ("job_size_str", json!([])),
        ("job_state", json!(job.state().list())),
        ("last_sched_evaluation", moment(job.run().map(|run| Timestamp(run.started)))),
        ("licenses", json!(job.licenses().unwrap_or_default())),
        ("licenses_allocated", json!(job.licenses_allocated().unwrap_or_default())),
        ("mail_type", json!([])),
        ("mail_user", json!(job.spec.user_name)),
        ("max_cpus", number(0)),
        ("max_nodes", number(most.unwrap_or(0).into())),
        ("mcs_label", json!("")),
        ("memory_per_tres", json!(job.mem_per_tres().unwrap_or_default())),
        ("memory_update_delay", json!(0)),
        ("memory_update_margin", json!(0)),
        ("name", json!(job.spec.name)),
        ("network", json!("")),
        ("nodes", json!(nodes)),
    ]
}

/// What the job holds, while it holds it.
fn resources(job: &Job<'_>, nodes: &str) -> Value {
    let holds = matches!(job.state(), State::Configuring | State::Running | State::Completing(_));
    if !holds {
        return Value::Null;
    }
    let layouts = job.view.cpu_layouts.as_ref();
    let each = layouts.iter().flat_map(|all| &all.layouts);
    let each = each.flat_map(|one| std::iter::repeat_n(Some(one), one.places as usize));
    let cpus = each.chain(std::iter::repeat(None)).zip(job.cpu_ids());
    let place =
        |(index, (place, (layout, cpus))): (usize, (&Place, (Option<&CpuLayout>, CpuSet)))| {
            let held = place.held.unwrap_or_default();
            json!({
                "index": index,
                "name": place.node,
                "cpus": { "count": held.cpus, "used": held.cpus },
                "memory": { "used": held.memory_mib, "allocated": held.memory_mib },
                "sockets": layout.map_or_else(Vec::new, |layout| sockets(layout, &cpus)),
            })
        };
    json!({
        "select_type": layouts.map(|all| vec![all.select.clone()]).unwrap_or_default(),
        "nodes": {
            "count": job.node_count(),
            "select_type": ["ONE_ROW"],
            "list": nodes,
            "whole": job.spec.exclusive,
            "allocation": job.places().iter().zip(cpus).enumerate().map(place).collect::<Vec<_>>(),
        },
        "cpus": job.cpus(),
        "threads_per_core": unset(),
    })
}

/// Which cores of a node the job has some of.
fn sockets(layout: &CpuLayout, cpus: &CpuSet) -> Vec<Value> {
    let CpuLayout { sockets, cores, threads, .. } = *layout;
    let core = |socket: u32, index: u32| {
        let first = (socket * cores + index) * threads;
        let has = (first..first + threads).any(|id| cpus.contains(id));
        json!({ "index": index, "status": [if has { "ALLOCATED" } else { "UNALLOCATED" }] })
    };
    let socket = |index: u32| {
        let cores: Vec<Value> = (0..cores).map(|at| core(index, at)).collect();
        json!({ "index": index, "cores": cores })
    };
    (0..sockets).map(socket).collect()
}

fn nice_to_profile(job: &Job<'_>) -> Fields {
    let (per_cpu, per_node) = match job.memory() {
        Some(Amount::PerCpu(mib)) => (Some(mib), None),
        Some(Amount::PerNode(mib)) => (None, Some(mib)),
        None => (None, None),
    };
    vec![
        ("nice", json!(job.spec.nice)),
        ("tasks_per_core", job.cores().tasks_per_core.map_or_else(infinite, |n| number(n.into()))),
        ("tasks_per_tres", number(0)),
        ("tasks_per_node", number(job.layout.tasks_per_node.unwrap_or(0).into())),
        ("tasks_per_socket", infinite()),
        ("tasks_per_board", number(0)),
        ("cpus", number(job.cpus().into())),
        ("node_count", number(job.node_count().into())),
        ("tasks", number(job.layout.tasks.into())),
        ("partition", json!(job.job.partition)),
        ("prefer", json!("")),
        ("memory_per_cpu", maybe(per_cpu)),
        ("memory_per_node", maybe(per_node)),
        ("minimum_cpus_per_node", number(job.min_cpus().into())),
        ("minimum_tmp_disk_per_node", number(job.spec.tmp_disk_mib)),
        ("preempt_time", moment(job.preempted())),
        ("preemptable_time", moment(job.preemptable())),
        ("pre_sus_time", number(0)),
        ("hold", json!(job.job.hold() != Hold::None)),
        ("priority", number(job.job.priority.into())),
        ("priority_by_partition", json!([])),
        ("profile", json!(["NOT_SET"])),
    ]
}

fn qos_to_state(job: &Job<'_>) -> Fields {
    vec![
        ("qos", json!(job.spec.qos.as_deref().unwrap_or_default())),
        ("reboot", json!(false)),
        ("required_nodes", json!(job::list(&job.spec.required_nodes))),
        ("required_switches", json!(job.switches().map_or(0, |few| few.most))),
        ("requeue", json!(job.job.requeue)),
        ("resize_time", number(0)),
        ("restart_cnt", json!(job.job.restarts)),
        ("resv_name", json!(job.reservation().unwrap_or_default())),
        ("scheduled_nodes", json!("")),
        ("segment_size", json!(0)),
        ("selinux_context", json!("")),
        ("shared", json!([])),
        (
            "step_id",
            json!({
                "sluid": "",
                "job_id": number(job.id().into()),
                "step_het_component": unset(),
                "step_id": "entire",
            }),
        ),
        ("sockets_per_board", json!(0)),
        ("sockets_per_node", maybe(job.cores().sockets.map(u64::from))),
        ("start_time", moment(job.start())),
        ("state_description", json!("")),
        ("state_reason", json!(job.reason())),
    ]
}

fn standard_to_working(job: &Job<'_>) -> Fields {
    let output = match job.spec.std_out {
        Some(_) => job.std_out(),
        None => job.default_output().to_owned(),
    };
    let error = job.std_err().unwrap_or_default();
    let limit = job.time_limit().span().map(|limit| limit.seconds() / 60);
    vec![
        ("standard_input", json!(job.std_in())),
        ("standard_output", json!(output)),
        ("standard_error", json!(error)),
        ("stdin_expanded", json!(job.expanded(&job.std_in()))),
        ("stdout_expanded", json!(job.expanded(&job.std_out()))),
        ("stderr_expanded", json!(job.expanded(&error))),
        ("submit_time", number(Timestamp(job.job.submitted).seconds())),
        ("submit_line", json!(job.spec.submit_line)),
        ("suspend_time", number(0)),
        ("system_comment", json!("")),
        ("time_limit", or_infinite(limit)),
        ("time_minimum", number(job.time_min().map_or(0, |least| least.seconds() / 60))),
        ("threads_per_core", maybe(job.cores().threads.map(u64::from))),
        ("tres_bind", json!("")),
        ("tres_freq", json!("")),
        ("tres_per_job", json!(job.tres_per_job().unwrap_or_default())),
        ("tres_per_node", json!(job.tres_per_node().unwrap_or_default())),
        ("tres_per_socket", json!("")),
        ("tres_per_task", json!(job.tres_per_task().unwrap_or_default())),
        ("tres_req_str", json!(job.requested())),
        ("tres_alloc_str", json!(job.allocated().unwrap_or_default())),
        ("user_id", json!(job.spec.user)),
        ("user_name", json!(job.spec.user_name)),
        ("maximum_switch_wait_time", json!(job.switch_wait().seconds())),
        ("wckey", json!("")),
        ("current_working_directory", json!(job.spec.work_dir)),
    ]
}
