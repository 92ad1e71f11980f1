//! What people change of a job that is in.

use std::sync::Arc;

use super::{
    accounts::{admit_elsewhere, admit_limit},
    asks::{may_have_licenses, may_take},
    circles::{names_itself, waits_for_itself},
    partitions,
    reserve::may_reserve,
    submit::may_wait_for,
};
use crate::{
    config::Priority,
    id::JobId,
    job::{Dependency, Hold, Job, JobChanges, JobSpec, Licenses, Phase},
    machine::{By, Event, Refusal, State},
    time::Timestamp,
};

/// A job that runs is held, too: it waits to be released once it is requeued.
pub(super) fn hold(state: &State, by: &By, job: JobId, admin: bool) -> Result<Vec<Event>, Refusal> {
    let job = changeable(state, by, job)?;
    let hold = if admin && state.is_operator(by.user) { Hold::Admin } else { Hold::User };
    // A user's own hold does not loosen an operator's.
    if job.hold == hold || job.hold == Hold::Admin && !state.is_operator(by.user) {
        return Ok(vec![]);
    }
    Ok(vec![Event::JobHeld { job: job.id, hold }])
}

pub(super) fn release(state: &State, by: &By, job: JobId) -> Result<Vec<Event>, Refusal> {
    let job = changeable(state, by, job)?;
    match job.hold {
        Hold::Admin if !state.is_operator(by.user) => Err(Refusal::Denied),
        Hold::None => Ok(vec![]),
        Hold::User | Hold::Admin | Hold::Reservation => {
            let priority = state.first_priority(&job.spec);
            Ok(vec![Event::JobReleased { job: job.id, priority }])
        }
    }
}

/// The job, if it is this user's to change and not over. To others Slurm says something else here
/// than where they would end it.
fn changeable<'a>(state: &'a State, by: &By, job: JobId) -> Result<&'a Job, Refusal> {
    let job = state.jobs.get(&job).ok_or(Refusal::NoSuchJob(job))?;
    if job.spec.user != by.user && !state.is_operator(by.user) {
        return Err(Refusal::NotOperator);
    }
    match &job.phase {
        Phase::Pending | Phase::Active(_) | Phase::Completing { requeue: Some(_), .. } => Ok(job),
        Phase::Completing { requeue: None, .. } | Phase::Ended { .. } => {
            Err(Refusal::Finished(job.id))
        }
    }
}

pub(super) fn update_job(
    state: &State,
    now: Timestamp,
    by: &By,
    job: JobId,
    mut changes: JobChanges,
) -> Result<Vec<Event>, Refusal> {
    let job = changeable(state, by, job)?;
    let operator = state.is_operator(by.user);
    if !job.is_pending() && changes.min_nodes.is_some() {
        let text = "Requested operation not supported on this system";
        return Err(Refusal::Unsupported(text.to_owned()));
    }
    if !job.is_pending() && changes_layout(&changes) {
        return Err(Refusal::NotPending(job.id));
    }
    if let Some(dependency) = &changes.dependency {
        changes.dependency = Some(Arc::new(may_depend(state, job, dependency)?));
    }
    may_wait_so(state, job, &changes)?;
    if changes.array_limit.is_some() && job.array.is_none() {
        return Err(Refusal::Array);
    }
    let raised = changes.priority.is_some_and(|priority| priority > 0);
    if raised && job.hold != Hold::None {
        return Err(Refusal::Held(job.id));
    }
    if !operator {
        may_change(state, job, &changes)?;
    }
    if job.is_pending() && (changes.time_limit.is_some() || changes.asks.changes_times()) {
        let limit = changes.time_limit.unwrap_or(job.time_limit);
        may_take(now, &changed(&job.spec, &changes), limit)?;
    }
    if let Some(licenses) = &changes.asks.licenses {
        may_hold(state, job, licenses, operator)?;
    }
    let config = state.config.as_ref().ok_or(Refusal::Disabled)?;
    let name = changes.partition.as_ref().unwrap_or(&job.partition);
    let mut targets = partitions::named(state, config, name)?;
    if changes.partition.is_some() {
        targets = partitions::admitting(state, config, targets, by.user, job.spec.user)?;
        changes.partition = Some(partitions::joined(&targets));
    }
    let longer = changes.time_limit.filter(|_| !operator);
    let others = changes.account.is_some() || changes.qos.is_some();
    if others || changes.partition.is_some() {
        // The limits of others hold for what it has, too.
        let limit = longer.or(Some(job.time_limit).filter(|_| others && !operator));
        admit_elsewhere(state, &targets, job, &mut changes, limit)?;
    } else if let Some(longer) = longer {
        targets.iter().try_for_each(|target| admit_limit(state, target, &job.spec, longer))?;
    }
    if changes_layout(&changes) {
        partitions::check(state, config, &targets, &changed(&job.spec, &changes))?;
    }
    let reserved = changes.reservations.is_some();
    if reserved {
        may_reserve(state, now, &changed(&job.spec, &changes))?;
    }
    let mut events = vec![Event::JobUpdated { job: job.id, changes: Arc::new(changes) }];
    // It no longer waits for what is gone.
    if reserved && job.hold == Hold::Reservation {
        let priority = state.first_priority(&job.spec);
        events.push(Event::JobReleased { job: job.id, priority });
    }
    Ok(events)
}

