use common::{
    job::{ArraySpec, Hold, JobChanges, MAX_ARRAY_SIZE},
    machine::Command,
    time::Span,
};

use common::id::JobId;

use super::*;
use crate::fixture::{ALICE, Cluster};

/// A full cluster with a job that waits for nodes, and what the scheduler made of it.
fn full() -> (Cluster, Pass) {
    let mut cluster = Cluster::new(1);
    let first = cluster.submit(4);
    cluster.allocate(first, "n1", 4);
    cluster.submit(4);
    let pass = pass(&cluster);
    (cluster, pass)
}

fn pass(cluster: &Cluster) -> Pass {
    let state = cluster.state();
    let plan = sched::plan_front(&state, cluster.now, 1);
    assert_eq!(plan.starts, [], "only a pass that starts nothing is kept");
    Pass::of(&state, &plan, cluster.now)
}

fn holds(pass: &mut Pass, cluster: &Cluster) -> bool {
    pass.still_holds(&cluster.state(), cluster.now)
}

#[test]
fn jobs_behind_one_that_waits_for_nodes_change_nothing() {
    let (mut cluster, mut pass) = full();
    assert!(holds(&mut pass, &cluster));
    for _ in 0..10 {
        cluster.submit(1);
        assert!(holds(&mut pass, &cluster));
    }
    let plan = sched::plan(&cluster.state(), cluster.now);
    assert_eq!(plan.starts, [], "another pass would find the same");
}

#[test]
fn what_could_start_something_calls_for_another_pass() {
    type Change = fn(&mut Cluster);
    let changes: [(&str, Change); 5] = [
        ("an end", |cluster| cluster.ends("n1", JobId(1))),
        ("a more urgent job", |cluster| {
            cluster.submit_to(1, |spec| spec.nice = 0);
            let by = cluster.by(common::id::UserId::ROOT);
            let changes = JobChanges { priority: Some(u32::MAX), ..JobChanges::default() };
            cluster.send(Command::UpdateJob { by, job: JobId(3), changes: Box::new(changes) });
        }),
        ("its cancelling", |cluster| cluster.cancel(JobId(2))),
        ("its holding", |cluster| {
            let by = cluster.by(ALICE);
            cluster.send(Command::Hold { by, job: JobId(2), admin: false });
            assert_eq!(cluster.state().jobs[&JobId(2)].hold, Hold::User);
        }),
        ("its shrinking", |cluster| {
            let by = cluster.by(ALICE);
            let changes = JobChanges { cpus_per_task: Some(1), ..JobChanges::default() };
            cluster.send(Command::UpdateJob { by, job: JobId(2), changes: Box::new(changes) });
        }),
    ];
    for (what, change) in changes {
        let (mut cluster, mut pass) = full();
        change(&mut cluster);
        assert!(!holds(&mut pass, &cluster), "{what}");
    }
}

#[test]
fn room_in_an_array_calls_for_another_pass() {
    let mut cluster = Cluster::new(1);
    let limited = ArraySpec::parse("0-9%1", MAX_ARRAY_SIZE).expect("it is well formed");
    let array = cluster.submit_to(1, |spec| spec.array = Some(Arc::new(limited)));
    let start = sched::plan(&cluster.state(), cluster.now).starts.remove(0);
    cluster.send(Command::Allocate(start));
    cluster.submit(4);
    let mut pass = pass(&cluster);
    assert!(holds(&mut pass, &cluster));
    // What is said of the task that runs touches nothing that stands in a queue.
    let job = cluster.state().tasks.get(array, 0).expect("it has a job of its own");
    let changes = JobChanges { array_limit: Some(2), ..JobChanges::default() };
    let by = cluster.by(ALICE);
    cluster.send(Command::UpdateJob { by, job, changes: Box::new(changes) });
    assert!(!holds(&mut pass, &cluster));
}

#[test]
fn a_moment_that_was_waited_for_calls_for_another_pass() {
    let mut cluster = Cluster::new(1);
    let begin = cluster.now + Span::from_seconds(60);
    cluster.submit_to(1, |spec| spec.begin = Some(begin));
    let mut pass = pass(&cluster);
    assert!(holds(&mut pass, &cluster));
    assert_eq!(pass.sleep(cluster.now), LONGEST_SLEEP);
    cluster.now = begin - Span(300);
    assert!(holds(&mut pass, &cluster));
    assert_eq!(pass.sleep(cluster.now), Duration::from_millis(300));
    cluster.now = begin;
    assert!(!holds(&mut pass, &cluster));
}

#[test]
fn a_partition_that_was_not_closed_is_open_to_whoever_comes() {
    let mut cluster = Cluster::new(1);
    let mut pass = pass(&cluster);
    assert!(holds(&mut pass, &cluster));
    cluster.submit(1);
    assert!(!holds(&mut pass, &cluster));
}

#[test]
fn equal_states_need_no_shared_memory() {
    let (cluster, mut pass) = full();
    let mut rebuilt = cluster.state();
    rebuilt.rebuild();
    rebuilt.jobs = rebuilt.jobs.iter().map(|(id, job)| (*id, Arc::new(Job::clone(job)))).collect();
    assert!(pass.still_holds(&rebuilt, cluster.now));
}

/// A full cluster where small jobs go first, with one of two CPUs that waits.
fn weighed() -> (Cluster, Pass) {
    let mut cluster = Cluster::new(1);
    let mut config = cluster.state().config.as_deref().expect("it is configured").clone();
    for (key, value) in [("PriorityWeightJobSize", "1000"), ("PriorityFavorSmall", "yes")] {
        config.settings.insert(key.to_owned(), value.to_owned());
    }
    cluster.send(Command::SetConfig { config: Arc::new(config) });
    let first = cluster.submit(4);
    cluster.allocate(first, "n1", 4);
    cluster.submit(2);
    let pass = pass(&cluster);
    (cluster, pass)
}

#[test]
fn whose_factors_put_it_behind_changes_nothing() {
    let (mut cluster, mut pass) = weighed();
    for _ in 0..10 {
        cluster.submit(4);
        assert!(holds(&mut pass, &cluster));
    }
    cluster.submit(1);
    assert!(!holds(&mut pass, &cluster), "it goes first");
}

#[test]
fn what_was_looked_at_by_its_factors_is_looked_at_again_when_it_changes() {
    let (mut cluster, mut pass) = weighed();
    let job = cluster.submit(4);
    assert!(holds(&mut pass, &cluster));
    cluster.cancel(job);
    assert!(holds(&mut pass, &cluster));
    cluster.cancel(JobId(2));
    assert!(!holds(&mut pass, &cluster));
}

#[test]
fn factors_are_worked_out_again_after_a_while() {
    let (mut cluster, mut pass) = weighed();
    cluster.now = cluster.now + Span::from_seconds(299);
    assert!(holds(&mut pass, &cluster));
    cluster.now = cluster.now + Span::from_seconds(1);
    assert!(!holds(&mut pass, &cluster), "PriorityCalcPeriod is over");
}
