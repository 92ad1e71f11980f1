//! `scontrol ping`: which controllers answer.

use serde_json::{Value, json};

use super::session::Session;
use crate::{fetch, render::json, say};

/// A controller, and whether it answers.
pub(super) struct Pinged {
    name: String,
    up: bool,
    leads: bool,
}

/// Asks the controllers of each other. Where none answers, all are down.
pub(super) fn pinged(session: &mut Session<'_>) -> Result<Vec<Pinged>, u8> {
    let status = session.call(async |client| fetch::status(client, true).await)?;
    let down = |name: &str| Pinged { name: name.to_owned(), up: false, leads: false };
    Ok(match status {
        Ok(status) => status
            .controllers
            .into_iter()
            .map(|controller| Pinged {
                up: controller.role != "unreachable",
                leads: controller.name == status.leader,
                name: controller.name,
            })
            .collect(),
        Err(_) => session.client()?.controllers().iter().map(|name| down(name)).collect(),
    })
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
