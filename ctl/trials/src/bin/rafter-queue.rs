//! `rafter-queue PENDING`: what planning a long queue on ten thousand nodes costs. `cargo xtask
//! bench` runs it; it prints one JSON object. Times are seconds of one thread's processor.
//!
//! `rafter-queue --words JOBS`: such nodes and jobs in the words of `slurm.conf` and `sbatch`.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, bail};
use common::machine::State;
use fastrand::Rng;
use nix::time::ClockId;
use sched::{standing::Standing, timeline::Timeline};
use serde_json::{Value, json};
use trials::mix::{self, Cluster, Job};

/// Hundreds of nodes.
const HUNDREDS: usize = 100;
const EVENTS: u64 = 300;
/// Beyond it, a state of so many jobs costs more memory than there is to spare.
const STATE_MOST: u32 = 200_000;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let pending: u32 = match words.as_slice() {
        [pending] => pending.parse().context("PENDING")?,
        [words, jobs] if words == "--words" => return in_words(jobs.parse().context("JOBS")?),
        _ => bail!("usage: rafter-queue PENDING, or rafter-queue --words JOBS"),
    };
    let mut random = Rng::with_seed(7);
    let cluster = Cluster::full(HUNDREDS, 0, &mut random);
    let queue: Vec<Job> = (0..pending).map(|_| mix::job(&mut random)).collect();

    let before = resident()?;
    let (set_up, timeline) = timed(|| cluster.timeline())?;
    let (conservative, (standing, started)) = timed(|| whole(timeline, &cluster, &queue))?;
    let memory = resident()?.saturating_sub(before);
    let planned = standing.planned();
    let (classes, slots) = (standing.timeline.classes(), standing.timeline.slots());
    let timeline_bytes = standing.timeline.bytes();
    let (easy_set_up, timeline) = timed(|| cluster.timeline())?;
    let (easy, backfilled) = timed(|| shadow(timeline, &queue))?;
    let events = events(standing, &cluster, &mut random)?;
    let after_ends = gone(&queue, &mut random)?;

    let state = match pending {
        ..=STATE_MOST => of_state(pending, &mut random)?,
        _ => Value::Null,
    };
    let result = json!({
        "pending": pending,
        "nodes": cluster.nodes.len(),
        "running": cluster.running.len(),
        "classes": classes,
        "slots": slots,
        "set_up_s": set_up.as_secs_f64(),
        "conservative_s": (set_up + conservative).as_secs_f64(),
        "started": started,
        "planned": planned,
        "easy_s": (easy_set_up + easy).as_secs_f64(),
        "backfilled": backfilled,
        "timeline_bytes": timeline_bytes,
        "resident_bytes": memory,
        "events": events,
        "third_gone_s": after_ends.0.as_secs_f64(),
        "third_gone_started": after_ends.1,
        "state": state,
    });
    println!("{result}");
    Ok(())
}

/// The same nodes and as long a queue as a state of the machine's.
fn of_state(pending: u32, random: &mut Rng) -> Result<Value> {
    let mut state = trials::state::state(HUNDREDS, pending, random);
    let plans = |state: &State| {
        let (whole, plan) = timed(|| sched::plan(state, trials::state::NOW))?;
        let (front, _) = timed(|| sched::plan_front(state, trials::state::NOW, 50))?;
        Ok::<_, anyhow::Error>((whole.as_secs_f64(), front.as_secs_f64(), plan))
    };
    let choosing = |change: fn(&mut State)| {
        let mut state = state.clone();
        change(&mut state);
        plans(&state)
    };
    let (whole, front, plan) = plans(&state)?;
    let tree = choosing(trials::state::join_by_switches)?;
    let level = choosing(trials::state::level)?;
    let last = *state.jobs.keys().next_back().context("there are jobs")?;
    let (why, _) = timed(|| sched::why::why(&state, trials::state::NOW, last))?;
    trials::state::weigh(&mut state);
    let (weighed, _) = timed(|| sched::plan_front(&state, trials::state::NOW, 50))?;
    Ok(json!({
        "why_s": why.as_secs_f64(),
        "weighed_front_s": weighed.as_secs_f64(),
        "whole_s": whole,
        "front_s": front,
        "tree_whole_s": tree.0,
        "tree_front_s": tree.1,
        "level_whole_s": level.0,
        "level_front_s": level.1,
        "starts": plan.starts.len(),
        "planned": plan.estimates.len(),
    }))
}

