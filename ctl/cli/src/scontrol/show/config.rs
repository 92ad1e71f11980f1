//! The configuration, key by key, and which controllers answer.

use std::fmt::Write as _;

use common::{
    config::{Config, Surroundings, shown},
    time::Timestamp,
};
use nix::unistd::User;
use proto::ctl::ConfigReply;
use serde_json::{Map, Value};

use super::super::{ping, session::Session};
use crate::{fetch, options::SLURM_VERSION, render::Clock, say};

pub(super) fn run(session: &mut Session<'_>) -> Result<u8, u8> {
    let stale_ok = session.flags.stale_ok;
    let reply = session
        .ask("slurm_load_ctl_conf error: ", async |client| fetch::config(client, stale_ok).await)?;
    let clock = session.clock(reply.now);
    let pairs = pairs(&reply, &clock)
        .map_err(|error| session.complain(&format!("scontrol: error: {error}\n")))?;
    if session.flags.json {
        let values = pairs.into_iter().map(|(key, value)| (key, Value::String(value)));
        let values: Map<String, Value> = values.collect();
        super::put_json(session, "slurm_conf", Value::Object(values), reply.now);
        return Ok(0);
    }
    let mut out = text(&pairs, &clock);
    out.push_str(&ping::lines(&ping::pinged(session)?));
    say::out(&out);
    Ok(0)
}

fn text(pairs: &[(String, String)], clock: &Clock) -> String {
    let now = clock.text(Some(clock.now), "Unknown");
    let mut out = format!("Configuration data as of {now}\n");
    for (key, value) in pairs {
        writeln!(out, "{key:<23} = {value}").expect("a String takes it");
    }
    out.push('\n');
    out
}

fn pairs(reply: &ConfigReply, clock: &Clock) -> Result<Vec<(String, String)>, String> {
    let wire = reply.config.clone().ok_or("the controller's answer lacks a configuration")?;
    let config = Config::try_from(wire).map_err(|error| error.to_string())?;
    let user = |name: &str| User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
    let around = Surroundings {
        boot_time: clock.text(Some(Timestamp(reply.booted)), "Unknown"),
        next_job_id: reply.next_job,
        conf_path: std::env::var("SLURM_CONF").unwrap_or_else(|_| CONF.to_owned()),
        version: SLURM_VERSION.rsplit(' ').next().unwrap_or(SLURM_VERSION).to_owned(),
        slurm_user_id: user(&config.slurm_user),
        slurmd_user_id: user(&config.slurmd_user),
    };
    Ok(shown(&config, &around))
}

/// Where a controller looks for its configuration.
const CONF: &str = "/etc/slurm/slurm.conf";
