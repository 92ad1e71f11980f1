//! How each fault is put and taken back.

mod replace;

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use super::{
    cuts,
    network::{Drops, LOSS_PERCENT, Network, Pair, SLOW_MILLIS},
    plan::{Step, What, Whom},
    world::World,
};
use crate::record::{Fault, FaultKind, now};

/// How long is waited for somebody whom the fault can be done to.
const WHOM: Duration = Duration::from_secs(4);

/// Carries out a step, and writes it down. What can't be done is skipped, and said.
pub(super) fn carry_out(world: &World, step: &Step) {
    if let Err(why) = possible(world, step.what) {
        world.notes.skip(format!("{step}: {why}"));
        return;
    }
    let Some(on) = world.until(WHOM, || chosen(world, step)) else {
        world.notes.skip(format!("{step}: there is nobody whom it can be done to now"));
        return;
    };
    let done = put(world, step, &on);
    if step.what.holds_host() {
        world.release(&on);
    }
    if let Err(error) = done {
        world.notes.marvel(format!("the driver could not {step}: {error:#}"));
    }
}

/// What the machine lacks for it.
pub(super) fn possible(world: &World, what: What) -> Result<(), String> {
    match what {
        What::Cut(_) | What::Loss if world.network.is_none() => {
            Err("no nft here (Debian's nftables)".to_owned())
        }
        What::Memory => world.memory.as_ref().map(drop).map_err(Clone::clone),
        What::Kill
        | What::Pause
        | What::Cut(_)
        | What::Loss
        | What::Slow
        | What::Clock(_)
        | What::Full
        | What::SyncError
        | What::SyncStall(_)
        | What::Power
        | What::Replace
        | What::Restart
        | What::Takeover => Ok(()),
    }
}

/// The hosts that the step is for; taken, where the fault needs them for itself.
fn chosen(world: &World, step: &Step) -> Option<Vec<String>> {
    let leader = world.monitor.leader();
    let controllers = || world.controllers.iter().cloned();
    let candidates: Vec<Vec<String>> = match &step.whom {
        Whom::Leader => leader.into_iter().map(|name| vec![name]).collect(),
        Whom::Follower => {
            controllers().filter(|name| Some(name) != leader.as_ref()).map(|it| vec![it]).collect()
        }
        Whom::Controllers => vec![controllers().collect()],
        Whom::Node => world.nodes.iter().map(|name| vec![name.clone()]).collect(),
        Whom::Named(name) => vec![vec![name.clone()]],
    };
    let mut candidates = candidates;
    fastrand::shuffle(&mut candidates);
    candidates.into_iter().find(|hosts| !step.what.holds_host() || world.hold(hosts))
}

/// Puts the fault on the hosts, lets it last, and takes it back.
pub(super) fn put(world: &World, step: &Step, on: &[String]) -> Result<()> {
    let leader = world.monitor.leader();
    let leads = leader.is_some_and(|leader| on.contains(&leader));
    let from = now();
    let done = act(world, step, on);
    // Whatever has failed, nothing is written of it but what was begun.
    let kind = match &done {
        Ok(kind) => kind.clone(),
        Err(_) => kind(world, step, on)?,
    };
    let fault = Fault {
        kind,
        on: on.to_vec(),
        from,
        to: Some(now()),
        leader: leads,
        note: step.to_string(),
    };
    world.notes.fault(&fault)?;
    done.map(drop)
}

