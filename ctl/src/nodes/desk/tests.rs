use common::{
    id::UserId,
    job::{ExitStatus, SignalScope},
    machine::{Command, Report},
};

use super::*;
use crate::fixture::{Cluster, run};

fn n1() -> NodeName {
    NodeName::from("n1")
}

fn launch(job: JobId) -> Order {
    Order::Launch { job, attempt: Attempt::FIRST }
}

fn release(job: JobId) -> Order {
    Order::Release { job, attempt: Attempt::FIRST }
}

/// A cluster with a desk at which both its nodes are attached, with nothing on their disks.
fn attached() -> (Cluster, Desk) {
    let cluster = Cluster::new(2);
    let mut desk = Desk::new(cluster.state());
    for (stream, node) in [(1, n1()), (2, NodeName::from("n2"))] {
        assert_eq!(desk.attach(&node, stream, Seen::new(), cluster.now), []);
    }
    (cluster, desk)
}

fn follow(desk: &mut Desk, cluster: &Cluster) -> Vec<Order> {
    desk.follow(cluster.state(), cluster.now).into_iter().map(|(_, order)| order).collect()
}

#[test]
fn a_run_is_ordered_once_and_released_once_the_log_has_its_end() {
    let (mut cluster, mut desk) = attached();
    let job = cluster.submit(1);
    assert_eq!(follow(&mut desk, &cluster), [], "nothing is held yet");
    cluster.allocate(job, "n1", 1);
    let given = desk.follow(cluster.state(), cluster.now);
    assert_eq!(given, [(n1(), launch(job))]);
    assert_eq!(desk.sweep(cluster.now), [], "it was told");

    for (stage, report) in
        [(SeenStage::Launching, Report::Launching), (SeenStage::Running, Report::Running)]
    {
        assert_eq!(desk.hear(&n1(), 1, run(job), stage, cluster.now), []);
        cluster.report("n1", job, report);
        assert_eq!(follow(&mut desk, &cluster), []);
    }
    // The node says that it is over. Until the log has it, the node must keep it.
    assert_eq!(desk.hear(&n1(), 1, run(job), SeenStage::Over, cluster.now), []);
    cluster.ends("n1", job);
    assert_eq!(follow(&mut desk, &cluster), [release(job)]);
    assert_eq!(desk.sweep(cluster.now), [], "released once");
}

#[test]
fn an_order_without_effect_is_given_again_after_a_while() {
    let (mut cluster, mut desk) = attached();
    let job = cluster.submit(1);
    cluster.allocate(job, "n1", 1);
    assert_eq!(follow(&mut desk, &cluster), [launch(job)]);
    cluster.now = cluster.now + Span(AGAIN.0 - 1);
    assert_eq!(desk.sweep(cluster.now), []);
    cluster.now = cluster.now + Span(1);
    assert_eq!(desk.sweep(cluster.now), [(n1(), launch(job))]);
}

#[test]
fn a_fresh_stream_is_told_what_its_list_lacks() {
    let (mut cluster, mut desk) = attached();
    let (lacks, has, strange) = (cluster.submit(1), cluster.submit(1), JobId(77));
    cluster.allocate(lacks, "n1", 1);
    cluster.allocate(has, "n1", 1);
    assert_eq!(follow(&mut desk, &cluster), [launch(lacks), launch(has)]);
    let seen = Seen::from([
        (run(has), SeenStage::Running),
        (run(strange), SeenStage::Running),
        (run(JobId(78)), SeenStage::Over),
    ]);
    let at = cluster.state().at;
    let stale = Order::Terminate { job: strange, attempt: Attempt::FIRST, cause: Cause::Stale, at };
    let given = desk.attach(&n1(), 9, seen, cluster.now);
    assert_eq!(given, [stale, release(JobId(78)), launch(lacks)]);
}

#[test]
fn what_a_node_lists_and_has_not_begun_is_ordered_again() {
    let (mut cluster, mut desk) = attached();
    let (job, strange) = (cluster.submit(1), JobId(77));
    cluster.allocate(job, "n1", 1);
    follow(&mut desk, &cluster);
    cluster.report("n1", job, Report::Launching);
    follow(&mut desk, &cluster);
    let listed = |job| (run(job), Report::Launching.listed());
    let seen = Seen::from([listed(job), listed(strange)]);
    let at = cluster.state().at;
    let stale = Order::Terminate { job: strange, attempt: Attempt::FIRST, cause: Cause::Stale, at };
    assert_eq!(desk.attach(&n1(), 9, seen, cluster.now), [stale, launch(job)]);
    assert_eq!(desk.hear(&n1(), 9, run(job), SeenStage::Launching, cluster.now), []);
    assert_eq!(desk.hear(&n1(), 9, run(strange), SeenStage::Over, cluster.now), [release(strange)]);
    assert_eq!(desk.sweep(cluster.now + AGAIN), [], "it begins");
}

