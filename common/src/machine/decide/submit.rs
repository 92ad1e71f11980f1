//! How a job enters.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;

use super::{
    accounts::{admit, admit_beside},
    asks::{may_ask, may_take, widen_for_constraint},
    fit::{cpus_on_node, lacking, members},
    gres, partitions,
    reserve::may_reserve,
};
use crate::{
    config::{Config, EnforcePartLimits, MemoryPer, PartitionConf},
    id::{ContentHash, JobId, NodeName},
    job::{Condition, Dependency, Fate, Hold, JobSpec, MemoryRequest, On, Task},
    machine::{Event, Refusal, State, command::By},
    time::{TimeLimit, Timestamp},
};

/// A job, or one component of a heterogeneous one, comes in with its script and its environment.
pub(super) fn enter(
    state: &State,
    now: Timestamp,
    by: &By,
    mut spec: JobSpec,
    (script, environment): (Bytes, Bytes),
) -> Result<(Vec<Event>, JobId), Refusal> {
    let config = state.config.as_ref().ok_or(Refusal::Disabled)?;
    may_submit(state, by, &spec)?;
    check_array(state, config, &spec)?;
    let tasks = spec.array.as_ref().map_or(1, |array| array.tasks.len());
    if state.job_count() + u64::from(tasks) > u64::from(config.max_job_count) {
        return Err(Refusal::TooManyJobs);
    }
    if (script.len() as u64).max(environment.len() as u64) > config.max_script_size {
        return Err(Refusal::ScriptTooLarge);
    }
    let partitions = partitions::named(state, config, &spec.partition)?;
    let partitions = partitions::admitting(state, config, partitions, by.user, spec.user)?;
    spec.partition = partitions::joined(&partitions);
    let first = partitions.first().expect("one at least is admitting");
    widen_for_memory(config, first, &mut spec);
    widen_for_constraint(&mut spec);
    gres::settle(state, config, &mut spec)?;
    spec.limits.retain(|limit| config.propagates(limit.resource));
    let max_wall = admit(state, config, first, &mut spec)?;
    for partition in &partitions[1..] {
        admit_beside(state, config, partition, &spec)?;
    }
    if spec.time_limit.is_none() && partitions.len() > 1 && max_wall.is_some() {
        // It holds wherever the job starts.
        spec.time_limit = Some(longest(first.time_limit(None), None, max_wall));
    }
    partitions::check(state, config, &partitions, &spec)?;
    may_reserve(state, now, &spec)?;
    check_dependency(state, &mut spec)?;
    let time_limit = longest(first.time_limit(spec.time_limit), spec.time_limit, max_wall);
    may_take(now, &spec, time_limit)?;
    let job = next_job(state, config)?;

    let mut events = Vec::with_capacity(3);
    spec.script = store(state, &mut events, script);
    spec.environment = store(state, &mut events, environment);
    let hold = match (spec.hold, by.user == spec.user) {
        (false, _) => Hold::None,
        (true, true) => Hold::User,
        (true, false) => Hold::Admin,
    };
    events.push(Event::JobSubmitted {
        job,
        priority: if hold == Hold::None { state.first_priority(&spec) } else { 0 },
        hold,
        time_limit,
        requeue: spec.requeue.unwrap_or(config.job_requeue),
        spec: Arc::new(spec),
    });
    Ok((events, job))
}

/// A job that does not say how long it runs, may run as long as its limits let it.
fn longest(limit: TimeLimit, asked: Option<TimeLimit>, most: Option<TimeLimit>) -> TimeLimit {
    most.filter(|_| asked.is_none()).map_or(limit, |most| limit.min(most))
}

fn check_array(state: &State, config: &Config, spec: &JobSpec) -> Result<(), Refusal> {
    let Some(array) = &spec.array else { return Ok(()) };
    if state.format < 2 {
        return Err(Refusal::Format("job arrays"));
    }
    let fits = array.tasks.last().is_some_and(|last| last < config.max_array_size);
    if fits && array.limit != Some(0) { Ok(()) } else { Err(Refusal::Array) }
}

/// All that is waited for has to be there.
fn check_dependency(state: &State, spec: &mut JobSpec) -> Result<(), Refusal> {
    let Some(dependency) = &spec.dependency else { return Ok(()) };
    if dependency.conditions.is_empty() {
        spec.dependency = None;
        return Ok(());
    }
    spec.dependency = Some(Arc::new(may_wait_for(state, dependency)?));
    Ok(())
}

/// The dependency, if all that its conditions name is there. An array's number means all of its
/// tasks.
pub(super) fn may_wait_for(state: &State, dependency: &Dependency) -> Result<Dependency, Refusal> {
    if state.format < 2 {
        return Err(Refusal::Format("dependencies"));
    }
    let known = |condition: &Condition| match condition.on {
        On::Singleton => true,
        On::Job { job, task: None, .. } => {
            state.jobs.contains_key(&job) || state.arrays.contains_key(&job)
        }
        On::Job { job, task: Some(Task::All), .. } => state.arrays.contains_key(&job),
        On::Job { job, task: Some(Task::One(index)), .. } => {
            state.task_progress(job, index).is_some()
        }
    };
    let fresh = |condition: &Condition| condition.fate == Fate::Open;
    let sound = dependency.conditions.iter().all(|one| known(one) && fresh(one));
    if !sound {
        return Err(Refusal::Dependency);
    }
    let mut dependency = dependency.clone();
    for condition in &mut dependency.conditions {
        if let On::Job { job, task: task @ None, .. } = &mut condition.on
            && state.arrays.contains_key(job)
        {
            *task = Some(Task::All);
        }
    }
    Ok(dependency)
}

