//! The scheduler by itself: one thread's processor time, on queues of several lengths.

mod slurm;

use std::{process::Command, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    bed::Beds,
    report::{grouped, ms, table},
};
use crate::workspace::output;

/// Beside it, the real Slurm's backfill on such nodes, where there is to be a `rival`.
pub(super) fn measure(beds: &Beds, sizes: &[u32], rival: bool, json: bool) -> Result<()> {
    let (mut passes, mut chosen, mut events, mut lines) = (vec![], vec![], vec![], vec![]);
    for pending in sizes {
        beds.interrupt.check()?;
        let said = output(Command::new(beds.built.join("rafter-queue")).arg(pending.to_string()))?;
        let read: Value = serde_json::from_str(&said).context("no JSON came of it")?;
        let number = |path: &str| {
            read.pointer(path).and_then(Value::as_f64).with_context(|| format!("no {path}: {said}"))
        };
        let time = |path: &str| Ok::<_, anyhow::Error>(ms(Duration::from_secs_f64(number(path)?)));
        // A state of a million jobs is not made.
        let of_state = |path: &str| match read["state"].is_null() {
            true => Ok("-".to_owned()),
            false => time(path),
        };
        passes.push(vec![
            grouped(f64::from(*pending)),
            grouped(number("/planned")?),
            grouped(number("/classes")?),
            time("/conservative_s")?,
            time("/third_gone_s")?,
            time("/easy_s")?,
            format!("{} MB", grouped(number("/resident_bytes")? / 1e6)),
            of_state("/state/whole_s")?,
            of_state("/state/front_s")?,
            of_state("/state/why_s")?,
            of_state("/state/weighed_front_s")?,
        ]);
        let mut row = vec![grouped(f64::from(*pending))];
        for how in ["", "tree_", "level_"] {
            for what in ["whole_s", "front_s"] {
                row.push(of_state(&format!("/state/{how}{what}"))?);
            }
        }
        chosen.push(row);
        let mut row = vec![grouped(f64::from(*pending))];
        for event in ["submitted", "ended"] {
            for at in ["p50_s", "p99_s", "max_s"] {
                row.push(time(&format!("/events/{event}/{at}"))?);
            }
        }
        events.push(row);
        lines.push(said);
    }
    let heads = [
        "pending",
        "in the window",
        "classes",
        "conservative",
        "30 % gone",
        "EASY",
        "memory",
        "of a state",
        "its front",
        "why",
        "by factors",
    ];
    table("Plans of the whole queue on 10,000 nodes that are full, one thread", &heads, &passes);
    let heads =
        ["pending", "first fit", "its front", "topology/tree", "its front", "LLN", "its front"];
    table("Plans of a state, by how its nodes are chosen", &heads, &chosen);
    let heads =
        ["pending", "submit p50", "submit p99", "submit max", "end p50", "end p99", "end max"];
    table("One event on a plan that is kept: a job is submitted, a run ends", &heads, &events);
    if rival {
        slurm::measure(beds)?;
    }
    if json {
        lines.iter().for_each(|line| println!("{}", line.trim_end()));
    }
    Ok(())
}