#[test]
fn only_the_newest_stream_of_a_node_counts() {
    let (mut cluster, mut desk) = attached();
    let job = cluster.submit(1);
    cluster.allocate(job, "n1", 1);
    follow(&mut desk, &cluster);
    desk.attach(&n1(), 9, Seen::new(), cluster.now);
    // What the old stream still says, and that it ends, must not touch the new one.
    assert_eq!(desk.hear(&n1(), 1, run(job), SeenStage::Over, cluster.now), []);
    desk.detach(&n1(), 1);
    cluster.ends("n1", job);
    assert_eq!(follow(&mut desk, &cluster), [], "the newest stream has not seen the run");
    desk.detach(&n1(), 9);
    let next = cluster.submit(1);
    cluster.allocate(next, "n1", 1);
    assert_eq!(follow(&mut desk, &cluster), [], "nobody is there to be told");
}

#[test]
fn a_cancelled_run_is_terminated_and_a_signal_sent_until_it_is_delivered() {
    let (mut cluster, mut desk) = attached();
    let job = cluster.submit(1);
    cluster.allocate(job, "n1", 1);
    follow(&mut desk, &cluster);
    desk.hear(&n1(), 1, run(job), SeenStage::Running, cluster.now);
    cluster.report("n1", job, Report::Running);
    let by = cluster.by(UserId(1001));
    let signal = Some((10, SignalScope::Batch));
    cluster.send(Command::Cancel { by, job, signal });
    let attempt = Attempt::FIRST;
    let scope = SignalScope::Batch;
    let order = Order::Signal { job, attempt, number: 1, signal: 10, scope };
    assert_eq!(follow(&mut desk, &cluster), [order]);
    cluster.report("n1", job, Report::Delivered { number: 1 });
    cluster.now = cluster.now + Span(2 * AGAIN.0);
    assert_eq!(follow(&mut desk, &cluster), []);
    cluster.cancel(job);
    let at = cluster.now;
    let order = Order::Terminate { job, attempt, cause: Cause::Cancelled, at };
    assert_eq!(follow(&mut desk, &cluster), [order]);
}

/// The desk looks at the nodes that a change concerns; whatever it skips must have nothing to say.
#[test]
fn following_finds_what_a_look_at_all_nodes_finds() {
    let (mut cluster, mut desk) = attached();
    let mut given = Vec::new();
    for step in 0..40_u64 {
        let job = cluster.submit(1);
        let node = if step % 3 == 0 { "n2" } else { "n1" };
        if step % 5 != 4 && cluster.state().nodes[&NodeName::from(node)].free().cpus > 0 {
            cluster.allocate(job, node, 1);
        }
        given.extend(desk.follow(cluster.state(), cluster.now));
        let held: Vec<_> =
            cluster.state().holding.iter().map(|(n, j)| (n.clone(), j.clone())).collect();
        for (node, jobs) in held {
            if let Some(job) = jobs.get_min().filter(|_| step % 2 == 0) {
                let stream = if node == n1() { 1 } else { 2 };
                given.extend(
                    desk.hear(&node, stream, run(*job), SeenStage::Over, cluster.now)
                        .into_iter()
                        .map(|order| (node.clone(), order)),
                );
                let exit = ExitStatus::default();
                let report = Report::Ended { at: cluster.now, exit, out_of_memory: false };
                cluster.report(node.as_str(), *job, report);
            }
        }
        given.extend(desk.follow(cluster.state(), cluster.now));
        assert_eq!(desk.sweep(cluster.now), [], "step {step}: a change was passed over");
    }
    let released = given.iter().filter(|(_, order)| matches!(order, Order::Release { .. }));
    assert!(released.count() > 10, "the story has too little in it");
}

#[test]
fn a_requeued_run_is_released_and_its_next_attempt_is_another_order() {
    let (mut cluster, mut desk) = attached();
    let job = cluster.submit(1);
    cluster.allocate(job, "n1", 1);
    follow(&mut desk, &cluster);
    desk.hear(&n1(), 1, run(job), SeenStage::Running, cluster.now);
    cluster.report("n1", job, Report::Running);
    let by = cluster.by(UserId(1001));
    cluster.send(Command::Requeue { by, job, hold: false });
    let at = cluster.now;
    let cause = Cause::Requeue;
    let order = Order::Terminate { job, attempt: Attempt::FIRST, cause, at };
    assert_eq!(follow(&mut desk, &cluster), [order]);
    desk.hear(&n1(), 1, run(job), SeenStage::Over, cluster.now);
    cluster.ends("n1", job);
    assert!(cluster.state().jobs[&job].is_pending(), "it waits for its next run");
    assert_eq!(follow(&mut desk, &cluster), [release(job)]);
    cluster.now = cluster.now + Span::from_seconds(200);
    cluster.allocate(job, "n1", 1);
    assert_eq!(follow(&mut desk, &cluster), [Order::Launch { job, attempt: Attempt(2) }]);
}
