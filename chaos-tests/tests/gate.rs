//! The simulator is held against known bugs: each is planted, and must be caught.
//!
//! `cargo xtask sim --gate` runs it. `BUG=name` tries one. The table that it prints stands in
//! `BUGS.md`.
#![cfg(feature = "planted")]

use std::time::Instant;

use chaos_tests::sim::{Failure, campaign};
use common::planted::{Bug, plant, pull};

/// Within how many seeds each is caught: eight times as many as it takes on average, or more, since
/// whatever changes what a seed leads to changes that, too.
const BOUNDS: [(Bug, u64); 15] = [
    (Bug::SkipFsync, 20),
    (Bug::AcknowledgeBeforeCommit, 60),
    (Bug::IgnoreAttempt, 400),
    (Bug::IgnoreTerm, 60),
    (Bug::NoGrace, 20),
    (Bug::StaleReads, 20),
    (Bug::LaunchBeforeIntent, 80),
    (Bug::DropCompletion, 20),
    (Bug::DoubleApply, 20),
    (Bug::SkipUndecodable, 30),
    (Bug::ReuseIds, 250),
    (Bug::ClockInApply, 20),
    (Bug::ForgetRequests, 30),
    (Bug::ForgetRefusals, 500),
    (Bug::IgnoreIncarnation, 400),
];

#[test]
fn each_planted_bug_is_caught() {
    assert_eq!(BOUNDS.map(|(bug, _)| bug), Bug::ALL, "each is tried");
    let only = std::env::var("BUG").ok();
    let (mut missed, mut seeds) = (Vec::new(), 0);
    println!("| bug | seeds, at most | until caught | seconds | what caught it |");
    println!("|---|---|---|---|---|");
    for (bug, bound) in BOUNDS {
        let name = bug.name();
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        plant(bug);
        let began = Instant::now();
        let outcome = campaign(0..bound);
        let seconds = began.elapsed().as_secs_f64();
        pull();
        match outcome {
            Err(failure) => {
                let Failure { seed, what, .. } = *failure;
                seeds = seeds.max(seed + 1);
                let what = what.lines().next().unwrap_or_default();
                let what = what.split_once(" failed: ").map_or(what, |(_, words)| words);
                let what = what.rsplit_once(" (").map_or(what, |(words, _place)| words);
                println!("| `{name}` | {bound} | {} | {seconds:.1} | {what} |", seed + 1);
            }
            Ok(_) => {
                println!("| `{name}` | {bound} | missed | {seconds:.1} | |");
                missed.push(name);
            }
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
    // What was caught was caught for what was planted.
    if let Err(failure) = campaign(0..seeds) {
        panic!("nothing is planted, and seed {} fails: {}", failure.seed, failure.what);
    }
}
