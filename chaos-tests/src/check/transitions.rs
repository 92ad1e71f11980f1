//! A job goes from state to state as it may, and never starts once it is cancelled.
//!
//! Sources: squeue(1), "JOB STATE CODES"; spur 133 (an illegal RUNNING to PENDING). The table is
//! written here a second time, from the manual and not from the reference model, and the two must
//! agree on every log.
//!
//! ```text
//!   Pending ─▶ Allocated ─▶ Launching ─▶ Running ─▶ Completing ─▶ Ended ─▶ Forgotten
//!      ▲           └────────────┴───────────┴───────────┴──▶ Ended │
//!      └───────────────────── requeued, attempt + 1 ───────────────┘
//! ```

use std::collections::BTreeMap;

use common::{job::Hold, machine::Event};

use super::{Facts, Findings};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Pending,
    Allocated,
    Launching,
    Running,
    Completing,
    Ended,
    Forgotten,
}

#[derive(Clone, Copy, Debug)]
struct Job {
    at: At,
    attempt: u32,
    held: bool,
}

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let mut jobs: BTreeMap<u32, Job> = BTreeMap::new();
    for (position, event) in facts.events() {
        let Some(id) = event.job() else { continue };
        findings.count();
        let known = if let Event::TaskSplit { array, .. } = event { *array } else { id };
        let before = jobs.get(&known.0).copied();
        match next(before, event) {
            Some(job) => {
                jobs.insert(id.0, job);
            }
            None => {
                let index = facts.log[position].index;
                let was = before.map_or("unknown".to_owned(), |job| {
                    let held = if job.held { ", held" } else { "" };
                    format!("{:?} (run {}{held})", job.at, job.attempt)
                });
                let kind = event.kind();
                findings.add(None, format!("entry {index}: {kind} of job {id}, which is {was}"));
            }
        }
    }
    findings
}

/// Where the event takes the job; none where it may not happen.
fn next(before: Option<Job>, event: &Event) -> Option<Job> {
    if let Event::JobSubmitted { hold, .. } = event {
        let fresh = Job { at: At::Pending, attempt: 1, held: *hold != Hold::None };
        return before.is_none().then_some(fresh);
    }
    let job = before?;
    let goes = |allowed: bool, at: At| allowed.then_some(Job { at, ..job });
    let active = (At::Allocated..=At::Running).contains(&job.at);
    let holds = active || job.at == At::Completing;
    // Also one that is completing, where it is to run again.
    let live = job.at < At::Ended;
    match event {
        Event::JobHeld { .. } => live.then_some(Job { held: true, ..job }),
        Event::JobReleased { .. } => live.then_some(Job { held: false, ..job }),
        Event::JobUpdated { changes, .. } => {
            let held = changes.priority.map_or(job.held, |priority| priority == 0);
            live.then_some(Job { held, ..job })
        }
        Event::JobAllocated { attempt, .. } => {
            let waits = job.at == At::Pending && !job.held && job.attempt == attempt.0;
            goes(waits, At::Allocated)
        }
        Event::JobLaunching { attempt, .. } => {
            goes(job.at == At::Allocated && job.attempt == attempt.0, At::Launching)
        }
        Event::JobRunning { attempt, .. } => {
            goes(active && job.at < At::Running && job.attempt == attempt.0, At::Running)
        }
        Event::JobSignalled { attempt, .. } => goes(active && job.attempt == attempt.0, job.at),
        Event::SignalDelivered { attempt, .. } => goes(holds && job.attempt == attempt.0, job.at),
        Event::JobCompleting { attempt, .. } => {
            goes(holds && job.attempt == attempt.0, At::Completing)
        }
        Event::JobPreempted { attempt, .. } => goes(active && job.attempt == attempt.0, job.at),
        Event::JobEnded { attempt, .. } => goes(live && job.attempt == attempt.0, At::Ended),
        Event::JobRequeued { attempt, requeue, .. } => {
            let runs = (holds || job.at == At::Ended) && job.attempt == attempt.0;
            let next =
                Job { at: At::Pending, attempt: job.attempt + 1, held: job.held || requeue.hold };
            runs.then_some(next)
        }
        // Of a task that waits as what stood for it does.
        Event::TaskSplit { .. } | Event::TasksCancelled { .. } => {
            goes(job.at == At::Pending, At::Pending)
        }
        Event::ConditionSettled { .. } => goes(job.at == At::Pending, At::Pending),
        Event::JobForgotten { .. } => goes(job.at == At::Ended, At::Forgotten),
        Event::JobSubmitted { .. }
        | Event::ClusterFormed { .. }
        | Event::ConfigSet { .. }
        | Event::FormatRaised { .. }
        | Event::ControllerJoined { .. }
        | Event::ControllerLeft { .. }
        | Event::ClusterRestored { .. }
        | Event::AuthoritiesSet { .. }
        | Event::AccountsLoaded { .. }
        | Event::ReservationCreated { .. }
        | Event::ReservationUpdated { .. }
        | Event::ReservationDeleted { .. }
        | Event::TokenIssued { .. }
        | Event::TokenSpent { .. }
        | Event::NodeRegistered { .. }
        | Event::NodeChanged { .. }
        | Event::BlobStored { .. } => Some(job),
    }
}