/// Whether a job may have these licenses from here on. One that runs must not take what others
/// have, and its owner may only give some back.
fn may_hold(state: &State, job: &Job, new: &Licenses, operator: bool) -> Result<(), Refusal> {
    may_have_licenses(state, new)?;
    if job.holding().is_none() {
        return Ok(());
    }
    let old = &job.spec.asks().licenses;
    for (name, count) in &new.counts {
        let more = count.saturating_sub(old.count(name));
        if more > 0 && !operator {
            return Err(Refusal::Denied);
        }
        if more > state.free_licenses(name) {
            return Err(Refusal::License);
        }
    }
    Ok(())
}

/// Whether a job may wait for that: neither for itself, nor for one that waits for it.
fn may_depend(state: &State, job: &Job, dependency: &Dependency) -> Result<Dependency, Refusal> {
    let dependency = may_wait_for(state, dependency)?;
    if !job.is_pending() {
        return Err(Refusal::NotPending(job.id));
    }
    if names_itself(state, job, &dependency) {
        return Err(Refusal::Dependency);
    }
    Ok(dependency)
}

/// Nobody may come to wait for himself, be it because of a name.
fn may_wait_so(state: &State, job: &Job, changes: &JobChanges) -> Result<(), Refusal> {
    let name = changes.name.as_deref().unwrap_or(&job.spec.name);
    let dependency = changes.dependency.as_ref().or(job.dependency.as_ref());
    let Some(dependency) = dependency.filter(|_| job.is_pending()) else { return Ok(()) };
    let same = changes.dependency.is_none() && name == job.spec.name;
    if !same && waits_for_itself(state, job, name, dependency) {
        return Err(Refusal::CircularDependency);
    }
    Ok(())
}

/// What only an operator may do: give a job more than it was given, or a better place.
fn may_change(state: &State, job: &Job, changes: &JobChanges) -> Result<(), Refusal> {
    let longer = changes.time_limit.is_some_and(|limit| limit > job.granted_limit());
    let active = matches!(job.phase, Phase::Active(_));
    // What factors come to is not for the machine to say: it may be higher than anything.
    let factors = state.config.as_deref().and_then(Priority::of).is_some() && !job.rank.direct;
    let higher = |priority: u32| priority > 0 && (factors || priority > job.priority);
    let higher = changes.priority.is_some_and(higher);
    let nicer = changes.nice.is_some_and(|nice| nice < job.spec.nice.min(0) || nice < 0);
    if longer && active || higher || nicer {
        return Err(Refusal::Denied);
    }
    Ok(())
}

/// Whether the changes touch what a run has already been given.
fn changes_layout(changes: &JobChanges) -> bool {
    changes.partition.is_some()
        || changes.begin.is_some()
        || changes.min_nodes.is_some()
        || changes.tasks.is_some()
        || changes.cpus_per_task.is_some()
        || changes.memory.is_some()
        || changes.required_nodes.is_some()
        || changes.excluded_nodes.is_some()
        || changes.constraint.is_some()
        || changes.tmp_disk_mib.is_some()
        || changes.reservations.is_some()
        || changes.asks.changes_times()
        || changes.std_out.is_some()
        || changes.std_err.is_some()
}

/// What would be asked for after the changes, as far as limits look at it.
fn changed(spec: &JobSpec, changes: &JobChanges) -> JobSpec {
    let mut changed = spec.clone();
    if let Some(nodes) = &changes.required_nodes {
        changed.required_nodes.clone_from(nodes);
    }
    if let Some(nodes) = &changes.excluded_nodes {
        changed.excluded_nodes.clone_from(nodes);
    }
    if let Some(reservations) = &changes.reservations {
        changed.reservations.clone_from(reservations);
    }
    changed.tmp_disk_mib = changes.tmp_disk_mib.unwrap_or(spec.tmp_disk_mib);
    if let Some(constraint) = &changes.constraint {
        changed.constraint = Some(Arc::clone(constraint));
    }
    changed.layout.min_nodes = changes.min_nodes.unwrap_or(spec.layout.min_nodes);
    changed.layout.tasks = changes.tasks.unwrap_or(spec.layout.tasks);
    changed.layout.cpus_per_task = changes.cpus_per_task.or(spec.layout.cpus_per_task);
    changed.memory = changes.memory.unwrap_or(spec.memory);
    changed.time_limit = changes.time_limit.or(spec.time_limit);
    changed.begin = changes.begin.or(spec.begin);
    changed.asks = Some(Arc::new(spec.asks().changed(&changes.asks)));
    changed
}
