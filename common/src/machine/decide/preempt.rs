//! How runs make way for a job.

use std::collections::BTreeSet;

use super::{
    REQUEUE_PAUSE,
    allocate::{is_in_time, may_have, settle, stay, waiting},
};
use crate::{
    config::PreemptMode,
    id::{Attempt, JobId},
    job::{End, EndState, ExitStatus, Job, Phase, Place, Preempted, Requeue, Run},
    machine::{Event, Preemption, Preempts, Refusal, State},
    time::{Span, Timestamp},
};

/// All of them make way, or none: the plan may be out of date, and nobody makes way for a job that
/// would not start then.
pub(super) fn preempt(
    state: &State,
    now: Timestamp,
    preemption: Preemption,
) -> Result<Vec<Event>, Refusal> {
    let Preemption { mut start, runs } = preemption;
    let waits = waiting(state, now, &start)?;
    let (conf, job) = may_have(state, waits, start.partition.as_ref(), &start.places)?;
    if runs.is_empty() {
        return Err(Refusal::Stale);
    }
    let preempts = Preempts::of(state).filter(|_| state.format >= 2).ok_or(Refusal::Stale)?;
    let mut events = Vec::with_capacity(2 * runs.len());
    let kill_wait = state.config.as_ref().map_or(0, |config| config.kill_wait);
    let mut gone = now + Span::from_seconds(u64::from(kill_wait));
    for (at, (id, attempt)) in runs.iter().enumerate() {
        let victim = active(state, *id, *attempt).ok_or(Refusal::Stale)?;
        let twice = runs[..at].iter().any(|(other, _)| other == id);
        let useful = victim.holding().is_some_and(|run| shares_a_node(&run.places, &start.places));
        let mode = preempts.mode(&job, victim, now).filter(|_| useful && !twice);
        let mode = mode.ok_or(Refusal::Stale)?;
        let until = now + preempts.grace(victim);
        gone = gone.max(until + Span::from_seconds(u64::from(kill_wait)));
        let requeue = mode == PreemptMode::Requeue;
        let (id, attempt) = (*id, *attempt);
        events.push(Event::JobPreempted { job: id, attempt, by: waits.id, until, requeue });
        if until <= now {
            let requeue = requeue.then(|| again(now));
            events.push(Event::JobCompleting { job: id, attempt, end: end(now), requeue });
        }
    }
    // It starts once they are gone: what is reserved then counts.
    let (_, deadline) = stay(state, gone, &job, &start.places)?;
    if !is_in_time(&job, deadline) {
        return Err(Refusal::Stale);
    }
    let leaves = |job: &Job| {
        let makes_way = job.makes_way().is_some_and(|preempted| preempted.by == waits.id);
        let ends = |run: &Run| run.deadline.is_some_and(|deadline| deadline <= gone);
        makes_way
            || job.holding().is_some_and(ends)
            || matches!(job.phase, Phase::Completing { .. })
            || runs.iter().any(|(id, _)| *id == job.id)
    };
    if !state.may_share(&job, conf, &start.places, leaves) {
        return Err(Refusal::Stale);
    }
    // The places are free once those have left who do; which ones they are, is said at the start.
    let left = without(state, now, &start.places, leaves);
    settle(&left, waits, &mut start.places)?;
    Ok(events)
}

/// A run that goes on, and is not told to make way yet.
fn active(state: &State, job: JobId, attempt: Attempt) -> Option<&Job> {
    let job = state.jobs.get(&job).filter(|job| job.attempt == attempt)?;
    let goes_on = matches!(&job.phase, Phase::Active(run) if run.preempted.is_none());
    goes_on.then_some(job.as_ref())
}

fn shares_a_node(theirs: &[Place], ours: &[Place]) -> bool {
    theirs.iter().any(|place| ours.iter().any(|own| own.node == place.node))
}

/// The state as it would be without those on the nodes of the places who leave. What they have of
/// licenses is theirs until then: nobody makes way for these.
fn without(
    state: &State,
    now: Timestamp,
    places: &[Place],
    leaves: impl Fn(&Job) -> bool,
) -> State {
    let here = places.iter().filter_map(|place| state.holding.get(&place.node)).flatten();
    let jobs = here.filter_map(|job| state.jobs.get(job)).filter(|job| leaves(job));
    let leaving: BTreeSet<JobId> = jobs.map(|job| job.id).collect();
    let mut left = state.clone();
    leaving.into_iter().for_each(|job| left.give_back(now, job));
    left
}

/// That the run waits again once it has made way, if it does, and still may.
pub(super) fn requeue(job: &Job, run: &Run, now: Timestamp) -> Option<Requeue> {
    let again_then = |preempted: &Preempted| preempted.requeue && job.requeue;
    run.preempted.filter(again_then).map(|_| again(now))
}

fn again(now: Timestamp) -> Requeue {
    Requeue { begin: Some(now + REQUEUE_PAUSE), hold: false }
}

pub(super) fn end(now: Timestamp) -> End {
    End {
        at: now,
        state: EndState::Preempted,
        exit: ExitStatus::default(),
        by: None,
        reason: None,
        message: None,
    }
}
