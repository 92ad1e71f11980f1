//! Three controllers, and what happens when one is gone.

use std::time::{Duration, Instant};

use crate::{
    story::Head,
    world::{BOUND, World},
};

#[test]
fn all_follow_the_log() {
    let (world, mut head) = World::three(|_| {});
    let (entry, _) = head.submit("#!/bin/sh\nsleep 1\n");
    let index = world.append(0, &head, &[entry]).expect("appended");
    for node in 0..3 {
        assert_eq!(world.applied(node, index), head.state);
    }
    let script = head.state.jobs.values().next().expect("a job").spec.script;
    let content = world.log(2).blob(script).unwrap();
    assert_eq!(content.expect("each has the contents"), "#!/bin/sh\nsleep 1\n");
    let names: Vec<_> = world.log(1).members().into_iter().map(|m| (m.name, m.voter)).collect();
    let expected = ["ctl1", "ctl2", "ctl3"].map(|name| (name.to_owned(), true));
    assert_eq!(names, expected);
    assert!(world.log(0).progress().iter().all(|progress| progress.reachable));
    assert_eq!(world.log(1).progress(), []);
}

#[test]
fn the_largest_submission_behind_a_full_batch_reaches_the_others() {
    let (world, mut head) = World::three(|_| {});
    // A message of a user's has 64 MiB at most, and a batch is full from 1 MiB on.
    let (entry, job) = head.submit_large(65 << 20);
    let index = world.append(0, &head, &entry).expect("appended");
    for node in 0..3 {
        assert!(world.applied(node, index).job(job).is_some());
    }
}

#[test]
fn another_one_leads_when_the_leader_dies_and_nothing_is_lost() {
    let (mut world, mut head) = World::three(|_| {});
    let (entry, job) = head.submit("true");
    world.append(0, &head, &[entry]).expect("appended");
    world.nodes[0].kill();
    let killed = Instant::now();
    let leader = world.leader();
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    let mut head = world.lead(leader);
    assert!(head.state.job(job).is_some(), "it was acknowledged");
    let (entry, second) = head.submit("true");
    let index = world.append(leader, &head, &[entry]).expect("two are a majority");
    // The one that was away follows again.
    world.start(0);
    assert!(world.applied(0, index).job(second).is_some());
    assert_eq!(world.applied(0, index), head.state);
}

#[test]
fn a_leader_without_a_majority_acknowledges_nothing() {
    let (mut world, mut head) = World::three(|_| {});
    world.nodes[1].kill();
    world.nodes[2].kill();
    let (entry, job) = head.submit("true");
    let log = world.log(0);
    let batch = proto::convert::encode_batch(&[entry]);
    let append = log.append(batch, head.state.term.0);
    let read = world.run(0, async { log.read_index().await });
    assert!(read.is_err(), "nobody confirms that it leads: {read:?}");
    assert!(log.applied().state.job(job).is_none());
    // With the others back, the entry either counts or is lost; it is told which.
    world.start(1);
    let told = world.run(0, append);
    let leader = world.leader();
    let head = world.lead(leader);
    if told.is_ok() {
        assert!(head.state.job(job).is_some(), "it was acknowledged");
    }
}

#[test]
fn leadership_is_handed_over_at_once() {
    let (world, head) = World::three(|_| {});
    let began = Instant::now();
    world.run(0, world.log(0).hand_over()).expect("handed over");
    let leader = world.leader();
    assert_ne!(leader, 0);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(world.log(leader).leadership().borrow().term > head.state.term.0);
    world.until(0, |known| known.leader.is_some() && !known.ready);
}

#[test]
fn a_leader_that_gives_up_while_alone_comes_back_in_another_term() {
    let (mut world, head) = World::three(|_| {});
    let term = head.state.term.0;
    world.nodes[1].kill();
    world.nodes[2].kill();
    world.run(0, async { world.log(0).campaign() });
    world.until(0, |known| known.term > term && !known.ready);
    world.start(1);
    let leader = world.leader();
    assert!(world.log(leader).leadership().borrow().term > term);
}

#[test]
fn a_leader_without_a_majority_steps_down_though_it_has_nothing_to_append() {
    let (mut world, head) = World::three(|_| {});
    let term = head.state.term.0;
    assert!(!World::settled(|| !world.log(0).leadership().borrow().ready), "it leads undisturbed");
    world.nodes[1].kill();
    world.nodes[2].kill();
    world.until(0, |known| known.term > term && !known.ready);
    world.start(1);
    let leader = world.leader();
    assert!(world.log(leader).leadership().borrow().term > term);
}

#[test]
fn any_controller_answers_reads_that_miss_nothing() {
    let (world, mut head) = World::three(|_| {});
    for _ in 0..20 {
        let (entry, job) = head.submit("true");
        world.append(0, &head, &[entry]).expect("appended");
        for node in 0..3 {
            let applied = world.run(node, world.log(node).read_barrier()).expect("a leader");
            assert!(applied.state.job(job).is_some(), "node {node} misses {job}");
        }
    }
}

#[test]
fn a_reader_is_told_that_there_is_no_leader() {
    let (mut world, _) = World::three(|_| {});
    world.nodes[0].kill();
    world.nodes[1].kill();
    let log = world.log(2);
    let deadline = Instant::now() + BOUND;
    while world.run(2, log.read_barrier()).is_ok() {
        assert!(Instant::now() < deadline, "it still answers");
    }
}

#[test]
fn many_batches_in_flight_keep_their_order() {
    let (world, mut head) = World::three(|_| {});
    let log = world.log(0);
    let appends: Vec<_> = (0..500)
        .map(|_| {
            let (entry, _) = head.submit("true");
            log.append(proto::convert::encode_batch(&[entry]), head.state.term.0)
        })
        .collect();
    let indexes = world.run(0, async {
        let mut indexes = Vec::new();
        for append in appends {
            indexes.push(append.await.expect("appended"));
        }
        indexes
    });
    assert!(indexes.is_sorted(), "{indexes:?}");
    let last = *indexes.last().expect("some");
    for node in 0..3 {
        assert_eq!(world.applied(node, last), head.state);
    }
    assert_eq!(Head::new(log.applied().state.clone(), 1).state.jobs.len(), 500);
}
