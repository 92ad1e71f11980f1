//! How runs are ended from outside: by people, and by the clock.

use std::sync::Arc;

use super::{REQUEUE_PAUSE, owned, preempt};
use crate::{
    id::{Attempt, JobId, UserId},
    job::{End, EndState, ExitStatus, Job, Phase, Reason, Requeue, SignalScope},
    machine::{By, Event, Refusal, State},
    time::Timestamp,
};

const SIGKILL: u8 = 9;

pub(super) fn cancel(
    state: &State,
    now: Timestamp,
    by: &By,
    job: JobId,
    signal: Option<(u8, SignalScope)>,
) -> Result<Vec<Event>, Refusal> {
    let job = owned(state, by.user, job)?;
    let kills = ends(signal);
    match (&job.phase, signal) {
        (Phase::Ended { .. }, _) => Err(Refusal::AlreadyDone(job.id)),
        (Phase::Pending, Some(_)) if !kills => Err(Refusal::Pending(job.id)),
        (Phase::Pending, _) => Ok(vec![Event::JobEnded {
            job: job.id,
            attempt: job.attempt,
            end: cancelled(now, by.user),
        }]),
        (Phase::Active(_), Some((signal, scope))) if !kills => Ok(vec![Event::JobSignalled {
            job: job.id,
            attempt: job.attempt,
            signal,
            scope,
            by: by.user,
            warning: false,
        }]),
        (Phase::Active(_), _) => Ok(vec![Event::JobCompleting {
            job: job.id,
            attempt: job.attempt,
            end: cancelled(now, by.user),
            requeue: None,
        }]),
        // A run that is to be requeued is not over for its owner: it can still be cancelled.
        (Phase::Completing { requeue: Some(_), .. }, _) if kills => {
            Ok(vec![Event::JobCompleting {
                job: job.id,
                attempt: job.attempt,
                end: cancelled(now, by.user),
                requeue: None,
            }])
        }
        (Phase::Completing { .. }, _) => Ok(vec![]),
    }
}

/// Whether a job is over that is sent this.
pub(super) fn ends(signal: Option<(u8, SignalScope)>) -> bool {
    match signal {
        None => true,
        Some((signal, scope)) => signal == SIGKILL && scope != SignalScope::Batch,
    }
}

pub(super) fn cancelled(at: Timestamp, by: UserId) -> End {
    End {
        at,
        state: EndState::Cancelled,
        exit: ExitStatus::default(),
        by: Some(by),
        reason: None,
        message: None,
    }
}

pub(super) fn requeue(
    state: &State,
    now: Timestamp,
    by: &By,
    job: JobId,
    hold: bool,
) -> Result<Vec<Event>, Refusal> {
    let job = owned(state, by.user, job)?;
    let requeue = Requeue { begin: Some(now + REQUEUE_PAUSE), hold };
    let (id, attempt) = (job.id, job.attempt);
    match &job.phase {
        Phase::Pending => Err(Refusal::Pending(job.id)),
        Phase::Active(_) => {
            let end = End {
                at: now,
                state: EndState::Cancelled,
                exit: ExitStatus::default(),
                by: Some(by.user),
                reason: None,
                message: None,
            };
            Ok(vec![Event::JobCompleting { job: id, attempt, end, requeue: Some(requeue) }])
        }
        Phase::Completing { end, .. } => {
            let end = end.clone();
            Ok(vec![Event::JobCompleting { job: id, attempt, end, requeue: Some(requeue) }])
        }
        Phase::Ended { end, .. } => {
            let end = Some(end.clone());
            Ok(vec![Event::JobRequeued { job: id, attempt, requeue, end }])
        }
    }
}

/// The signal of `--signal` is due.
pub(super) fn warn(state: &State, now: Timestamp, job: JobId, attempt: Attempt) -> Vec<Event> {
    let due = |job: &&Job| job.attempt == attempt && job.alarm().is_some_and(|at| at <= now);
    let Some(job) = state.jobs.get(&job).map(AsRef::as_ref).filter(due) else {
        return vec![];
    };
    let (Some(warn), Phase::Active(run)) = (job.spec.warn_signal, &job.phase) else {
        return vec![];
    };
    if run.warned {
        return vec![];
    }
    let scope = if warn.batch_only { SignalScope::Batch } else { SignalScope::Steps };
    vec![Event::JobSignalled {
        job: job.id,
        attempt,
        signal: warn.signal,
        scope,
        by: UserId::ROOT,
        warning: true,
    }]
}

/// The time limit strikes.
pub(super) fn time_up(state: &State, now: Timestamp, job: JobId, attempt: Attempt) -> Vec<Event> {
    let Some(job) = state.jobs.get(&job).filter(|job| job.attempt == attempt) else {
        return vec![];
    };
    let Phase::Active(run) = &job.phase else {
        return vec![];
    };
    if run.deadline.is_none_or(|deadline| deadline > now) {
        return vec![];
    }
    if run.preempted.is_some_and(|preempted| preempted.until <= now) {
        let (id, end, requeue) = (job.id, preempt::end(now), preempt::requeue(job, run, now));
        return vec![Event::JobCompleting { job: id, attempt, end, requeue }];
    }
    let end = End {
        at: now,
        state: EndState::Timeout,
        exit: ExitStatus::default(),
        by: None,
        reason: Some(Reason::TimeLimit),
        message: None,
    };
    if job.is_led() {
        // Nothing of it is left to be cleaned up.
        return vec![Event::JobEnded { job: job.id, attempt, end }];
    }
    vec![Event::JobCompleting { job: job.id, attempt, end, requeue: None }]
}

/// It is too late for a job that waits: it could not be over by its deadline.
pub(super) fn miss_deadline(state: &State, now: Timestamp, job: JobId) -> Vec<Event> {
    let late = |job: &&Arc<Job>| job.waits_until().is_some_and(|last| last < now);
    let Some(job) = state.jobs.get(&job).filter(late) else { return vec![] };
    let end = End {
        at: now,
        state: EndState::Deadline,
        exit: ExitStatus { code: 1, signal: 0 },
        by: None,
        reason: Some(Reason::Deadline),
        message: None,
    };
    vec![Event::JobEnded { job: job.id, attempt: job.attempt, end }]
}
