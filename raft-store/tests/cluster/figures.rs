//! Figures, not tests: `cargo test --release -p raft-store --test cluster figures -- --ignored
//! --nocapture` prints them.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream::FuturesOrdered};
use proto::convert::encode_batch;

use crate::world::World;

/// How long each figure is measured.
const SPAN: Duration = Duration::from_secs(5);

fn millis(sorted: &[Duration], share: f64) -> f64 {
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "a share of len")]
    let place = ((sorted.len() - 1) as f64 * share) as usize;
    sorted[place].as_secs_f64() * 1_000.0
}

/// Batches of one submission each, `ahead` of them on their way.
fn appends(world: &World, ahead: usize) {
    let mut head = world.lead(0);
    let log = world.log(0);
    let term = head.state.term.0;
    let (count, took, mut each) = world.run(0, async {
        let mut flights = FuturesOrdered::new();
        let (began, mut each) = (Instant::now(), Vec::new());
        loop {
            while flights.len() < ahead && began.elapsed() < SPAN {
                let (entry, _) = head.submit("#!/bin/sh\ntrue\n");
                let append = log.append(encode_batch(&[entry]), term);
                let sent = Instant::now();
                flights.push_back(async move { append.await.map(|_| sent.elapsed()) });
            }
            match flights.next().await {
                Some(done) => each.push(done.expect("appended")),
                None => return (each.len(), began.elapsed(), each),
            }
        }
    });
    each.sort_unstable();
    println!(
        "{ahead:>4} ahead: {:>8.0} batches/s, p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms, {} jobs",
        count as f64 / took.as_secs_f64(),
        millis(&each, 0.5),
        millis(&each, 0.99),
        millis(&each, 1.0),
        log.applied().state.jobs.len(),
    );
}

#[test]
#[ignore = "prints figures"]
fn batches_per_second() {
    let (world, _) = World::three(|_| {});
    for ahead in [1, 16, 64, 256] {
        appends(&world, ahead);
    }
}

#[test]
#[ignore = "prints figures"]
fn while_snapshots_are_taken() {
    let (world, _) = World::three(|options| options.snapshot_every = 10_000);
    for _ in 0..4 {
        appends(&world, 64);
    }
}

#[test]
#[ignore = "prints figures"]
fn reads_per_second() {
    let (world, _) = World::three(|_| {});
    for node in [0, 1] {
        for readers in [1, 16, 256] {
            let log = world.log(node);
            let count = world.run(node, async {
                let began = Instant::now();
                let reading = (0..readers).map(|_| async {
                    let mut count = 0;
                    while began.elapsed() < SPAN {
                        log.read_barrier().await.expect("a leader");
                        count += 1;
                    }
                    count
                });
                futures::future::join_all(reading).await.into_iter().sum::<u32>()
            });
            let rate = f64::from(count) / SPAN.as_secs_f64();
            println!("controller {node}, {readers:>3} readers: {rate:>8.0} reads/s");
        }
    }
}

#[test]
#[ignore = "prints figures"]
fn from_a_kill_to_the_next_acknowledgement() {
    let (mut world, _) = World::three(|_| {});
    let mut each = Vec::new();
    for _ in 0..20 {
        let old = world.leader();
        world.nodes[old].kill();
        let killed = Instant::now();
        let leader = world.leader();
        let elected = killed.elapsed();
        let mut head = world.lead(leader);
        let (entry, _) = head.submit("true");
        world.append(leader, &head, &[entry]).expect("appended");
        each.push(killed.elapsed());
        println!("elected after {elected:?}, acknowledged after {:?}", killed.elapsed());
        let index = world.log(leader).applied().index;
        world.start(old);
        world.applied(old, index);
    }
    each.sort_unstable();
    println!("p50 {:.0} ms, max {:.0} ms", millis(&each, 0.5), millis(&each, 1.0));
}
