//! `sbatch --test-only`: when and where a job would start, were it submitted at this moment.
//!
//! Pure: it asks the planner, on a copy of the state; and where that knows no moment, it plays the
//! cluster's future. Runs end at their time limits, and whatever is more urgent is not delayed.
//! That is the answer of a cluster in which nothing else happens, so a real start may well be
//! earlier.

use common::{
    hostlist::Hostlist,
    id::{JobId, PartitionName, Term},
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
    let Answer::Job(job) = head.propose(Command::Submit(Box::new(submission)), now).answer? else {
        unreachable!("a submission is answered with a job");
    };
    if let Some((start, places, partition)) = sched::when(head.state(), now, job) {
        return Ok(reply(job, &partition, start, &places));
    }
    // Something that the plan takes for endless is in the way, or it may not begin yet.
    for _ in 0..MOMENTS {
        clean_up(&mut head, now);
        let plan = sched::plan(head.state(), now);
        for start in plan.starts {
            if start.job == job {
                let places: Vec<Place> = start.all().flat_map(|one| one.places.clone()).collect();
                let of_job = || head.state().jobs[&job].partition.clone();
                let partition = start.partition.unwrap_or_else(of_job);
                return Ok(reply(job, &partition, now, &places));
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
    if job.is_led() {
        // It ends with its leader, or when its own time is over.
        let (job, attempt) = (job.id, job.attempt);
        let _ = head.propose(Command::TimeUp { job, attempt }, now);
        return;
    }
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
    ends.chain(wake).chain(state.dependents.next_due()).min()
}

fn time_passes(head: &mut Head, now: Timestamp) {
    let state = head.state().clone();
    for job in state.holding.values().flatten() {
        if latest_end(&state, *job).is_some_and(|at| at <= now) {
            end(head, *job, now);
        }
    }
    for job in state.dependents.due().take_while(|(at, _)| *at <= now).map(|(_, job)| job) {
        let _ = head.propose(Command::ConditionDue { job }, now);
    }
}

fn reply(
    job: JobId,
    partition: &PartitionName,
    start: Timestamp,
    places: &[Place],
) -> wire::TestOnlyReply {
    // Components of a heterogeneous job may share a node.
    let nodes = Hostlist::from_names(places.iter().map(|place| place.node.as_str())).unique();
    wire::TestOnlyReply {
        job: job.0,
        start: start.0,
        cpus: places.iter().map(|place| place.held.cpus).sum(),
        nodes: nodes.to_string(),
        partition: partition.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use common::{id::RequestId, job::JobSpec, machine::By, time::TimeLimit};

    use super::*;
    use crate::fixture::{ALICE, Cluster, spec};

    fn trial(cpus: u32, change: impl FnOnce(&mut JobSpec)) -> Submission {
        let mut spec = spec(cpus);
        change(&mut spec);
        let by = By { user: ALICE, request: RequestId([9; 16]) };
        let (script, environment) = (Bytes::from_static(b"x"), Bytes::new());
        Submission { by, spec, components: vec![], script, environment }
    }

    fn start(cluster: &Cluster, cpus: u32) -> Result<(u64, String), Refusal> {
        let submission = trial(cpus, |_| {});
        let reply = run(cluster.state(), submission, cluster.now)?;
        assert_eq!((reply.cpus, reply.partition.as_str()), (cpus, "cpu"));
        Ok((Timestamp(reply.start).since(cluster.now).seconds(), reply.nodes))
    }

    #[test]
    fn what_is_free_is_had_at_once() {
        let cluster = Cluster::new(2);
        assert_eq!(start(&cluster, 4), Ok((0, "n1".to_owned())));
    }

    #[test]
    fn what_is_held_is_had_when_its_limits_strike_and_in_turn() {
        let mut cluster = Cluster::new(2);
        for (node, minutes) in [("n1", 10), ("n2", 5)] {
            let limit = Some(TimeLimit::Minutes(minutes));
            let job = cluster.submit_to(4, |spec| spec.time_limit = limit);
            cluster.allocate(job, node, 4);
        }
        assert_eq!(start(&cluster, 4), Ok((300, "n2".to_owned())));
        // Somebody else is first, for three minutes.
        cluster.submit_to(4, |spec| spec.time_limit = Some(TimeLimit::Minutes(3)));
        assert_eq!(start(&cluster, 4), Ok((480, "n2".to_owned())));
        assert_eq!(start(&cluster, 1), Ok((480, "n2".to_owned())), "small ones wait, too");
    }

    #[test]
    fn a_run_without_a_limit_is_taken_for_a_year_long() {
        let mut cluster = Cluster::new(1);
        let job = cluster.submit(4);
        cluster.allocate(job, "n1", 4);
        assert_eq!(start(&cluster, 1), Ok((365 * 24 * 3600, "n1".to_owned())));
    }

    #[test]
    fn components_are_had_together() {
        let mut cluster = Cluster::new(2);
        let limit = |spec: &mut JobSpec| spec.time_limit = Some(TimeLimit::Minutes(10));
        let job = cluster.submit_to(4, limit);
        cluster.allocate(job, "n1", 4);
        let het = |cpus| Submission { components: vec![spec(cpus)], ..trial(4, limit) };
        for (cpus, at, nodes) in [(4, 600, "n[1-2]"), (1, 600, "n[1-2]")] {
            let reply = run(cluster.state(), het(cpus), cluster.now).expect("it starts once");
            assert_eq!(Timestamp(reply.start).since(cluster.now).seconds(), at);
            assert_eq!((reply.cpus, reply.nodes.as_str()), (4 + cpus, nodes));
        }
        let small = Submission { spec: spec(1), ..het(1) };
        let reply = run(cluster.state(), small, cluster.now).expect("there is room");
        assert_eq!((reply.start, reply.nodes.as_str()), (cluster.now.0, "n2"));
        let never = Submission { components: vec![spec(4), spec(4)], ..trial(4, limit) };
        assert_eq!(run(cluster.state(), never, cluster.now), Err(Refusal::Busy));
    }

    #[test]
    fn what_never_starts_is_refused() {
        let cluster = Cluster::new(1);
        let held = trial(1, |spec| spec.hold = true);
        assert_eq!(run(cluster.state(), held, cluster.now), Err(Refusal::Busy));
        let refused = start(&cluster, 5).expect_err("no node has five");
        assert_eq!(refused.errno(), Some(2014));
    }
}
