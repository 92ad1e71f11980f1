//! How each fault is put and taken back.

mod replace;

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::signal::Signal;

use super::{
    cuts,
    memory::Memory,
    network::{Drops, LOSS_PERCENT, Network, Pair, SLOW_MILLIS},
    plan::{Step, What, Whom},
    world::World,
};
use crate::record::{Fault, FaultKind, now};

/// How long is waited for somebody whom the fault can be done to.
const WHOM: Duration = Duration::from_secs(4);

/// More seconds than a certificate counts (RafterCertificateLifetime is a day by default).
const EXPIRY: i64 = 90_000;

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
        | What::Expiry
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
    let kind = kind(world, step, on)?;
    let done = act(world, step, on, &kind);
    let fault = Fault {
        kind,
        on: on.to_vec(),
        from,
        to: Some(now()),
        leader: leads,
        note: step.to_string(),
    };
    // Whatever has failed, it was begun.
    world.notes.fault(&fault)?;
    done
}

fn act(world: &World, step: &Step, on: &[String], kind: &FaultKind) -> Result<()> {
    let begun = on.iter().try_for_each(|host| begin(world, step, host, on.len() > 1));
    let cut = begun.and_then(|()| match drops(kind) {
        Some((drops, pairs)) => network(world)?.drop_between(drops, pairs),
        None => Ok(()),
    });
    // People try at once: that is when they notice.
    world.notes.alarm();
    if cut.is_ok() && !step.what.is_done_at_once() {
        world.pass(step.lasts);
    }
    // Whatever has failed, all is taken back.
    let mended = match drops(kind) {
        Some((drops, pairs)) => network(world)?.mend(drops, pairs),
        None => Ok(()),
    };
    let ended = on.iter().map(|host| end(world, step.what, host));
    let ended = ended.fold(Ok(()), Result::and);
    cut.and(mended).and(ended)
}

/// Puts the fault on a host, except for what is done to the network as a whole.
fn begin(world: &World, step: &Step, host: &str, beside_others: bool) -> Result<()> {
    let World { daemons, disks, shim, .. } = world;
    match step.what {
        What::Kill => daemons.end(host, Signal::SIGKILL),
        What::Pause => daemons.signal(host, Signal::SIGSTOP),
        What::Cut(_) | What::Loss => Ok(()),
        What::Slow => network(world)?.slow_down(host),
        What::Clock(seconds) => shim.move_clock(host, seconds),
        What::Expiry => shim.move_clock(host, EXPIRY),
        What::Full => disks.fill(host),
        What::SyncError => shim.fail_sync(host, true),
        What::SyncStall(millis) => shim.stall_sync(host, millis),
        What::Power => {
            disks.cut_power(host)?;
            world.hosts.kill_all(host);
            Ok(())
        }
        What::Memory => memory(world)?.press(host),
        What::Replace => replace::replace(world, host, step.lasts),
        What::Restart => {
            daemons.end(host, Signal::SIGTERM)?;
            daemons.start(host, &[])?;
            if beside_others && world.is_controller(host) {
                // One after the other: the next waits until this one is back.
                world.until(Duration::from_secs(30), || is_back(world, host));
            }
            Ok(())
        }
        What::Takeover => {
            // Who takes over is for the cluster to say, and it may say no.
            if let Err(error) = daemons.ask("scontrol", &["takeover"]) {
                world.notes.skip(format!("{step}: {error:#}"));
            }
            Ok(())
        }
    }
}

/// Takes it back.
fn end(world: &World, what: What, host: &str) -> Result<()> {
    let World { daemons, disks, shim, .. } = world;
    match what {
        What::Kill => daemons.see_running(host),
        What::Pause => daemons.signal(host, Signal::SIGCONT),
        What::Slow => network(world)?.speed_up(host),
        What::Clock(seconds) => shim.move_clock(host, -seconds),
        What::Expiry => shim.move_clock(host, -EXPIRY),
        What::Full => disks.make_room(host).and_then(|()| again(world, host)),
        What::SyncError => {
            // Who was told that its disk fails must not go on as if nothing had been.
            daemons.end(host, Signal::SIGKILL)?;
            shim.fail_sync(host, false)?;
            daemons.start(host, &[])
        }
        What::SyncStall(_) => shim.stall_sync(host, 0),
        What::Power => {
            disks.mount_again(host)?;
            daemons.start(host, &[])
        }
        What::Memory => memory(world)?.relieve(host).and_then(|()| again(world, host)),
        What::Cut(_) | What::Loss | What::Replace | What::Restart | What::Takeover => Ok(()),
    }
}

/// Starts a daemon again that may have given up, as its host's init would.
fn again(world: &World, host: &str) -> Result<()> {
    // One that is about to end is alive yet: the watchdog starts it then.
    world.daemons.see_running(host)
}

fn network(world: &World) -> Result<&Network> {
    world.network.as_ref().context("there is no nftables here")
}

fn memory(world: &World) -> Result<&Memory> {
    world.memory.as_ref().map_err(|why| anyhow!("{why}"))
}

/// What the network drops, and between whom.
fn drops(kind: &FaultKind) -> Option<(Drops, &[Pair])> {
    match kind {
        FaultKind::Cut { pairs } => Some((Drops::All, pairs)),
        FaultKind::Loss { pairs, .. } => Some((Drops::Some, pairs)),
        FaultKind::Delay { .. }
        | FaultKind::Kill
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
        | FaultKind::Takeover => None,
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
        What::Expiry => FaultKind::CertificateExpiry,
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
