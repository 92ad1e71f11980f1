//! What the nodes should be doing, and are not.

use std::collections::BTreeMap;

use super::{Command, Report, State};
use crate::{
    id::{Attempt, JobId, NodeName},
    job::{EndState, Job, Phase, SignalScope, Stage},
    planted::{Bug, planted},
    time::Timestamp,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    Launch {
        job: JobId,
        attempt: Attempt,
    },
    Terminate {
        job: JobId,
        attempt: Attempt,
        cause: Cause,
        at: Timestamp,
    },
    Signal {
        job: JobId,
        attempt: Attempt,
        number: u32,
        signal: u8,
        scope: SignalScope,
    },
    /// The log has the end of this run: the node may forget it.
    Release {
        job: JobId,
        attempt: Attempt,
    },
}

/// Why a run is terminated: the job's own output says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Cancelled,
    TimeLimit,
    NodeFailure,
    Requeue,
    /// It makes way for another job.
    Preempted,
    /// The cluster does not want this run any more, or never did.
    Stale,
}

/// What one node last said that it has on its disk. Not replicated: a new leader asks again.
pub type Seen = BTreeMap<(JobId, Attempt), SeenStage>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenStage {
    /// Listed when the node said hello, and not known to run. A daemon that was restarted begins
    /// nothing before a leader says that it is still wanted.
    Listed,
    Launching,
    Running,
    /// Its end waits on the node's disk until it is released.
    Over,
}

/// The orders that would bring `node` in line with the state.
///
/// Compares what should be with what is, instead of remembering what was sent. So a lost order is
/// sent again, a repeated one does no harm, and a new leader needs no hand-over.
#[must_use]
pub fn orders(state: &State, node: &NodeName, seen: &Seen) -> Vec<Order> {
    let mut orders = Vec::new();
    // What nobody wants comes first: the node launches nothing into its place before it is gone.
    for (&(job, attempt), stage) in seen {
        if wants(state, node, job, attempt) {
            continue;
        }
        orders.push(match stage {
            SeenStage::Over => Order::Release { job, attempt },
            SeenStage::Listed | SeenStage::Launching | SeenStage::Running => {
                Order::Terminate { job, attempt, cause: Cause::Stale, at: state.at }
            }
        });
    }
    for job in batch_jobs(state, node) {
        let stage = seen.get(&(job.id, job.attempt)).copied();
        match &job.phase {
            Phase::Active(run) => match stage {
                None if run.stage == Stage::Allocated && lives_on(state, node, job) => {
                    orders.push(Order::Launch { job: job.id, attempt: job.attempt });
                }
                Some(SeenStage::Listed) => {
                    orders.push(Order::Launch { job: job.id, attempt: job.attempt });
                }
                Some(SeenStage::Running) => orders.extend(signals(job)),
                None | Some(SeenStage::Launching | SeenStage::Over) => {}
            },
            Phase::Completing { end, requeue, .. } if stage != Some(SeenStage::Over) => {
                let cause = match end.state {
                    EndState::Preempted => Cause::Preempted,
                    _ if requeue.is_some() => Cause::Requeue,
                    EndState::Timeout => Cause::TimeLimit,
                    EndState::NodeFail => Cause::NodeFailure,
                    EndState::Completed
                    | EndState::Failed
                    | EndState::Cancelled
                    | EndState::OutOfMemory
                    | EndState::Deadline => Cause::Cancelled,
                };
                let (job, attempt, at) = (job.id, job.attempt, end.at);
                orders.push(Order::Terminate { job, attempt, cause, at });
            }
            Phase::Completing { .. } | Phase::Pending | Phase::Ended { .. } => {}
        }
    }
    orders
}

/// Runs that `node` should have and does not know of any more. Their nodes hold nothing of them,
/// and a launch could run them twice: each is reported lost.
///
/// To be asked only once `seen` is what the node itself listed on a fresh connection.
#[must_use]
pub fn missing(state: &State, node: &NodeName, seen: &Seen, now: Timestamp) -> Vec<Command> {
    let lost = |job: &Job| {
        let Phase::Active(run) = &job.phase else {
            return false;
        };
        !seen.contains_key(&(job.id, job.attempt))
            && (run.stage > Stage::Allocated || !lives_on(state, node, job))
    };
    batch_jobs(state, node)
        .filter(|job| lost(job))
        .map(|job| Command::Report {
            node: node.clone(),
            job: job.id,
            attempt: job.attempt,
            report: Report::Lost { at: now },
        })
        .collect()
}

/// The jobs whose batch script belongs on `node` and whose resources are still held. Of a
/// heterogeneous job the leader's is the only one.
fn batch_jobs<'a>(state: &'a State, node: &'a NodeName) -> impl Iterator<Item = &'a Job> {
    let held = state.holding.get(node).into_iter().flatten();
    held.map(|job| {
        let job = state.jobs.get(job).expect("check: a job that holds a node is there");
        job.as_ref()
    })
    .filter(move |job| runs_script(job, node))
}

/// Whether the run belongs to the life that the node leads.
fn lives_on(state: &State, node: &NodeName, job: &Job) -> bool {
    let incarnation = state
        .nodes
        .get(node)
        .and_then(|node| node.inventory.as_ref())
        .map(|inventory| inventory.incarnation);
    let same = incarnation == job.holding().map(|run| run.incarnation);
    incarnation.is_some() && (same || planted(Bug::IgnoreIncarnation))
}

fn wants(state: &State, node: &NodeName, job: JobId, attempt: Attempt) -> bool {
    let job = state.jobs.get(&job);
    job.is_some_and(|job| job.attempt == attempt && runs_script(job, node))
}

fn runs_script(job: &Job, node: &NodeName) -> bool {
    !job.is_led() && job.holding().is_some_and(|run| run.batch_host() == node)
}

fn signals(job: &Job) -> impl Iterator<Item = Order> {
    job.signals.iter().map(|signal| Order::Signal {
        job: job.id,
        attempt: job.attempt,
        number: signal.number,
        signal: signal.signal,
        scope: signal.scope,
    })
}
