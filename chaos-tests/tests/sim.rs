//! Whole clusters from seeds: `SEED=7` tries one, `SEEDS=1000` as many, from `FROM` on.

use std::time::Instant;

use chaos_tests::sim::{Failure, Options, campaign, options, try_run};

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// Says what led to a failure, and how to see it again.
fn fail(failure: &Failure) -> ! {
    let Failure { seed, what, lines } = failure;
    for line in lines {
        eprintln!("{line}");
    }
    panic!("an invariant does not hold; the lines above led to it\nSEED={seed}: {what}");
}

#[test]
fn no_seed_breaks_a_cluster() {
    if let Some(seed) = number("SEED") {
        let options = Options { keep_trace: true, ..options(seed) };
        let outcome = try_run(seed, options).unwrap_or_else(|failure| fail(&failure));
        println!("seed {seed}: nothing is wrong; {} lines", outcome.trace.count());
        return;
    }
    let from = number("FROM").unwrap_or(0);
    let seeds = from..from + number("SEEDS").unwrap_or(400);
    let began = Instant::now();
    let totals = campaign(seeds).unwrap_or_else(|failure| fail(&failure));
    // Each run must have been a run: leaders that changed, jobs that were taken in and that ran.
    let (runs, acknowledged) = (totals.runs, totals.acknowledged);
    let least = 10 * usize::try_from(runs).expect("small");
    assert!(acknowledged > least && totals.launches > least, "{totals:?}");
    assert!(runs < 50 || totals.preempted > 0, "nobody made way in any of {runs} runs");
    let hours = totals.simulated_ms as f64 / 3_600_000.0;
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    println!(
        "{runs} seeds: {hours:.1} simulated hours ({:.0} a minute), {} terms, {} entries, \
         {acknowledged} jobs acknowledged, {} launches, {} made way, {} reads, {} stores replaced",
        hours / minutes,
        totals.terms,
        totals.entries,
        totals.launches,
        totals.preempted,
        totals.reads,
        totals.replaced
    );
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    let traced = |seed| {
        let options = Options { keep_trace: true, ..options(seed) };
        let outcome = try_run(seed, options).unwrap_or_else(|failure| fail(&failure));
        outcome.trace.lines().join("\n")
    };
    for seed in [2, 7] {
        let (one, other) = (traced(seed), traced(seed));
        assert!(one.lines().count() > 100, "something happened");
        assert_eq!(one, other);
    }
    assert_ne!(traced(2), traced(6), "seeds differ");
}
