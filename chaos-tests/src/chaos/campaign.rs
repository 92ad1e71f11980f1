//! Fault after fault on whoever leads, as fast as the cluster comes back.

use std::time::Duration;

use anyhow::{Result, bail};
use fastrand::Rng;

use super::{
    faults,
    plan::{Shape, Step, What, Whom},
    progress::Progress,
    world::World,
};
use crate::record::now;

/// How long the cluster may take to be whole again.
const BOUND: Duration = Duration::from_secs(90);

/// Puts `count` faults on leaders. Each is healed, a submission that began after it was
/// acknowledged, and all controllers have caught up, before the next.
///
/// # Errors
/// Where the cluster does not come back, or a signal comes.
pub(super) fn run(world: &World, count: u32, seed: u64, progress: &Progress) -> Result<()> {
    progress.phase("breaking leaders", None);
    let mut rng = Rng::with_seed(seed);
    for number in 1..=count {
        let Some(leader) = world.until(BOUND, || whole(world)) else {
            world.check()?;
            bail!("after {} faults the cluster has not come back", number - 1);
        };
        let step = step(&mut rng, &leader);
        if let Err(why) = faults::possible(world, step.what) {
            bail!("{step}: {why}");
        }
        let on = [leader.clone()];
        if !world.hold(&on) {
            continue;
        }
        let from = now();
        let put = faults::put(world, &step, &on);
        world.release(&on);
        put?;
        let acknowledged = || (world.notes.tally().submitted > from).then_some(());
        if world.until(BOUND, acknowledged).is_none() {
            world.check()?;
            world.notes.marvel(format!("after `{step}`, no submission was acknowledged"));
        }
        if number % 25 == 0 {
            progress.say(&format!("  {number} faults of {count}"));
        }
    }
    Ok(())
}

/// The leader, once all controllers are there and have what it has.
fn whole(world: &World) -> Option<String> {
    let status = world.monitor.status()?;
    let there = status.controllers.len() == world.controllers.len();
    let caught_up = status
        .controllers
        .iter()
        .all(|one| matches!(one.role.as_str(), "leader" | "follower") && one.lag < 50);
    let leader = world.monitor.leader()?;
    (there && caught_up && leader == status.leader).then_some(leader)
}

fn step(rng: &mut Rng, leader: &str) -> Step {
    let (what, seconds) = match rng.u32(0..100) {
        0..45 => (What::Kill, 0.0),
        45..65 => (What::Pause, 1.3),
        65..80 => (What::Cut(Shape::Peers), 1.3),
        80..90 => (What::Cut(Shape::All), 1.3),
        _ => (What::Power, 0.0),
    };
    let lasts = Duration::from_secs_f64(seconds);
    Step { at: Duration::ZERO, lasts, what, whom: Whom::Named(leader.to_owned()) }
}
