//! After the faults: all is taken back, and everything must come right within a bound.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Result;
use fastrand::Rng;
use nix::{sys::signal::Signal, unistd::Pid};

use super::{
    clients::{Client, Clients, perform},
    faults,
    world::World,
};
use crate::record::{Call, Outcome};

/// For everything together; each part takes what is left of it. Far longer than any needs.
pub(super) const BOUND: Duration = Duration::from_secs(150);

/// Takes all faults back that are not.
pub(super) fn heal(world: &World) {
    for host in world.controllers.iter().chain(&world.nodes) {
        let healed = world
            .daemons
            .signal(host, Signal::SIGCONT)
            .and_then(|()| world.daemons.see_running(host));
        if let Err(error) = healed {
            world.notes.marvel(format!("{host} does not run again: {error:#}"));
        }
    }
}

/// Starts what has ended although nothing was done to it, and says so. What gives up after its disk
/// or memory has failed is started again, as an init would.
pub(super) fn look_after(world: &World, watched: &dyn Fn() -> bool) {
    /// How long what was done to a host may show its effect.
    const LATE: Duration = Duration::from_secs(20);
    while watched() && world.check().is_ok() {
        for host in world.controllers.iter().chain(&world.nodes) {
            // Twice, as a fault may just begin.
            let is_dead = || !world.is_held(host) && world.daemons.process(host).is_none();
            if !is_dead() {
                continue;
            }
            world.pass(Duration::from_millis(300));
            if !is_dead() || !world.hold(std::slice::from_ref(host)) {
                continue;
            }
            if world.daemons.process(host).is_none() {
                if !world.was_held(host, LATE) {
                    let log = world.daemons.last_lines(host, 6);
                    world.notes.marvel(format!(
                        "{host} ended though nothing was done to its processes or disk; its log \
                         ends with:\n{log}"
                    ));
                }
                if let Err(error) = world.daemons.start(host, &[]) {
                    world.notes.marvel(format!("{host} does not start: {error:#}"));
                }
            }
            world.release(std::slice::from_ref(host));
        }
        world.pass(Duration::from_millis(200));
    }
}

/// Waits for what must come, and writes down what did not.
///
/// # Errors
/// Where the record can't be written, or a signal has come.
pub(super) fn settle(world: &World, clients: &Clients, rng: &mut Rng) -> Result<()> {
    let began = Instant::now();
    let left = || BOUND.saturating_sub(began.elapsed());
    let missing = |what: String| {
        world.notes.marvel(format!("{what}, {} s after all was healed", BOUND.as_secs()));
    };
    if world.until(left(), || world.monitor.leader()).is_none() {
        missing("nobody leads".to_owned());
    }
    for name in &world.controllers {
        if world.until(left(), || faults::is_back(world, name)).is_none() {
            let log = world.daemons.last_lines(name, 6);
            missing(format!("{name} does not follow; its log ends with:\n{log}\n"));
        }
    }
    let mut written = clients.submit_one(world, rng)?;
    while !written && !left().is_zero() && world.check().is_ok() {
        written = clients.submit_one(world, rng)?;
    }
    if !written {
        missing("no submission was acknowledged".to_owned());
    }
    finish_jobs(world, rng, left())?;
    let nodes = || {
        let shown = world.daemons.ask("sinfo", &["-h", "-N", "-o", "%N %T"]).ok()?;
        let wrong: Vec<&str> = shown.lines().filter(|line| !line.ends_with(" idle")).collect();
        wrong.is_empty().then_some(())
    };
    if world.until(left(), nodes).is_none() {
        let shown = world.daemons.ask("sinfo", &["-h", "-N", "-o", "%N %T"]).unwrap_or_default();
        missing(format!("nodes are not idle: {}", shown.trim().replace('\n', ", ")));
    }
    world.check()
}

/// Cancels what would go on for ever, lets what is held go on, and waits for all others.
fn finish_jobs(world: &World, rng: &mut Rng, bound: Duration) -> Result<()> {
    let client = Client::last();
    let began = Instant::now();
    // Those that end by themselves get some time to do so.
    let patience = Duration::from_secs(12).min(bound / 2);
    let mut shown = BTreeMap::new();
    while began.elapsed() < bound && world.check().is_ok() {
        let Outcome::Listed { jobs } = perform(world, &client, rng, Call::List, None)? else {
            continue;
        };
        shown = jobs.into_iter().collect();
        if shown.is_empty() {
            return Ok(());
        }
        if began.elapsed() > patience {
            for (job, state) in shown.iter().take(40) {
                if state == "PENDING" || state == "RUNNING" {
                    perform(world, &client, rng, Call::Cancel { job: *job }, None)?;
                }
            }
        }
        world.pass(Duration::from_millis(700));
    }
    let shown: Vec<String> =
        shown.iter().take(20).map(|(job, state)| format!("job {job} is {state}")).collect();
    world.notes.marvel(format!(
        "jobs have not ended, {} s after all was healed: {}",
        BOUND.as_secs(),
        shown.join(", ")
    ));
    Ok(())
}

/// What is left on the nodes of jobs that are over: processes, cgroups, files of runs.
pub(super) fn orphans(world: &World) -> Vec<String> {
    const BOUND: Duration = Duration::from_secs(20);
    let mut left = Vec::new();
    world.until(BOUND, || {
        left = world.nodes.iter().flat_map(|node| on_node(world, node)).collect();
        left.is_empty().then_some(())
    });
    left
}

fn on_node(world: &World, node: &str) -> Vec<String> {
    let daemon = world.daemons.process(node);
    let mut left = Vec::new();
    for pid in world.hosts.processes(node) {
        if Some(pid) != daemon && !super::hosts::is_zombie(pid) {
            left.push(format!("on {node}, process {pid}: {}", command_line(pid)));
        }
    }
    let runs = std::fs::read_dir(world.disks.kept(node).join("jobs"));
    for run in runs.into_iter().flatten().flatten() {
        left.push(format!("on {node}, the files of run {}", run.file_name().to_string_lossy()));
    }
    left
}

fn command_line(pid: Pid) -> String {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ").trim_end().to_owned()
}
