//! What people do to tasks of an array, or to all of them.

use std::sync::Arc;

use super::{cancel, submit::next_job, update};
use crate::{
    id::JobId,
    job::{ArrayPart, Job, JobChanges, TaskSet},
    machine::{By, Event, Refusal, State, TaskAct},
    time::Timestamp,
};

/// How many tasks can get jobs of their own at once: they are one entry of the log.
const MOST_AT_ONCE: u32 = 10_000;

/// Does it to those of the tasks that it can be done to, and refuses only where it is none.
pub(super) fn on_tasks(
    state: &State,
    now: Timestamp,
    by: &By,
    array: JobId,
    tasks: Option<&TaskSet>,
    act: &TaskAct,
) -> Result<Vec<Event>, Refusal> {
    let mut events = Vec::new();
    let mut refusal = Refusal::NoSuchJob(array);
    let mut done = false;
    // What is asked for counts for the next one, too: they may be too many together.
    let together = matches!(act, TaskAct::Update { .. });
    let mut turn = state.clone();
    let mut note = |turn: &mut State, result: Result<Vec<Event>, Refusal>| match result {
        Ok(more) => {
            done = true;
            for event in more.iter().filter(|_| together) {
                turn.apply_event(now, state.term, event);
            }
            events.extend(more);
        }
        Err(why) => refusal = why,
    };
    if let Some((job, waiting)) = state.waiting(array) {
        let named = tasks.map_or_else(|| waiting.clone(), |tasks| waiting.common(tasks));
        if named.len() == waiting.len() {
            note(&mut turn, carry_out(state, now, by, job, act));
        } else if !named.is_empty() {
            note(&mut turn, on_some(state, now, by, job, named, act));
        }
    } else if let Some(job) = state.jobs.get(&array).filter(|_| tasks.is_none())
        && matches!(job.array, Some(ArrayPart::Waiting(_)))
    {
        note(&mut turn, carry_out(state, now, by, job, act));
    }
    for (index, job) in state.tasks(array) {
        if tasks.is_none_or(|tasks| tasks.contains(index)) {
            let result = carry_out(&turn, now, by, job, act);
            note(&mut turn, result);
        }
    }
    if done { Ok(events) } else { Err(refusal) }
}

fn carry_out(
    state: &State,
    now: Timestamp,
    by: &By,
    job: &Job,
    act: &TaskAct,
) -> Result<Vec<Event>, Refusal> {
    match act {
        TaskAct::Cancel { signal } => cancel::cancel(state, now, by, job.id, *signal),
        TaskAct::Hold { admin } => update::hold(state, by, job.id, *admin),
        TaskAct::Release => update::release(state, by, job.id),
        TaskAct::Requeue { hold } => cancel::requeue(state, now, by, job.id, *hold),
        TaskAct::Update { changes } => {
            update::update_job(state, now, by, job.id, JobChanges::clone(changes))
        }
    }
}

/// Some of those that wait: what is to be different for them makes them jobs of their own, and the
/// cancelled leave nothing behind.
fn on_some(
    state: &State,
    now: Timestamp,
    by: &By,
    job: &Job,
    tasks: TaskSet,
    act: &TaskAct,
) -> Result<Vec<Event>, Refusal> {
    let mut alone = state.clone();
    if let TaskAct::Update { .. } = act {
        // What the others ask for, and count for, is no matter of theirs.
        let array = Some(ArrayPart::Waiting(tasks.clone()));
        alone.suppose_job(Job { array, ..job.clone() });
    }
    let events = carry_out(&alone, now, by, job, act)?;
    if let TaskAct::Cancel { .. } = act {
        let tasks = Arc::new(tasks);
        let cancelled = |event| {
            let Event::JobEnded { end, .. } = event else { return event };
            Event::TasksCancelled { array: job.id, tasks: Arc::clone(&tasks), end }
        };
        return Ok(events.into_iter().map(cancelled).collect());
    }
    if tasks.len() > MOST_AT_ONCE {
        let text = format!("More than {MOST_AT_ONCE} tasks can only be changed with all others");
        return Err(Refusal::Unsupported(text));
    }
    let config = state.config.as_ref().ok_or(Refusal::Disabled)?;
    let mut all = Vec::new();
    let mut next = next_job(state, config)?;
    if u64::from(next.0) + u64::from(tasks.len()) > u64::from(config.max_job_id) + 1 {
        return Err(Refusal::TooManyJobs);
    }
    for index in tasks.iter().filter(|_| !events.is_empty()) {
        all.push(Event::TaskSplit { array: job.id, index, job: next });
        all.extend(events.iter().map(|event| of_task(event, next)));
        next = JobId(next.0 + 1);
    }
    Ok(all)
}

/// The same of a task's own job.
fn of_task(event: &Event, task: JobId) -> Event {
    let mut event = event.clone();
    if let Event::JobHeld { job, .. }
    | Event::JobReleased { job, .. }
    | Event::JobUpdated { job, .. } = &mut event
    {
        *job = task;
    }
    event
}

/// What gives a task a job of its own, and that job: the array's own where it is the last one.
pub(super) fn split(
    state: &State,
    array: &Job,
    waiting: &TaskSet,
    index: u32,
) -> Result<(Event, JobId), Refusal> {
    let config = state.config.as_ref().ok_or(Refusal::Disabled)?;
    let job = if waiting.len() == 1 { array.id } else { next_job(state, config)? };
    Ok((Event::TaskSplit { array: array.id, index, job }, job))
}
