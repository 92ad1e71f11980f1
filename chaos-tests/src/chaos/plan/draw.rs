//! A plan from a seed.

use std::time::Duration;

use fastrand::Rng;

use super::{Plan, Shape, Step, What, Whom};

/// The time between two beginnings, on average.
const PACE: Duration = Duration::from_millis(3_500);

/// Before the first fault, and after the last: a cluster at peace has something to lose.
const CALM: Duration = Duration::from_secs(3);

/// How often what is drawn.
type Odds = (u32, fn(&mut Rng) -> What);

const CONTROLLERS: &[Odds] = &[
    (16, |_| What::Kill),
    (12, |_| What::Pause),
    (24, |rng| What::Cut(shape(rng))),
    (5, |_| What::Loss),
    (5, |_| What::Slow),
    (8, |rng| What::Clock(jump(rng))),
    (3, |_| What::Expiry),
    (5, |_| What::Full),
    (5, |_| What::SyncError),
    (6, |rng| What::SyncStall(rng.i32(20..400))),
    (10, |_| What::Power),
    (4, |_| What::Memory),
    (5, |_| What::Replace),
    (6, |_| What::Restart),
    (5, |_| What::Takeover),
];

const NODES: &[Odds] = &[
    (8, |_| What::Kill),
    (5, |_| What::Pause),
    (5, |_| What::Cut(Shape::All)),
    (3, |_| What::Cut(Shape::Deaf)),
    (3, |_| What::Cut(Shape::Mute)),
    (2, |_| What::Loss),
    (2, |_| What::Slow),
    (3, |rng| What::Clock(jump(rng))),
    (2, |_| What::Expiry),
    (2, |_| What::Full),
    (2, |_| What::SyncError),
    (2, |rng| What::SyncStall(rng.i32(20..400))),
    (4, |_| What::Power),
    (3, |_| What::Restart),
];

/// The plan of a seed, for a run of that length.
pub(in super::super) fn draw(seed: u64, whole: Duration) -> Plan {
    let mut rng = Rng::with_seed(seed);
    let (mut steps, mut at) = (Vec::new(), CALM);
    while at + CALM < whole {
        let step = one(&mut rng, at, whole.saturating_sub(at));
        steps.push(step);
        at += PACE.mul_f64(0.1 + 1.8 * rng.f64());
    }
    Plan { steps }
}

fn one(rng: &mut Rng, at: Duration, left: Duration) -> Step {
    let on_node = rng.u32(0..100) < 28;
    let what = choose(rng, if on_node { NODES } else { CONTROLLERS });
    let whom = match rng.u32(0..100) {
        _ if on_node => Whom::Node,
        // Nobody else has anything to hand over.
        _ if what == What::Takeover => Whom::Leader,
        0..5 if matches!(what, What::Kill | What::Power | What::Restart | What::Pause) => {
            Whom::Controllers
        }
        0..60 => Whom::Leader,
        _ => Whom::Follower,
    };
    let seconds = match what {
        What::Restart | What::Takeover => 1.0,
        // Longer than a node may be silent, now and then.
        What::Cut(_) | What::Pause | What::Power if on_node => 2.0 + 30.0 * rng.f64().powi(2),
        What::Kill
        | What::Pause
        | What::Cut(_)
        | What::Loss
        | What::Slow
        | What::Clock(_)
        | What::Expiry
        | What::Full
        | What::SyncError
        | What::SyncStall(_)
        | What::Power
        | What::Memory
        | What::Replace => 0.5 + 9.0 * rng.f64().powi(2),
    };
    // To the tenth, as it is written.
    let seconds = (seconds.min(left.as_secs_f64()) * 10.0).floor() / 10.0;
    let at = (at.as_secs_f64() * 10.0).floor() / 10.0;
    let (at, lasts) = (Duration::from_secs_f64(at), Duration::from_secs_f64(seconds));
    Step { at, lasts, what, whom }
}

fn choose(rng: &mut Rng, table: &[Odds]) -> What {
    let all: u32 = table.iter().map(|(odds, _)| odds).sum();
    let mut drawn = rng.u32(0..all);
    for (odds, what) in table {
        match drawn.checked_sub(*odds) {
            Some(left) => drawn = left,
            None => return what(rng),
        }
    }
    unreachable!("what is drawn is less than the sum")
}

fn shape(rng: &mut Rng) -> Shape {
    let all = [
        Shape::All,
        Shape::Peers,
        Shape::Peers,
        Shape::Minority,
        Shape::Minority,
        Shape::Majority,
        Shape::Deaf,
        Shape::Mute,
        Shape::Bridge,
    ];
    all[rng.usize(0..all.len())]
}

/// Mostly minutes; now and then longer than certificates last.
fn jump(rng: &mut Rng) -> i64 {
    let size = if rng.u32(0..8) == 0 { 100_000 } else { rng.i64(1..900) };
    if rng.bool() { size } else { -size }
}
