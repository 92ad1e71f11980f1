//! What a node's word about a run causes.

use super::REQUEUE_PAUSE;
use crate::{
    id::{Attempt, JobId, NodeName, UserId},
    job::{End, EndState, ExitStatus, Job, Phase, Reason, Requeue, Stage},
    machine::{Event, NodeChange, Report, State},
    node::NodeReason,
    planted::{Bug, planted},
    time::Timestamp,
};

/// A node reports until it hears that the log has it, so repeats are normal, and so are reports
/// of runs that are over: they cause nothing.
pub(super) fn report(
    state: &State,
    now: Timestamp,
    node: &NodeName,
    job: JobId,
    attempt: Attempt,
    report: Report,
) -> Vec<Event> {
    let current = |job: &&Job| {
        let current = job.attempt == attempt || planted(Bug::IgnoreAttempt);
        let runs = job.holding().is_some_and(|run| run.batch_host() == node);
        current && runs && !job.is_led()
    };
    let Some(job) = state.jobs.get(&job).map(AsRef::as_ref).filter(current) else {
        return vec![];
    };
    match report {
        Report::Launching => reached(job, Stage::Launching),
        Report::Running => reached(job, Stage::Running),
        Report::Delivered { number } => {
            let waits = job.signals.iter().any(|signal| signal.number <= number);
            let delivered = Event::SignalDelivered { job: job.id, attempt, number };
            if waits { vec![delivered] } else { vec![] }
        }
        Report::Ended { at, exit, out_of_memory } => {
            vec![over(job, ended(job, now, at, exit, out_of_memory))]
        }
        Report::LaunchFailed { at, message, node_fault } => {
            launch_failed(state, now, node, job, at, message, node_fault)
        }
        Report::Lost { .. } => vec![node_failed(job, now)],
    }
}

fn reached(job: &Job, stage: Stage) -> Vec<Event> {
    let (id, attempt) = (job.id, job.attempt);
    match &job.phase {
        Phase::Active(run) if run.stage < stage => vec![match stage {
            Stage::Running => Event::JobRunning { job: id, attempt },
            Stage::Allocated | Stage::Launching => Event::JobLaunching { job: id, attempt },
        }],
        Phase::Active(_) | Phase::Completing { .. } | Phase::Pending | Phase::Ended { .. } => {
            vec![]
        }
    }
}

/// The end of a run that its node says is over.
fn ended(job: &Job, now: Timestamp, at: Timestamp, exit: ExitStatus, oom: bool) -> End {
    if let Phase::Completing { end, .. } = &job.phase {
        // The end was decided before. What the processes ended with is told where Slurm tells it.
        let exit = match end.state {
            EndState::Cancelled | EndState::Timeout | EndState::Preempted => exit,
            EndState::Completed
            | EndState::Failed
            | EndState::NodeFail
            | EndState::OutOfMemory
            | EndState::Deadline => end.exit,
        };
        return End { exit, ..end.clone() };
    }
    let (state, reason) = match exit {
        _ if oom => (EndState::OutOfMemory, Some(Reason::OutOfMemory)),
        ExitStatus { code: 0, signal: 0 } => (EndState::Completed, None),
        ExitStatus { signal: 0, .. } => (EndState::Failed, Some(Reason::NonZeroExitCode)),
        ExitStatus { .. } => (EndState::Failed, Some(Reason::RaisedSignal)),
    };
    // One that is told to make way, and does, was preempted; one that has done its work has not.
    let makes_way = job.makes_way().is_some() && state != EndState::Completed;
    let (state, reason) = if makes_way { (EndState::Preempted, None) } else { (state, reason) };
    let started = job.holding().map_or(now, |run| run.started);
    // A node's clock may be ahead or behind: an end lies between the start and now.
    End { at: at.clamp(started, now.max(started)), state, exit, by: None, reason, message: None }
}

/// What follows when nothing of the run is left on its node.
fn over(job: &Job, end: End) -> Event {
    let (id, attempt) = (job.id, job.attempt);
    match &job.phase {
        Phase::Completing { requeue: Some(requeue), .. } => {
            Event::JobRequeued { job: id, attempt, requeue: *requeue, end: Some(end) }
        }
        Phase::Active(run)
            if end.state == EndState::Preempted
                && let Some(requeue) = super::preempt::requeue(job, run, end.at) =>
        {
            Event::JobRequeued { job: id, attempt, requeue, end: Some(end) }
        }
        Phase::Completing { requeue: None, .. }
        | Phase::Active(_)
        | Phase::Pending
        | Phase::Ended { .. } => Event::JobEnded { job: id, attempt, end },
    }
}

fn launch_failed(
    state: &State,
    now: Timestamp,
    node: &NodeName,
    job: &Job,
    at: Timestamp,
    message: String,
    node_fault: bool,
) -> Vec<Event> {
    let exit = ExitStatus { code: 1, signal: 0 };
    let end = End {
        message: Some(message.clone()),
        reason: Some(Reason::JobLaunchFailure),
        ..ended(job, now, at, exit, false)
    };
    let completing = matches!(job.phase, Phase::Completing { .. });
    if !node_fault || completing {
        return vec![over(job, end)];
    }
    let mut events = Vec::new();
    if let Some(known) = state.nodes.get(node).filter(|node| !node.drain) {
        let text = format!("batch job launch failure: {message}");
        let reason = Some(NodeReason { text, by: UserId::ROOT, at: now });
        let change = NodeChange { availability: known.availability, drain: true, reason };
        events.push(Event::NodeChanged { node: node.clone(), change });
    }
    let requeue = Requeue { begin: None, hold: false };
    let (job, attempt) = (job.id, job.attempt);
    events.push(Event::JobRequeued { job, attempt, requeue, end: Some(end) });
    events
}

/// How a run ends whose batch host failed under it: at once, for nobody is left to ask.
pub(super) fn node_failed(job: &Job, now: Timestamp) -> Event {
    match &job.phase {
        Phase::Completing { end, .. } => over(job, end.clone()),
        Phase::Active(_) | Phase::Pending | Phase::Ended { .. } => {
            let (id, attempt, end) = (job.id, job.attempt, failed(now));
            match requeued(job, now) {
                Some(requeue) => Event::JobRequeued { job: id, attempt, requeue, end: Some(end) },
                None => Event::JobEnded { job: id, attempt, end },
            }
        }
    }
}

/// How a run ends that lost a node while its batch host lives: once the host has cleaned up.
/// None where its end is decided already.
pub(super) fn node_taken(job: &Job, now: Timestamp) -> Option<Event> {
    let (id, attempt) = (job.id, job.attempt);
    matches!(job.phase, Phase::Active(_)).then(|| Event::JobCompleting {
        job: id,
        attempt,
        end: failed(now),
        requeue: requeued(job, now),
    })
}

fn failed(now: Timestamp) -> End {
    End {
        at: now,
        state: EndState::NodeFail,
        // So Slurm shows it.
        exit: ExitStatus { code: 0, signal: 1 },
        by: None,
        reason: Some(Reason::NodeDown),
        message: None,
    }
}

fn requeued(job: &Job, now: Timestamp) -> Option<Requeue> {
    job.requeue.then(|| Requeue { begin: Some(now + REQUEUE_PAUSE), hold: false })
}