fn may_submit(state: &State, by: &By, spec: &JobSpec) -> Result<(), Refusal> {
    let operator = state.is_operator(by.user);
    let raised = spec.nice < 0 || spec.asks().priority.is_some();
    if (spec.user != by.user || raised) && !operator {
        return Err(Refusal::Denied);
    }
    Ok(())
}

pub(super) fn next_job(state: &State, config: &Config) -> Result<JobId, Refusal> {
    let next = state.next_job.max(config.first_job_id).max(1);
    if next > config.max_job_id {
        return Err(Refusal::TooManyJobs);
    }
    Ok(JobId(next))
}

/// The event that stores `content`, unless a live job has brought it already.
fn store(state: &State, events: &mut Vec<Event>, content: Bytes) -> ContentHash {
    let hash = ContentHash::of(&content);
    let stored = |event: &Event| matches!(event, Event::BlobStored { hash: h, .. } if *h == hash);
    if !state.blobs.contains_key(&hash) && !events.iter().any(stored) {
        events.push(Event::BlobStored { hash, content });
    }
    hash
}

fn max_memory(config: &Config, partition: &PartitionConf) -> MemoryPer {
    partition.max_memory.unwrap_or(config.max_memory)
}

/// Where a job asks for more memory than its CPUs may have (`MaxMemPerCPU`), gives it as many CPUs
/// as may have it, as Slurm does.
fn widen_for_memory(config: &Config, partition: &PartitionConf, spec: &mut JobSpec) {
    let MemoryPer::Cpu(most) = max_memory(config, partition) else { return };
    let times = |mib: u64| u32::try_from(mib.div_ceil(most.max(1))).unwrap_or(u32::MAX);
    match spec.memory {
        MemoryRequest::PerCpu(mib) if mib > most => {
            let times = times(mib);
            let cpus = spec.layout.cpus_per_task.unwrap_or(1).saturating_mul(times);
            spec.layout.cpus_per_task = Some(cpus);
            spec.memory = MemoryRequest::PerCpu(mib.div_ceil(u64::from(times)));
        }
        MemoryRequest::PerNode(mib) => {
            let least = spec.layout.min_cpus_per_node.unwrap_or(1).max(times(mib));
            if least > 1 {
                spec.layout.min_cpus_per_node = Some(least);
            }
        }
        MemoryRequest::PerCpu(_) | MemoryRequest::Default => {}
    }
}

/// Whether the job asks for more memory than it may have on a node (`MaxMemPerNode`).
fn exceeds_memory(config: &Config, partition: &PartitionConf, spec: &JobSpec) -> bool {
    let MemoryPer::Node(most) = max_memory(config, partition) else { return false };
    match spec.memory {
        MemoryRequest::PerNode(mib) => mib > most,
        MemoryRequest::PerCpu(mib) => mib.saturating_mul(u64::from(cpus_on_node(spec))) > most,
        MemoryRequest::Default => false,
    }
}

pub(super) fn check_limits(
    state: &State,
    config: &Config,
    partition: &PartitionConf,
    spec: &JobSpec,
) -> Result<(), Refusal> {
    for name in spec.required_nodes.iter().chain(&spec.excluded_nodes) {
        if !state.nodes.contains_key(name) {
            return Err(Refusal::NoSuchNode(name.clone()));
        }
    }
    // A node that the job must have and must not have is none, as in Slurm.
    let excluded: BTreeSet<&NodeName> = spec.excluded_nodes.iter().collect();
    if let Some(both) = spec.required_nodes.iter().find(|name| excluded.contains(name)) {
        return Err(Refusal::NoSuchNode(both.clone()));
    }
    may_ask(state, spec)?;
    if exceeds_memory(config, partition, spec) {
        return Err(Refusal::Memory);
    }
    let bound = spec.layout.max_nodes.unwrap_or(spec.layout.min_nodes);
    let bounded = spec.layout.nodes_given && state.least_row(spec) > bound;
    if spec.layout.min_nodes == 0 || bounded {
        return Err(Refusal::NodeCount);
    }
    gres::check(spec)?;
    // Slurm looks for nodes as a job comes in, and not for one that is held: whether it will ever
    // fit, `squeue` says once it is released.
    if !spec.hold
        && let Some(lacking) = lacking(state, config, partition, spec)
    {
        return Err(Refusal::CannotEverFit(lacking));
    }
    if config.enforce_part_limits == EnforcePartLimits::No {
        // The job waits, and `squeue` says for what.
        return Ok(());
    }
    if !partition.admits_account(spec.account.as_deref()) {
        return Err(Refusal::Account);
    }
    if !partition.admits_qos(spec.qos.as_deref()) {
        return Err(Refusal::Qos);
    }
    let nodes = partition.nodes.len();
    let nodes_max = partition.max_nodes.map_or(nodes, |max| nodes.min(max as usize));
    if spec.layout.min_nodes as usize > nodes_max || spec.layout.min_nodes < partition.min_nodes {
        return Err(Refusal::NodeCount);
    }
    let cpus: u64 = members(state, partition).map(|node| u64::from(node.total.cpus)).sum();
    if u64::from(spec.layout.cpus()) > cpus {
        return Err(Refusal::TooManyCpus);
    }
    if spec.time_limit.is_some_and(|limit| limit > partition.max_time) {
        return Err(Refusal::TimeLimit);
    }
    Ok(())
}
