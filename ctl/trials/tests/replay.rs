//! Logs of a few jobs, whose starts and figures were computed by hand.

use trials::{
    replay::{self, Order, Sample},
    swf::{self, Log},
};

fn log(text: &str) -> Log {
    swf::parse(text).expect("it is in the format")
}

#[test]
fn a_short_job_passes_and_an_early_end_is_used() {
    let log = log(include_str!("early.swf"));
    assert_eq!((log.jobs.len(), log.processors, log.skipped), (4, 4, 1));
    assert_eq!(replay::play(&log, Order::Fcfs).starts, [0, 10, 20, 20]);
    assert_eq!(replay::play(&log, Order::Easy).starts, [0, 10, 2, 20]);
    assert_eq!(replay::play(&log, Order::Conservative).starts, [0, 10, 2, 20]);
}

#[test]
fn conservative_backfill_delays_nobody_and_easy_the_third() {
    let log = log(include_str!("third.swf"));
    assert_eq!(replay::play(&log, Order::Fcfs).starts, [0, 10, 20, 30, 30]);
    assert_eq!(replay::play(&log, Order::Easy).starts, [0, 10, 33, 3, 3]);
    assert_eq!(replay::play(&log, Order::Conservative).starts, [0, 10, 20, 30, 3]);
}

#[test]
fn figures_are_those_of_the_definitions() {
    let log = log(include_str!("early.swf"));
    let played = replay::play(&log, Order::Fcfs);
    let figures = replay::figures(&log, &played);
    let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-9, "{value}");
    assert_eq!(figures.jobs, 4);
    // Waits of 0, 9, 18 and 17 s; runs of 10, 10, 5 and 30 s.
    near(figures.mean_wait, 44.0 / 4.0);
    near(figures.mean_flow, 99.0 / 4.0);
    near(figures.mean_bounded_slowdown, (1.0 + 1.9 + 2.3 + 47.0 / 30.0) / 4.0);
    // 30, 40, 5 and 30 processor seconds, of 4 processors for 50 s.
    near(figures.utilisation, 105.0 / 200.0);
    let busy = |at| {
        let sample = |sample: &&Sample| sample.at == at;
        played.samples.iter().rev().find(sample).map(|sample| (sample.busy, sample.queued))
    };
    assert_eq!(
        [busy(0), busy(3), busy(20), busy(25)],
        [Some((3, 0)), Some((3, 3)), Some((2, 0)), Some((1, 0)),]
    );
}
