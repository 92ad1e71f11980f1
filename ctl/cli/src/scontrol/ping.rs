//! `scontrol ping`: which controllers answer.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use proto::ctl::StatusReply;
use serde_json::{Value, json};

use super::session::Session;
use crate::{client::Client, fetch, render::json, say};

/// A controller, and whether it answers.
pub(super) struct Pinged {
    name: String,
    up: bool,
    leads: bool,
}

/// How long a controller may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks each controller for itself: what one says of another may be old.
pub(super) fn pinged(session: &mut Session<'_>) -> Result<Vec<Pinged>, u8> {
    let client = session.client()?;
    let names = client.controllers();
    let mut known: BTreeMap<String, StatusReply> = client.block_on(replies(names.clone()));
    // Who leads knows who they are; else any that answers, else what stands in this host's files.
    let leads = |(name, status): &(&String, &StatusReply)| status.leader == **name;
    let leader = known.iter().find(leads).or_else(|| known.iter().next());
    let members = leader.map_or_else(
        || names.clone(),
        |(_, status)| status.controllers.iter().map(|one| one.name.clone()).collect::<Vec<_>>(),
    );
    let others = members.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>();
    if !others.is_empty() {
        known.extend(client.block_on(replies(others)));
    }
    let pinged = |name: String| {
        let status = known.get(&name);
        let leads = status.is_some_and(|status| status.leader == name);
        Pinged { up: status.is_some(), leads, name }
    };
    Ok(members.into_iter().map(pinged).collect())
}

/// What those say that answer, all asked at the same time.
async fn replies(names: Vec<String>) -> BTreeMap<String, StatusReply> {
    let ask = async |name: String| {
        let client = Client::open_to(&name).ok()?;
        let reply = tokio::time::timeout(PATIENCE, fetch::status(&client, true)).await;
        Some((name, reply.ok()?.ok()?))
    };
    join_all(names.into_iter().map(ask)).await.into_iter().flatten().collect()
}

/// A line for each controller, in Slurm's words.
pub(super) fn lines(pinged: &[Pinged]) -> String {
    let line = |(index, controller): (usize, &Pinged)| {
        let mode = match index {
            0 => "primary".to_owned(),
            1 if pinged.len() == 2 => "backup".to_owned(),
            index => format!("backup{index}"),
        };
        let up = if controller.up { "UP" } else { "DOWN" };
        format!("Slurmctld({mode}) at {} is {up}\n", controller.name)
    };
    pinged.iter().enumerate().map(line).collect()
}

pub(super) fn run(session: &mut Session<'_>) -> u8 {
    let pinged = match pinged(session) {
        Ok(pinged) => pinged,
        Err(exit) => return exit,
    };
    if session.flags.json {
        let pings: Value = pinged
            .iter()
            .map(|controller| {
                json!({
                    "hostname": controller.name,
                    "responding": controller.up,
                    "latency": 0,
                    "primary": controller.leads,
                    "status": if controller.up { "No error" } else { "Unable to contact" },
                })
            })
            .collect();
        let answer = json::answer(vec![("pings", pings)], &session.meta());
        say::out(&json::text(&answer, session.compact_json()));
    } else {
        say::out(&lines(&pinged));
    }
    u8::from(!pinged.iter().any(|controller| controller.up))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_primary_and_backups() {
        let at = |name: &str, up| Pinged { name: name.to_owned(), up, leads: false };
        let three = [at("ctl1", true), at("ctl2", false), at("ctl3", true)];
        assert_eq!(lines(&three[..1]), "Slurmctld(primary) at ctl1 is UP\n");
        assert_eq!(
            lines(&three),
            "Slurmctld(primary) at ctl1 is UP\n\
             Slurmctld(backup1) at ctl2 is DOWN\n\
             Slurmctld(backup2) at ctl3 is UP\n"
        );
    }
}
