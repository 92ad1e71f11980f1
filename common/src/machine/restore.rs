//! How a cluster goes on from a copy of its log: a backup, or what one controller of several had.
//!
//! What was logged elsewhere after the copy is not known: jobs may have been submitted, started,
//! requeued and ended. So ids are passed over, no attempt is of a number that may have run, and
//! nothing is run again that may have run to its end, unless somebody says that it may.
//!
//! | a job that in the copy | from a backup, into a new cluster | from a controller that survived |
//! |---|---|---|
//! | waits | held, or waits on | held, or waits on |
//! | was to be launched | ended as NODE_FAIL | waits again, held |
//! | runs | ended as NODE_FAIL: no node of the new cluster has it | runs on, and is not requeued |
//! | completes | ended as it was to end | completes, and is not requeued |

use std::{collections::BTreeSet, sync::Arc};

use super::{Event, State, decide::followed};
use crate::{
    id::{ClusterId, ContentHash, ControllerName},
    job::{End, EndState, ExitStatus, Hold, Job, JobChanges, Phase, Requeue, Stage},
    machine::NodeChange,
    node::Availability,
    time::Timestamp,
};

/// By how much the attempts of jobs rise: far more runs than could have begun unseen.
const ATTEMPTS: u32 = 1_000_000;

/// What a cluster goes on from, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// Its id from here on: another one where it is made from a backup.
    pub cluster: ClusterId,
    /// The last entry of the copy.
    pub index: u64,
    /// How many ids are passed over.
    pub job_ids: u32,
    /// Jobs that wait go on waiting: nothing can have happened after the copy.
    pub nothing_since: bool,
    /// The only controller from here on.
    pub controller: ControllerName,
    pub raft_id: u64,
    pub address: String,
    /// Scripts and environments that the copy lacks. Only jobs that are over can have lost them.
    pub lost: BTreeSet<ContentHash>,
}

/// What the log goes on with.
#[must_use]
pub fn restored(state: &State, at: Timestamp, restore: &Restore) -> Vec<Event> {
    let Restore { cluster, index, nothing_since, .. } = restore;
    let elsewhere = state.cluster != Some(*cluster);
    let held = |job: &&Arc<Job>| {
        // A component that has ended already waits again with the others.
        let leader = job.led_by().and_then(|leader| state.jobs.get(&leader)).unwrap_or(job);
        let waits = job.is_pending() || (!elsewhere && is_to_be_launched(leader));
        waits && job.hold == Hold::None && !nothing_since
    };
    // First of all: what follows from the ends may make jobs of them.
    let waiting = state.jobs.values().filter(held).filter(|job| job.is_pending());
    let mut events: Vec<Event> = waiting.map(|job| hold(job)).collect();
    for job in state.jobs.values() {
        // What becomes of a leader becomes of those that it leads.
        if elsewhere {
            events.extend(end(job, at).filter(|_| !job.is_led()));
        } else if !nothing_since {
            events.extend(leave(job));
        }
        if held(&job) && !job.is_pending() {
            events.push(hold(job));
        }
        let over = matches!(job.phase, Phase::Ended { .. });
        let lost = [job.spec.script, job.spec.environment];
        if over && lost.iter().any(|hash| restore.lost.contains(hash)) {
            events.push(Event::JobForgotten { job: job.id });
        }
    }
    if elsewhere {
        events.extend(state.nodes.values().map(|node| Event::NodeChanged {
            node: node.name.clone(),
            change: NodeChange {
                availability: Availability::Unknown,
                drain: node.drain,
                reason: node.reason.clone(),
            },
        }));
    }
    // Ids up to there may have been given since the copy was made.
    let next_job = state.next_job.saturating_add(restore.job_ids);
    let mut events = followed(&State { next_job, ..state.clone() }, at, events);
    events.extend(state.tokens.keys().map(|secret| Event::TokenSpent { secret: *secret }));
    let controllers = state.controllers.keys();
    events.extend(controllers.map(|name| Event::ControllerLeft { controller: name.clone() }));
    events.push(Event::ClusterRestored {
        cluster: *cluster,
        from: state.cluster.unwrap_or(*cluster),
        index: *index,
        next_job,
        attempts: ATTEMPTS,
    });
    events.push(Event::ControllerJoined {
        controller: restore.controller.clone(),
        raft_id: restore.raft_id,
        address: restore.address.clone(),
    });
    events
}

fn hold(job: &Job) -> Event {
    Event::JobHeld { job: job.id, hold: Hold::Admin }
}

fn is_to_be_launched(job: &Job) -> bool {
    matches!(&job.phase, Phase::Active(run) if run.stage == Stage::Allocated)
}

/// Lets a run go on, but never begin again: it may have ended since, and been forgotten.
fn leave(job: &Job) -> Option<Event> {
    match &job.phase {
        Phase::Active(_) | Phase::Completing { .. }
            if job.is_led() && (is_to_be_launched(job) || job.end().is_some()) =>
        {
            None
        }
        Phase::Active(_) if is_to_be_launched(job) => Some(Event::JobRequeued {
            job: job.id,
            attempt: job.attempt,
            requeue: Requeue { begin: None, hold: false },
            end: None,
        }),
        Phase::Active(_) if job.requeue => {
            let changes = JobChanges { requeue: Some(false), ..JobChanges::default() };
            Some(Event::JobUpdated { job: job.id, changes: Arc::new(changes) })
        }
        Phase::Completing { end, requeue: Some(_), .. } => Some(Event::JobCompleting {
            job: job.id,
            attempt: job.attempt,
            end: end.clone(),
            requeue: None,
        }),
        Phase::Active(_) | Phase::Completing { .. } | Phase::Pending | Phase::Ended { .. } => None,
    }
}

/// The end of a run that no node has any more.
fn end(job: &Job, at: Timestamp) -> Option<Event> {
    let end = match &job.phase {
        Phase::Pending | Phase::Ended { .. } => return None,
        Phase::Completing { end, requeue: None, .. } => End { at, ..end.clone() },
        Phase::Active(_) | Phase::Completing { requeue: Some(_), .. } => End {
            at,
            state: EndState::NodeFail,
            exit: ExitStatus::default(),
            by: None,
            reason: None,
            message: Some("it ran when the backup was made".to_owned()),
        },
    };
    Some(Event::JobEnded { job: job.id, attempt: job.attempt, end })
}