fn act(world: &World, step: &Step, on: &[String]) -> Result<FaultKind> {
    let kind = kind(world, step, on)?;
    let each = |act: &dyn Fn(&str) -> Result<()>| on.iter().try_for_each(|host| act(host));
    let last = || world.pass(step.lasts);
    let World { daemons, disks, shim, .. } = world;
    match step.what {
        What::Kill => {
            each(&|host| daemons.end(host, Signal::SIGKILL))?;
            last();
            each(&|host| daemons.start(host, &[]))?;
        }
        What::Pause => {
            each(&|host| daemons.signal(host, Signal::SIGSTOP))?;
            last();
            each(&|host| daemons.signal(host, Signal::SIGCONT))?;
        }
        What::Cut(_) | What::Loss => {
            let drops = if step.what == What::Loss { Drops::Some } else { Drops::All };
            let pairs = pairs(&kind);
            network(world)?.drop_between(drops, pairs)?;
            last();
            network(world)?.mend(drops, pairs)?;
        }
        What::Slow => {
            each(&|host| network(world)?.slow_down(host))?;
            last();
            each(&|host| network(world)?.speed_up(host))?;
        }
        What::Clock(seconds) => {
            each(&|host| shim.move_clock(host, seconds))?;
            last();
            each(&|host| shim.move_clock(host, -seconds))?;
        }
        What::Full => {
            each(&|host| disks.fill(host))?;
            last();
            each(&|host| disks.make_room(host))?;
            each(&|host| again(world, host))?;
        }
        What::SyncError => {
            each(&|host| shim.fail_sync(host, true))?;
            last();
            // Who was told that its disk fails must not go on as if nothing had been.
            each(&|host| daemons.end(host, Signal::SIGKILL))?;
            each(&|host| shim.fail_sync(host, false))?;
            each(&|host| daemons.start(host, &[]))?;
        }
        What::SyncStall(millis) => {
            each(&|host| shim.stall_sync(host, millis))?;
            last();
            each(&|host| shim.stall_sync(host, 0))?;
        }
        What::Power => {
            each(&|host| disks.cut_power(host))?;
            on.iter().for_each(|host| world.hosts.kill_all(host));
            last();
            each(&|host| disks.mount_again(host))?;
            each(&|host| daemons.start(host, &[]))?;
        }
        What::Memory => {
            let memory = world.memory.as_ref().map_err(|why| anyhow::anyhow!("{why}"))?;
            each(&|host| memory.press(host))?;
            last();
            each(&|host| memory.relieve(host))?;
            each(&|host| again(world, host))?;
        }
        What::Replace => each(&|host| replace::replace(world, host, step.lasts))?,
        What::Restart => each(&|host| {
            daemons.end(host, Signal::SIGTERM)?;
            daemons.start(host, &[])?;
            if on.len() > 1 {
                // One after the other: the next waits until this one is back.
                world.until(Duration::from_secs(30), || is_back(world, host));
            }
            Ok(())
        })?,
        What::Takeover => {
            // Who takes over is for the cluster to say.
            if let Err(error) = daemons.ask("scontrol", &["takeover"]) {
                world.notes.skip(format!("{step}: {error:#}"));
            }
        }
    }
    Ok(kind)
}

/// Starts a daemon again that may have given up, as its host's init would.
fn again(world: &World, host: &str) -> Result<()> {
    // One that is about to end is alive yet: the watchdog starts it then.
    world.daemons.see_running(host)
}

fn network(world: &World) -> Result<&Network> {
    world.network.as_ref().context("there is no nftables here")
}

fn pairs(kind: &FaultKind) -> &[Pair] {
    match kind {
        FaultKind::Cut { pairs }
        | FaultKind::Loss { pairs, .. }
        | FaultKind::Delay { pairs, .. } => pairs,
        FaultKind::Kill
        | FaultKind::Pause
        | FaultKind::ClockJump { .. }
        | FaultKind::DiskFull
        | FaultKind::FsyncError
        | FaultKind::FsyncStall { .. }
        | FaultKind::PowerCut
        | FaultKind::MemoryPressure
        | FaultKind::CertificateExpiry
        | FaultKind::Membership
        | FaultKind::Restart
        | FaultKind::Takeover => &[],
    }
}

/// The fault, as the record has it.
fn kind(world: &World, step: &Step, on: &[String]) -> Result<FaultKind> {
    let around = |shape| {
        let hosts = world.hosts.list();
        let mut pairs: Vec<Pair> =
            on.iter().flat_map(|host| cuts::pairs(hosts, host, shape)).collect();
        pairs.sort();
        pairs.dedup();
        pairs
    };
    if on.iter().any(|host| world.hosts.host(host).is_none()) {
        bail!("there is no host {}", on.join(", "));
    }
    if step.what.needs_controller() && !on.iter().all(|host| world.is_controller(host)) {
        bail!("{} is no controller", on.join(", "));
    }
    Ok(match step.what {
        What::Kill => FaultKind::Kill,
        What::Pause => FaultKind::Pause,
        What::Cut(shape) => FaultKind::Cut { pairs: around(shape) },
        What::Loss => {
            FaultKind::Loss { pairs: around(super::plan::Shape::All), percent: LOSS_PERCENT }
        }
        What::Slow => {
            FaultKind::Delay { pairs: around(super::plan::Shape::All), millis: SLOW_MILLIS }
        }
        What::Clock(seconds) => FaultKind::ClockJump { seconds },
        What::Full => FaultKind::DiskFull,
        What::SyncError => FaultKind::FsyncError,
        What::SyncStall(millis) => FaultKind::FsyncStall { millis: u64::try_from(millis)? },
        What::Power => FaultKind::PowerCut,
        What::Memory => FaultKind::MemoryPressure,
        What::Replace => FaultKind::Membership,
        What::Restart => FaultKind::Restart,
        What::Takeover => FaultKind::Takeover,
    })
}

/// Whether the leader has the controller beside it, with all that it has itself.
pub(super) fn is_back(world: &World, controller: &str) -> Option<()> {
    let status = world.monitor.status()?;
    let one = status.controllers.into_iter().find(|one| one.name == controller)?;
    let follows = matches!(one.role.as_str(), "leader" | "follower");
    (follows && one.lag == 0).then_some(())
}