fn in_words(jobs: u32) -> Result<()> {
    let mut random = Rng::with_seed(7);
    let jobs: Vec<String> = (0..jobs).map(|_| mix::sbatch(&mix::job(&mut random))).collect();
    println!("{}", json!({ "nodes": mix::node_lines(HUNDREDS), "jobs": jobs }));
    Ok(())
}

/// What it takes of this thread's processor.
fn timed<T>(work: impl FnOnce() -> T) -> Result<(Duration, T)> {
    let clock = ClockId::CLOCK_THREAD_CPUTIME_ID;
    let began = Duration::from(clock.now()?);
    let result = work();
    Ok((Duration::from(clock.now()?).saturating_sub(began), result))
}

/// Bytes of this process that are in memory.
fn resident() -> Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').nth(1).context("statm has two numbers")?;
    Ok(pages.parse::<u64>()? * 4_096)
}

/// Conservative backfill over the whole queue. Says how many start now.
fn whole(timeline: Timeline, cluster: &Cluster, queue: &[Job]) -> (Standing, usize) {
    let now = cluster.now;
    let mut standing = Standing::new(timeline, now + mix::WINDOW);
    let mask = standing.timeline.mask(0..cluster.nodes.len());
    let mut started = 0;
    for (place, job) in (0..).zip(queue) {
        let class = mix::class(&mut standing.timeline, mask, job);
        started += usize::from(standing.submit(place, class).is_some_and(|start| start.at == now));
    }
    (standing, started)
}

/// EASY: nodes are kept for the first that waits, and all others are tried for now alone.
fn shadow(mut timeline: Timeline, queue: &[Job]) -> usize {
    let now = timeline.now();
    let mask = timeline.mask(0..mix::nodes(HUNDREDS).len());
    let (mut started, mut waits) = (0, false);
    for job in queue {
        let class = mix::class(&mut timeline, mask, job);
        let latest = if waits { now } else { u64::MAX };
        let Some(start) = timeline.earliest(class, latest) else { continue };
        timeline.book(class, &start);
        match start.at == now {
            true => started += 1,
            false => waits = true,
        }
    }
    started
}

/// The same pass where three runs of ten are gone, so that much can start.
fn gone(queue: &[Job], random: &mut Rng) -> Result<(Duration, usize)> {
    let cluster = Cluster::full(HUNDREDS, 30, random);
    let (took, (_, started)) = timed(|| whole(cluster.timeline(), &cluster, queue))?;
    Ok((took, started))
}

/// Single events on a plan that is kept: a job is submitted, or a run ends.
fn events(
    mut standing: Standing,
    cluster: &Cluster,
    random: &mut Rng,
) -> Result<serde_json::Value> {
    let mask = standing.timeline.mask(0..cluster.nodes.len());
    let mut running = cluster.running.clone();
    let (mut submitted, mut ended, mut started) = (Vec::new(), Vec::new(), 0);
    for event in 0..EVENTS {
        let job = mix::job(random);
        let (took, _) = timed(|| {
            let class = mix::class(&mut standing.timeline, mask, &job);
            standing.submit(u64::from(u32::MAX) + event, class)
        })?;
        submitted.push(took);
        let run = running.swap_remove(random.usize(0..running.len()));
        let (took, starts) = timed(|| standing.ended(&run))?;
        ended.push(took);
        started += starts.len();
    }
    Ok(json!({
        "submitted": spread(submitted),
        "ended": spread(ended),
        "started": started,
    }))
}

fn spread(mut times: Vec<Duration>) -> serde_json::Value {
    times.sort_unstable();
    let at = |hundredths: usize| times[(times.len() - 1) * hundredths / 100].as_secs_f64();
    json!({ "p50_s": at(50), "p99_s": at(99), "max_s": at(100) })
}
