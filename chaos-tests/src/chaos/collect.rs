//! The record of a run, when all has settled.

use std::{collections::BTreeMap, fs, process::Stdio, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    options::{Options, SLURMD_TIMEOUT},
    settle,
    watchers::Watchers,
    world::World,
};
use crate::record::{Digest, NodeShape, Phases, Run, now};

/// For controllers to have the same, and for watchers to have seen it.
const BOUND: Duration = Duration::from_secs(30);

/// Collects what controllers and nodes have, and writes the rest of the record.
///
/// # Errors
/// Where a controller does not tell, or the disk fails.
pub(super) fn collect(
    world: &World,
    options: &Options,
    seed: u64,
    watchers: Watchers,
    mut phases: Phases,
) -> Result<()> {
    let folder = world.notes.folder();
    let orphans = settle::orphans(world);
    let digests = digests(world);
    let last = digests.values().map(|digest| digest.index).max().unwrap_or_default();
    let behind = || watchers.seen().into_iter().all(|seen| seen + 2 >= last).then_some(());
    if world.until(BOUND, behind).is_none() {
        world.notes.marvel(format!(
            "watchers have seen entries up to {:?}, and the log has {last}",
            watchers.seen()
        ));
    }
    // The log goes on by itself: old jobs are forgotten. What a watcher saw must be in it.
    drop(watchers);
    for name in &world.controllers {
        log(world, name).with_context(|| format!("the log of {name}"))?;
    }
    let text = serde_json::to_string_pretty(&digests)?;
    fs::write(folder.digests(), text)?;
    fs::create_dir_all(world.notes.path("witness"))?;
    for node in &world.nodes {
        let from = world.disks.witness(node).join(format!("{node}.jsonl"));
        let to = folder.witness(node);
        if from.exists() { fs::copy(&from, &to).map(drop) } else { fs::write(&to, "") }?;
    }
    phases.ended = now();
    let shape = shape(world, options)?;
    let run = Run {
        seed,
        command: options.command(seed),
        planted: std::env::var("RAFTER_PLANTED").ok(),
        options: options_of(options),
        versions: versions(world),
        controllers: world.controllers.clone(),
        nodes: world.nodes.iter().map(|name| (name.clone(), shape.clone())).collect(),
        slurmd_timeout_s: SLURMD_TIMEOUT,
        wall_offset: wall_offset(),
        phases,
        unsettled: world.notes.unsettled(),
        orphans,
    };
    fs::write(folder.run(), serde_json::to_string_pretty(&run)?)?;
    Ok(())
}

/// What each node was configured with.
fn shape(world: &World, options: &Options) -> Result<NodeShape> {
    let conf = fs::read_to_string(world.daemons.root().join("slurm.conf"))?;
    let memory = conf.split_whitespace().find_map(|word| word.strip_prefix("RealMemory="));
    let memory_mib = memory.context("slurm.conf has a RealMemory")?.parse()?;
    Ok(NodeShape { cpus: options.cpus, memory_mib, gpus: vec![] })
}

fn options_of(options: &Options) -> BTreeMap<String, String> {
    let Options { minutes, leader_faults, controllers, nodes, cpus, people, rate, set, .. } =
        options;
    let mut all = BTreeMap::new();
    let mut add = |key: &str, value: String| all.insert(key.to_owned(), value);
    add("minutes", minutes.to_string());
    if let Some(count) = leader_faults {
        add("leader_faults", count.to_string());
    }
    add("controllers", controllers.to_string());
    add("nodes", nodes.to_string());
    add("cpus", cpus.to_string());
    add("people", people.to_string());
    add("rate", rate.to_string());
    add("set", set.join(" "));
    all
}

fn versions(world: &World) -> BTreeMap<String, String> {
    let rafter = world.daemons.ask("rafter", &["--version"]).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let pairs = [("rafter", rafter), ("kernel", kernel)];
    pairs.map(|(name, version)| (name.to_owned(), version.trim().to_owned())).into()
}

/// The wall clock less `CLOCK_MONOTONIC`.
fn wall_offset() -> i64 {
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = wall.map_or(0, |wall| i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX));
    nanos - i64::try_from(now()).unwrap_or(i64::MAX)
}

/// The whole log of a controller, as that one has it.
fn log(world: &World, name: &str) -> Result<()> {
    let path = world.notes.folder().log(name);
    fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
    let mut command = world.daemons.command(super::hosts::WATCH, "rafter");
    command.args(["events", "--json", "--entries", "--from", name]);
    command.stdout(fs::File::create(&path)?).stderr(Stdio::piped());
    let output = command.spawn()?.wait_with_output()?;
    anyhow::ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}

/// What each controller's state comes to, once all have applied equally much.
fn digests(world: &World) -> BTreeMap<String, Digest> {
    let mut last = BTreeMap::new();
    let same = || {
        last = ask_digests(world).unwrap_or_default();
        let mut indexes = last.values().map(|digest: &Digest| digest.index);
        let first = indexes.next()?;
        (last.len() == world.controllers.len() && indexes.all(|index| index == first)).then_some(())
    };
    if world.until(BOUND, same).is_none() {
        let at: Vec<String> =
            last.iter().map(|(name, digest)| format!("{name} {}", digest.index)).collect();
        world.notes.marvel(format!("controllers have not applied equally much: {}", at.join(", ")));
    }
    last
}

fn ask_digests(world: &World) -> Option<BTreeMap<String, Digest>> {
    let mut command = world.daemons.command(super::hosts::WATCH, "rafter");
    // It fails where two differ, and says all the same.
    let output = command.args(["digest", "--json"]).output().ok()?;
    let said: Value = serde_json::from_slice(&output.stdout).ok()?;
    let one = |item: &Value| {
        let digest = item["digest"].as_str()?.to_owned();
        let index = item["index"].as_u64()?;
        Some((item["controller"].as_str()?.to_owned(), Digest { index, digest }))
    };
    Some(said.as_array()?.iter().filter_map(one).collect())
}
