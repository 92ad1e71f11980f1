//! Whether the scheduler's plan still holds.

use std::{borrow::Cow, sync::Arc};

use super::{asks::admits, charge::charge, tasks::split};
use crate::{
    config::PartitionConf,
    cpus::{self, CpuLayout, CpuSet, MOST, Steps},
    gres::choose,
    id::{NodeName, PartitionName},
    job::{ArrayPart, Hold, Job, JobSpec, Place, Stay},
    machine::{Allocation, Event, Refusal, Rules, State, Wants, Way},
    time::{TimeLimit, Timestamp},
};

/// The scheduler planned on a view that may have moved on: all that the plan rests on is looked
/// at again.
pub(super) fn allocate(
    state: &State,
    now: Timestamp,
    allocation: Allocation,
) -> Result<Vec<Event>, Refusal> {
    let job = waiting(state, now, &allocation)?;
    let Allocation { attempt, task, partition, time_limit, mut places, .. } = allocation;
    settle(state, job, &mut places)?;
    let (conf, job) = may_have(state, job, partition.as_ref(), &places)?;
    let job = &*job;
    if !state.may_share(job, conf, &places, |_| false) || !state.are_close(now, job, &places) {
        return Err(Refusal::Stale);
    }
    let incarnation = state
        .nodes
        .get(&places[0].node)
        .and_then(|node| node.inventory.as_ref())
        .map(|inventory| inventory.incarnation)
        .ok_or(Refusal::Stale)?;
    let shorter;
    let job = match time_limit {
        Some(limit) => {
            shorter = shortened(job, limit).ok_or(Refusal::Stale)?;
            &shorter
        }
        None => job,
    };
    let (stay, deadline) = stay(state, now, job, &places)?;
    if !is_in_time(job, deadline) {
        return Err(Refusal::Stale);
    }
    let charge = charge(state, conf, job, &places);
    let mut events = Vec::with_capacity(2);
    let job = match (&job.array, task) {
        (Some(ArrayPart::Waiting(tasks)), Some(index)) if tasks.contains(index) => {
            let (split, task) = split(state, job, tasks, index).map_err(|_| Refusal::Stale)?;
            events.push(split);
            task
        }
        (Some(ArrayPart::Waiting(_)), _) | (Some(ArrayPart::Task { .. }) | None, Some(_)) => {
            return Err(Refusal::Stale);
        }
        (Some(ArrayPart::Task { .. }) | None, None) => job.id,
    };
    events.push(Event::JobAllocated {
        job,
        attempt,
        incarnation,
        places,
        deadline,
        partition,
        stay,
        charge,
        time_limit,
    });
    Ok(events)
}

/// The job, if it waits and asks for what the plan was made for.
pub(super) fn waiting<'a>(
    state: &'a State,
    now: Timestamp,
    allocation: &Allocation,
) -> Result<&'a Job, Refusal> {
    let Allocation { job, attempt, asked, places, .. } = allocation;
    let job = state.jobs.get(job).ok_or(Refusal::Stale)?;
    let waits = job.is_pending()
        && job.attempt == *attempt
        && (Arc::ptr_eq(&job.spec, asked) || job.spec == *asked)
        && job.hold == Hold::None
        && job.priority > 0
        && job.is_independent()
        && job.begin.is_none_or(|begin| begin <= now);
    let may = waits && !places.is_empty() && state.array_room(job) != Some(0);
    may.then_some(job.as_ref()).ok_or(Refusal::Stale)
}

/// The job as it is in the partition that it would run in, if it may have these places there.
pub(super) fn may_have<'a>(
    state: &'a State,
    job: &'a Job,
    partition: Option<&PartitionName>,
    places: &[Place],
) -> Result<(&'a PartitionConf, Cow<'a, Job>), Refusal> {
    let conf = runs_in(state, job, partition).ok_or(Refusal::Stale)?;
    let job = match partition {
        Some(_) => Cow::Owned(job.in_partition(conf)),
        None => Cow::Borrowed(job),
    };
    let limits = |rules: Rules| {
        rules.may_start(&job).and_then(|()| rules.may_have(&job, &Wants::of(places))).is_ok()
    };
    if Rules::of(state).is_none_or(limits) { Ok((conf, job)) } else { Err(Refusal::Stale) }
}

