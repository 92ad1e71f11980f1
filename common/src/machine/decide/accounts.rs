//! The table of accounts, and what it says of a job that enters.

use std::sync::Arc;

use super::operator;
use crate::{
    account::Accounts,
    config::{Config, MemoryPer, PartitionConf},
    job::{ArrayPart, Job, JobChanges, JobSpec, MemoryRequest, Reason},
    machine::{By, Event, Refusal, Rules, State, Wants, tallies::Tables},
    time::TimeLimit,
};

/// A table takes the place of the one before. What runs, and what waits, stays.
pub(super) fn load(state: &State, by: &By, accounts: Arc<Accounts>) -> Result<Vec<Event>, Refusal> {
    operator(state, by)?;
    let config = state.config.as_ref().ok_or(Refusal::Disabled)?;
    if state.format < 2 {
        return Err(Refusal::Format("accounts"));
    }
    let (theirs, ours) = (&accounts.parts().cluster, &config.cluster_name);
    if theirs != ours {
        return Err(Refusal::Accounts(format!("they are of cluster {theirs}, and this is {ours}")));
    }
    if state.accounts.as_ref() == Some(&accounts) {
        return Ok(vec![]);
    }
    Ok(vec![Event::AccountsLoaded { accounts }])
}

/// Fills in the account and the QOS that a job has which does not say, and holds it against what
/// is enforced where a job enters. Gives the longest time that a job may run which does not say.
pub(super) fn admit(
    state: &State,
    config: &Config,
    partition: &PartitionConf,
    spec: &mut JobSpec,
) -> Result<Option<TimeLimit>, Refusal> {
    fill(state, partition, spec)?;
    let Some(rules) = Rules::of(state) else { return Ok(None) };
    let limit = spec.time_limit;
    let wants = least(config, partition, spec);
    let count = spec.array.as_ref().map_or(1, |array| array.tasks.len());
    rules.may_enter(spec, &partition.name, count, limit, &wants).map_err(refusal)?;
    Ok(rules.max_wall(spec, &partition.name))
}

/// Whether a job may wait in one more partition. It counts in its first alone.
pub(super) fn admit_beside(
    state: &State,
    config: &Config,
    partition: &PartitionConf,
    spec: &JobSpec,
) -> Result<(), Refusal> {
    let Some(rules) = Rules::of(state) else { return Ok(()) };
    let wants = least(config, partition, spec);
    rules.may_enter(spec, &partition.name, 0, spec.time_limit, &wants).map_err(refusal)
}

/// Whether a job that is in, and is counted, may run so long.
pub(super) fn admit_limit(
    state: &State,
    partition: &PartitionConf,
    spec: &JobSpec,
    limit: TimeLimit,
) -> Result<(), Refusal> {
    let Some(rules) = Rules::of(state) else { return Ok(()) };
    let wants = Wants::default();
    rules.may_enter(spec, &partition.name, 0, Some(limit), &wants).map_err(refusal)
}

/// Whether a job that waits may count for another account, with another QOS, or in other
/// partitions, and run so long there. Completes the names.
pub(super) fn admit_elsewhere(
    state: &State,
    partitions: &[&PartitionConf],
    job: &Job,
    changes: &mut JobChanges,
    limit: Option<TimeLimit>,
) -> Result<(), Refusal> {
    if !job.is_pending() {
        return Err(Refusal::NotPending(job.id));
    }
    let mut spec = job.spec.as_ref().clone();
    if let Some(account) = &changes.account {
        spec.account = Some(account.clone()).filter(|account| !account.is_empty());
    }
    spec.qos = changes.qos.clone().or(spec.qos);
    // There it is not counted yet, and no longer here.
    let mut without = state.clone();
    if let Some(tables) = Tables::of(state.accounts.as_deref(), state.config.as_deref()) {
        without.tallies.follow(tables, Some(job), None);
    }
    let count = match &job.array {
        Some(ArrayPart::Waiting(tasks)) => tasks.len(),
        Some(ArrayPart::Task { .. }) | None => 1,
    };
    for (at, partition) in partitions.iter().enumerate() {
        fill(state, partition, &mut spec)?;
        if let Some(rules) = Rules::of(&without) {
            // It counts in the first of them.
            let (count, wants) = (if at == 0 { count } else { 0 }, Wants::default());
            rules.may_enter(&spec, &partition.name, count, limit, &wants).map_err(refusal)?;
        }
    }
    changes.account = changes.account.is_some().then_some(spec.account).flatten();
    changes.qos = changes.qos.is_some().then_some(spec.qos).flatten();
    Ok(())
}

fn refusal(reason: Reason) -> Refusal {
    if reason == Reason::InvalidAccount {
        Refusal::Account
    } else if reason == Reason::InvalidQos {
        Refusal::Qos
    } else {
        Refusal::Policy(reason)
    }
}

/// Names are kept in small letters, as Slurm keeps them. Without a table, accounts are what people
/// call them, and no QOS is known.
fn fill(state: &State, partition: &PartitionConf, spec: &mut JobSpec) -> Result<(), Refusal> {
    let Some(accounts) = &state.accounts else {
        return if spec.qos.is_none() { Ok(()) } else { Err(Refusal::Qos) };
    };
    spec.account = match spec.account.take() {
        Some(name) => Some(name.to_lowercase()),
        None => accounts.default_account(&spec.user_name).map(str::to_owned),
    };
    let account = spec.account.as_deref();
    let association = account
        .and_then(|account| accounts.association(&spec.user_name, account, &partition.name))
        .map(|(at, _)| at);
    let asked = spec.qos.take().map(|name| name.to_lowercase());
    let name = asked.unwrap_or_else(|| accounts.default_qos(association).to_owned());
    if accounts.qos(&name).is_none() {
        return Err(Refusal::Qos);
    }
    spec.qos = Some(name);
    Ok(())
}

/// What the job takes at least.
fn least<'a>(config: &Config, partition: &PartitionConf, spec: &'a JobSpec) -> Wants<'a> {
    let layout = &spec.layout;
    let nodes = u64::from(layout.min_nodes).max(spec.required_nodes.len() as u64).max(1);
    let cpus = u64::from(layout.tasks).max(nodes) * u64::from(layout.cpus_per_task.unwrap_or(1));
    let cpus = cpus.max(nodes * u64::from(layout.min_cpus_per_node.unwrap_or(1)));
    let per = match spec.memory {
        MemoryRequest::PerNode(mib) => MemoryPer::Node(mib),
        MemoryRequest::PerCpu(mib) => MemoryPer::Cpu(mib),
        MemoryRequest::Default => partition.def_memory.unwrap_or(config.def_memory),
    };
    let memory_mib = match per {
        _ if !config.select_memory => 0,
        MemoryPer::Unlimited => 0,
        MemoryPer::Node(mib) => mib.saturating_mul(nodes),
        MemoryPer::Cpu(mib) => mib.saturating_mul(cpus),
    };
    Wants { cpus, memory_mib, nodes, places: &[], spec: Some(spec) }
}
