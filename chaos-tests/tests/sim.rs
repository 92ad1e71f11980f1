//! Whole clusters in one thread, from seeds: `SEED=7` tries one, `SEEDS=1000` as many.

use std::time::Instant;

use chaos_tests::sim::{Options, run};

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// Every size of cluster has its turn.
fn options(seed: u64) -> Options {
    let controllers = [1, 3, 3, 5][usize::try_from(seed % 4).expect("small")];
    let nodes = 1 + usize::try_from(seed % 5).expect("small");
    Options { controllers, nodes, ..Options::default() }
}

#[test]
fn no_seed_breaks_a_cluster() {
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SEEDS").unwrap_or(60)).collect(),
    };
    let began = Instant::now();
    let (mut simulated_ms, mut terms, mut launches, mut acknowledged) = (0, 0, 0, 0);
    for seed in &seeds {
        let outcome = run(*seed, options(*seed));
        simulated_ms += outcome.simulated_ms;
        terms += outcome.terms;
        launches += outcome.launches;
        acknowledged += outcome.acknowledged;
    }
    // Each run must have been a run: leaders that changed, jobs that were taken in and that ran.
    let runs = seeds.len();
    assert!(acknowledged > 10 * runs && launches > 10 * runs, "{acknowledged}, {launches}");
    let hours = simulated_ms as f64 / 3_600_000.0;
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    println!(
        "{runs} seeds: {hours:.1} simulated hours ({:.0} a minute), {terms} terms, \
         {acknowledged} jobs acknowledged, {launches} launches",
        hours / minutes
    );
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    let traced = |seed| {
        let outcome = run(seed, Options { keep_trace: true, ..options(seed) });
        outcome.trace.lines().join("\n")
    };
    for seed in [2, 7] {
        let (one, other) = (traced(seed), traced(seed));
        assert!(one.lines().count() > 100, "something happened");
        assert_eq!(one, other);
    }
    assert_ne!(traced(2), traced(6), "seeds differ");
}
