//! `sbatch --test-only`: when and where a job would start, were it submitted at this moment.
//!
//! Pure: it plays the cluster's future on a copy of its state. Runs end at their time limits, and
//! whatever is more urgent starts first. That is the answer of a cluster in which nothing else
//! happens, so a real start may well be earlier.

use common::{
    hostlist::Hostlist,
    id::{JobId, Term},
    job::{ExitStatus, Phase, Place},
    machine::{Answer, Command, Refusal, Report, State, Submission},
    time::{Span, Timestamp},
};
use proto::ctl as wire;

use crate::head::Head;

/// How many moments the play may have. A queue that is longer gives an answer that is too early.
const MOMENTS: usize = 2_000;

/// What Slurm takes a run without a limit for.
const UNLIMITED: Span = Span::from_minutes(365 * 24 * 60);

pub(super) fn run(
    state: State,
    submission: Submission,
    now: Timestamp,
) -> Result<wire::TestOnlyReply, Refusal> {
    let term = Term(state.term.0 + 1);
    let mut head = Head::new(state, term);
    let mut now = now.max(head.state().at);
    let Answer::Job(job) = head.propose(Command::Submit(Box::new(submission)), now)?.answer else {
        unreachable!("a submission is answered with a job");
    };
    for _ in 0..MOMENTS {
        clean_up(&mut head, now);
        let plan = sched::plan(head.state(), now);
        for start in plan.starts {
            if start.job == job {
                return Ok(reply(head.state(), job, now, &start.places));
            }
            // What the plan rests on has not moved since, but a refusal would only mean a job less.
            let _ = head.propose(Command::Allocate(start), now);
        }
        let Some(next) = next_moment(head.state(), plan.wake) else {
            break;
        };
        now = next.max(now);
        time_passes(&mut head, now);
    }
    Err(Refusal::Busy)
}

/// Runs whose end is decided leave their nodes.
fn clean_up(head: &mut Head, now: Timestamp) {
    let state = head.state().clone();
    for job in state.holding.values().flatten() {
        let job = &state.jobs[job];
        if matches!(job.phase, Phase::Completing { .. }) {
            end(head, job.id, now);
        }
    }
}

fn end(head: &mut Head, job: JobId, now: Timestamp) {
    let job = &head.state().jobs[&job];
    let Some(run) = job.holding() else { return };
    let (node, job, attempt) = (run.batch_host().clone(), job.id, job.attempt);
    let report = Report::Ended { at: now, exit: ExitStatus::default(), out_of_memory: false };
    // A report is never refused.
    let _ = head.propose(Command::Report { node, job, attempt, report }, now);
}

/// When a run ends at the latest.
fn latest_end(state: &State, job: JobId) -> Option<Timestamp> {
    let run = state.jobs[&job].holding()?;
    Some(run.deadline.unwrap_or(run.started + UNLIMITED))
}

fn next_moment(state: &State, wake: Option<Timestamp>) -> Option<Timestamp> {
    let ends = state.holding.values().flatten().filter_map(|job| latest_end(state, *job));
    ends.chain(wake).min()
}

fn time_passes(head: &mut Head, now: Timestamp) {
    let state = head.state().clone();
    for job in state.holding.values().flatten() {
        if latest_end(&state, *job).is_some_and(|at| at <= now) {
            end(head, *job, now);
        }
    }
}

fn reply(state: &State, job: JobId, start: Timestamp, places: &[Place]) -> wire::TestOnlyReply {
    let nodes = Hostlist::from_names(places.iter().map(|place| place.node.as_str()));
    wire::TestOnlyReply {
        job: job.0,
        start: start.0,
        cpus: places.iter().map(|place| place.held.cpus).sum(),
        nodes: nodes.to_string(),
        partition: state.jobs[&job].partition.to_string(),
    }
}
