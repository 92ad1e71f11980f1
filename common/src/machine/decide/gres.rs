//! What a job may ask for of generic resources, and what follows from it.

use super::fit::nodes_min;
use crate::{
    config::Config,
    gres::{Gres, GresError, GresRequest, Units, Wanted, count_of},
    job::{JobSpec, MemoryRequest},
    machine::{Refusal, State},
    node::Node,
};

fn refused(why: &str) -> Refusal {
    Refusal::Gres(Some(why.to_owned()))
}

/// Fills in what GPUs say of tasks and nodes, and refuses what makes no sense.
pub(super) fn settle(state: &State, config: &Config, spec: &mut JobSpec) -> Result<(), Refusal> {
    let Some(request) = spec.gres.clone() else { return Ok(()) };
    if *request == GresRequest::default() {
        spec.gres = None;
        return Ok(());
    }
    if state.format < 2 {
        return Err(Refusal::Format("generic resources"));
    }
    request.check().map_err(|error| match error {
        GresError::Malformed => Refusal::Gres(None),
        GresError::Mixed => Refusal::GresMixed,
    })?;
    if request.all().any(|wanted| !config.gres_types.contains(&wanted.name)) {
        return Err(Refusal::Gres(None));
    }
    exclusive_ways(spec, &request)?;
    let all = request.job_gpus();
    if all > 0 && request.node_gpus() > 0 {
        nodes_of(spec, all, request.node_gpus())?;
    } else if request.task_gpus() > 0 {
        tasks_of(spec, all, request.task_gpus())?;
    }
    check(spec)
}

/// What can't be said at once.
fn exclusive_ways(spec: &JobSpec, request: &GresRequest) -> Result<(), Refusal> {
    let GresRequest { per_node, gpus_per_node, gpus, .. } = request;
    let by_gres = per_node.iter().any(|wanted| wanted.name == crate::gres::GPU);
    if by_gres && !gpus_per_node.is_empty() {
        return Err(refused("--gres=gpu is mutually exclusive with --gpus-per-node"));
    }
    if request.node_gpus() > 0 && request.task_gpus() > 0 {
        return Err(refused("--gpus-per-task is mutually exclusive with GPUs per node"));
    }
    if gpus.len() > 1 {
        return Err(refused("--gpus takes one type of GPUs; use --gres for several"));
    }
    if request.cpus_per_gpu.is_some() && spec.layout.cpus_per_task.is_some() {
        return Err(refused("--cpus-per-gpu is mutually exclusive with --cpus-per-task"));
    }
    if request.memory_per_gpu.is_some() && spec.memory != MemoryRequest::Default {
        let text = "--mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.";
        return Err(refused(text));
    }
    let none = request.node_gpus() + request.job_gpus() + request.task_gpus() == 0;
    let unused = |name: &str, amount: u64| {
        refused(&format!("Requested {name}=gres/gpu:{amount} but did not request any GPU."))
    };
    match (request.memory_per_gpu, request.cpus_per_gpu) {
        (Some(mib), _) if none => Err(unused("mem_per_tres", mib)),
        (None, Some(cpus)) if none => Err(unused("cpus_per_tres", u64::from(cpus))),
        _ => Ok(()),
    }
}

/// `--gpus` and so many on each node: that says how many nodes.
fn nodes_of(spec: &mut JobSpec, all: u64, of_node: u64) -> Result<(), Refusal> {
    let layout = &mut spec.layout;
    let nodes = u32::try_from(all / of_node).unwrap_or(u32::MAX);
    let most = layout.max_nodes.unwrap_or(u32::MAX);
    let given = layout.nodes_given && !(layout.min_nodes..=most).contains(&nodes);
    if !all.is_multiple_of(of_node) || given {
        return Err(refused("Failed to validate job spec, --gpus does not fit GPUs per node"));
    }
    (layout.min_nodes, layout.max_nodes, layout.nodes_given) = (nodes, Some(nodes), true);
    layout.tasks = layout.tasks.max(nodes);
    Ok(())
}

/// `--gpus` and so many with each task: that says how many tasks.
fn tasks_of(spec: &mut JobSpec, all: u64, of_task: u64) -> Result<(), Refusal> {
    let layout = &mut spec.layout;
    if all == 0 {
        let text = "Failed to validate job spec. --gpus-per-task or --tres-per-task used without \
                    either --gpus or -n/--ntasks is not allowed.";
        return if layout.tasks_given { Ok(()) } else { Err(refused(text)) };
    }
    let tasks = u32::try_from(all / of_task).unwrap_or(u32::MAX);
    if !all.is_multiple_of(of_task) || layout.tasks_given && layout.tasks != tasks {
        return Err(refused("Failed to validate job spec, --gpus does not fit --gpus-per-task"));
    }
    (layout.tasks, layout.tasks_given) = (tasks, true);
    Ok(())
}

/// What must hold after each change of the job, too.
pub(super) fn check(spec: &JobSpec) -> Result<(), Refusal> {
    let Some(request) = &spec.gres else { return Ok(()) };
    let shared = request.job_gpus();
    if shared > 0 && shared < u64::from(nodes_min(spec)) {
        return Err(refused("Failed to validate job spec, --gpus < -N"));
    }
    Ok(())
}

/// Memory that a node has to give at least for its GPUs, in MiB.
pub(super) fn memory_on_node(spec: &JobSpec) -> u64 {
    spec.gres.as_ref().map_or(0, |request| {
        request.memory_per_gpu.unwrap_or(0).saturating_mul(request.node_gpus())
    })
}

/// How many units the node's generic resources let it have when it is idle.
pub(super) fn units_on(spec: &JobSpec, units: &Units, node: &Node) -> u32 {
    let Some(request) = &spec.gres else { return u32::MAX };
    let there = |wanted: &Wanted| match &wanted.kind {
        None => count_of(&node.gres, &wanted.name),
        Some(kind) => {
            let of_kind = |gres: &&Gres| gres.is(&wanted.name, Some(kind));
            node.gres.iter().find(of_kind).map_or(0, |gres| gres.count)
        }
    };
    if request.of_node().any(|wanted| there(wanted) < wanted.count) {
        return 0;
    }
    let times = units.gpus.iter().map(|wanted| there(wanted) / wanted.count.max(1));
    let gpus: u64 = units.gpus.iter().map(|wanted| wanted.count).sum();
    let memory = request.memory_per_gpu.unwrap_or(0).saturating_mul(gpus);
    let by_memory = node.total.memory_mib.checked_div(memory).unwrap_or(u64::MAX);
    times.min().map_or(u32::MAX, |times| u32::try_from(times.min(by_memory)).unwrap_or(u32::MAX))
}
