//! The simulator is held against known bugs: each that it can see is planted, and must be caught.
//!
//! `cargo xtask sim --gate` runs it. `BUG=name` tries one.
#![cfg(feature = "planted")]

use std::time::Instant;

use chaos_tests::sim::{Failure, campaign};
use common::planted::{Bug, plant, pull};

/// Within how many seeds each is caught.
const BOUNDS: &[(Bug, u64)] = &[
    (Bug::SkipFsync, 100),
    (Bug::AcknowledgeBeforeCommit, 100),
    (Bug::IgnoreAttempt, 100),
    (Bug::IgnoreTerm, 100),
    (Bug::NoGrace, 100),
    (Bug::StaleReads, 100),
    (Bug::LaunchBeforeIntent, 100),
    (Bug::DropCompletion, 100),
    (Bug::DoubleApply, 100),
    (Bug::SkipUndecodable, 100),
    (Bug::ReuseIds, 100),
    (Bug::ClockInApply, 100),
    (Bug::ForgetRequests, 100),
    (Bug::IgnoreIncarnation, 100),
];

#[test]
fn each_planted_bug_is_caught() {
    let only = std::env::var("BUG").ok();
    let mut missed = Vec::new();
    println!("| bug | seeds | seconds | what caught it |\n|---|---|---|---|");
    for (bug, bound) in BOUNDS {
        if only.as_ref().is_some_and(|only| only != bug.name()) {
            continue;
        }
        plant(*bug);
        let began = Instant::now();
        let outcome = campaign(0..*bound);
        let seconds = began.elapsed().as_secs_f64();
        pull();
        match outcome {
            Err(failure) => {
                let Failure { seed, what, .. } = *failure;
                let what = what.lines().next().unwrap_or_default().to_owned();
                println!("| {} | {} | {seconds:.1} | {what} |", bug.name(), seed + 1);
            }
            Ok(_) => {
                println!("| {} | - | {seconds:.1} | not caught in {bound} seeds |", bug.name());
                missed.push(bug.name());
            }
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
