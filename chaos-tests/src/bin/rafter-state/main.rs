//! `rafter-state JOBS FOLDER`: how fast a replica follows the log, how long a snapshot of its state
//! takes, and what that costs the appends beside it. `cargo xtask bench` runs it; it prints one
//! JSON object.
//!
//! The log is the one that a leader would make of so many jobs, each submitted, allocated,
//! launched, run and ended. Only the replica's side is timed.

mod leader;
mod stall;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use common::{
    id::Term,
    machine::{Entry, State},
};

use self::leader::Leader;

/// Jobs whose entries are made before they are applied, so that both fit into memory.
const CHUNK: u32 = 5_000;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [jobs, folder] = words.as_slice() else { bail!("usage: rafter-state JOBS FOLDER") };
    let (jobs, folder): (u32, _) = (jobs.parse().context("JOBS")?, PathBuf::from(folder));

    let mut leader = Leader::new(Term(1))?;
    let mut replica = State::default();
    let (mut apply, mut entries) = (Duration::ZERO, 0);
    let mut follow = |log: Vec<Entry>, timed: bool| {
        let started = Instant::now();
        for entry in &log {
            replica.apply(entry);
        }
        if timed {
            apply += started.elapsed();
            entries += log.len();
        }
    };
    follow(std::mem::take(&mut leader.log), false);
    for from in (0..jobs).step_by(CHUNK as usize) {
        for job in from..jobs.min(from + CHUNK) {
            leader.live(job)?;
        }
        follow(std::mem::take(&mut leader.log), true);
    }

    let started = Instant::now();
    let frozen = replica.clone();
    let clone = started.elapsed();
    let snapshot = raft_store::try_snapshot(&folder, &frozen)?;
    drop((frozen, replica, leader));
    let stall = stall::measure(jobs, &folder)?;
    let result = serde_json::json!({
        "jobs": jobs,
        "entries": entries,
        "apply_s": apply.as_secs_f64(),
        "clone_s": clone.as_secs_f64(),
        "write_s": snapshot.written.as_secs_f64(),
        "read_s": snapshot.read.as_secs_f64(),
        "bytes": snapshot.bytes,
        "before": stall.before.json(),
        "during": stall.during.json(),
    });
    println!("{result}");
    Ok(())
}
