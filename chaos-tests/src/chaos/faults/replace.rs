//! A controller that is removed, forgets all, and joins anew, by the ordinary commands.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use super::super::{daemons::PORT, world::World};

/// Far longer than each part takes while other faults come and go.
const BOUND: Duration = Duration::from_secs(90);

pub(super) fn replace(world: &World, name: &str, away: Duration) -> Result<()> {
    let daemons = &world.daemons;
    // As often as it takes: the answer may be lost, and the leader with it.
    let members = || -> Option<Vec<String>> {
        let status = world.monitor.status()?;
        Some(status.controllers.into_iter().map(|one| one.name).collect())
    };
    world
        .until(BOUND, || {
            if members()?.iter().any(|member| member == name) {
                // Whether it was carried out is seen at the next look.
                let _ = daemons.ask("rafter", &["controller", "remove", name]);
                return None;
            }
            Some(())
        })
        .with_context(|| format!("{name} could not be removed"))?;
    daemons.end(name, Signal::SIGKILL)?;
    world.disks.wipe(name)?;
    world.pass(away);
    join(world, name)
}

fn join(world: &World, name: &str) -> Result<()> {
    let daemons = &world.daemons;
    let others: Vec<String> = world
        .hosts
        .list()
        .iter()
        .filter(|host| host.name != name && world.is_controller(&host.name))
        .map(|host| format!("{}:{PORT}", host.address))
        .collect();
    let joined = || {
        if super::is_back(world, name).is_some() {
            return Some(());
        }
        if daemons.process(name).is_none() {
            // A token that was used up in vain is replaced.
            world.disks.wipe(name).ok()?;
            let token = daemons.ask("rafter", &["controller", "token", name]).ok()?;
            let mut words = vec!["--join", token.trim()];
            words.extend(others.iter().flat_map(|other| ["--controller", other.as_str()]));
            daemons.start(name, &words).ok()?;
        }
        None
    };
    world.until(BOUND, joined).with_context(|| {
        let log = daemons.last_lines(name, 8);
        format!("{name} could not join; its log ends with:\n{log}")
    })
}