/// Whether nobody else has the places, and the job may have them; and which GPUs and CPUs they are.
pub(super) fn settle(state: &State, job: &Job, places: &mut [Place]) -> Result<(), Refusal> {
    for (rank, place) in places.iter().enumerate() {
        let node = state.nodes.get(&place.node).ok_or(Refusal::Stale)?;
        let twice = places[..rank].iter().any(|earlier| earlier.node == place.node);
        if twice || !node.is_usable() || !place.held.fits_in(node.free()) {
            return Err(Refusal::Stale);
        }
    }
    for place in places.iter_mut() {
        name_gres(state, place)?;
        name_cpus(state, &job.spec, place)?;
    }
    if !are_asked_for(state, &job.spec, places) || !state.has_licenses(&job.spec.asks().licenses) {
        return Err(Refusal::Stale);
    }
    Ok(())
}

/// The same job with a shorter limit, if it can do with that.
fn shortened(job: &Job, limit: TimeLimit) -> Option<Job> {
    let may = (job.least_limit()..=job.time_limit).contains(&limit);
    may.then(|| Job { time_limit: limit, ..job.clone() })
}

/// Whether a run that ends then at the latest is over by the job's deadline.
pub(super) fn is_in_time(job: &Job, end: Option<Timestamp>) -> bool {
    job.spec.asks().deadline.is_none_or(|by| end.is_some_and(|end| end <= by))
}

/// The partition that the plan runs it in: its own, or one of several.
fn runs_in<'a>(
    state: &'a State,
    job: &Job,
    partition: Option<&PartitionName>,
) -> Option<&'a PartitionConf> {
    let name = partition.unwrap_or(&job.partition).as_str();
    let own = partition.is_some() == job.partition.is_several()
        && job.partition.each().any(|one| one == name);
    state.config.as_ref()?.partition(name).filter(|_| own)
}

/// The reservation that the job is in there, if it is in one, and when it has to be over. Others'
/// nodes are not given away.
pub(super) fn stay(
    state: &State,
    now: Timestamp,
    job: &Job,
    places: &[Place],
) -> Result<(Option<Stay>, Option<Timestamp>), Refusal> {
    let nodes: Vec<&NodeName> = places.iter().map(|place| &place.node).collect();
    let way = state.way_in(job, now, &nodes).ok_or(Refusal::Stale)?;
    let over_run = state.over_run();
    let until = way.ends(now).zip(over_run).map(|(ends, more)| ends + more);
    let of_limit = job.time_limit.span().map(|limit| now + limit);
    let deadline = of_limit.into_iter().chain(until).min();
    Ok(match way {
        Way::Free => (None, deadline),
        Way::In(one) => (Some(Stay { name: one.name.clone(), until }), deadline),
    })
}

/// Whether the job may have these nodes: they may have changed since the plan was made.
fn are_asked_for(state: &State, spec: &JobSpec, places: &[Place]) -> bool {
    let has = |name: &NodeName| places.iter().any(|place| place.node == *name);
    let all_admitted =
        |alternative| places.iter().all(|place| admits(state, spec, alternative, &place.node));
    spec.required_nodes.iter().all(has)
        && !spec.excluded_nodes.iter().any(has)
        && state.are_in_a_row(spec, places)
        && spec.constraint().alternatives().any(all_admitted)
}

/// Which CPUs they are, is said here, too. Where the log can't tell, they are counted.
fn name_cpus(state: &State, spec: &JobSpec, place: &mut Place) -> Result<(), Refusal> {
    place.cpus = CpuSet::default();
    let (Some(config), Some(conf)) = (&state.config, state.node_conf(&place.node)) else {
        return Err(Refusal::Stale);
    };
    let layout = CpuLayout::of(conf);
    if state.format < 2 || layout.cpus() > MOST {
        return Ok(());
    }
    let node = state.nodes.get(&place.node).ok_or(Refusal::Stale)?;
    let unnamed = node.used.cpus.saturating_sub(node.cpus_used.len());
    let of_task = spec.layout.cpus_per_task.unwrap_or(1);
    let of_task =
        Steps::of(layout, config.grain, (of_task, 1), &spec.asks().cores).taken_for_task();
    let request = cpus::Request { cpus: place.held.cpus, of_task };
    let chosen = cpus::choose(layout, config.grain, (&node.cpus_used, unnamed), request);
    place.cpus = chosen.ok_or(Refusal::Stale)?;
    Ok(())
}

/// The plan says how many of which type; which of them, is said here, where nobody else can take
/// them meanwhile.
fn name_gres(state: &State, place: &mut Place) -> Result<(), Refusal> {
    if place.gres.is_empty() {
        return Ok(());
    }
    let node = state.nodes.get(&place.node).ok_or(Refusal::Stale)?;
    place.gres = choose(&node.free_gres(), &place.gres).ok_or(Refusal::Stale)?;
    Ok(())
}
