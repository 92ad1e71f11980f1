//! `scontrol show licenses`.

use std::fmt::Write as _;

use common::config::LicenseConf;
use proto::ctl::ConfigReply;
use serde_json::json;

use super::super::session::Session;
use crate::{fetch, say};

pub(super) fn run(session: &mut Session<'_>, id: Option<&str>) -> Result<u8, u8> {
    let stale_ok = session.flags.stale_ok;
    let reply = session
        .ask("slurm_load_licenses error: ", async |client| fetch::config(client, stale_ok).await)?;
    if session.flags.json {
        let rows = rows(&reply, id);
        let value = |row: &Row| {
            json!({
                "LicenseName": row.name, "Total": row.total, "Used": row.used, "Free": row.free(),
                "Remote": false, "Reserved": 0, "LastConsumed": 0, "LastDeficit": 0,
                "LastUpdate": 0,
            })
        };
        super::put_json(session, "licenses", rows.iter().map(value).collect(), reply.now);
        return Ok(0);
    }
    say::out(&text(&reply, id, session.flags.one_line));
    Ok(0)
}

/// How a license stands.
struct Row {
    name: String,
    total: u32,
    used: u32,
}

impl Row {
    fn free(&self) -> u32 {
        self.total.saturating_sub(self.used)
    }
}

fn rows(reply: &ConfigReply, id: Option<&str>) -> Vec<Row> {
    let confs = reply.config.iter().flat_map(|config| config.licenses.clone());
    let confs = confs.map(LicenseConf::from).filter(|conf| id.is_none_or(|id| conf.name == id));
    let row = |LicenseConf { name, total }| {
        let used = reply.licenses_used.get(&name).copied().unwrap_or(0);
        Row { name, total, used }
    };
    confs.map(row).collect()
}

/// Of a license that there is not, nothing is said.
fn text(reply: &ConfigReply, id: Option<&str>, one_line: bool) -> String {
    if reply.config.as_ref().is_none_or(|config| config.licenses.is_empty()) {
        return "No licenses configured in Slurm.\n".to_owned();
    }
    let joint = if one_line { " " } else { "\n    " };
    let mut out = String::new();
    for row in rows(reply, id) {
        let Row { name, total, used } = &row;
        let free = row.free();
        writeln!(
            out,
            "LicenseName={name}{joint}Total={total} Used={used} Free={free} Reserved=0 Remote=no"
        )
        .expect("a String takes it");
    }
    out
}

#[cfg(test)]
mod tests {
    use proto::config::{Config, License};

    use super::*;

    /// As real Slurm 22.05 was seen to show them.
    #[test]
    fn licenses_are_shown_as_slurm_shows_them() {
        let license = |name: &str, total| License { name: name.to_owned(), total };
        let config = Config {
            licenses: vec![license("ansys", 2), license("matlab", 4)],
            ..Config::default()
        };
        let used = [("matlab".to_owned(), 5)];
        let reply = ConfigReply {
            config: Some(config),
            licenses_used: used.into_iter().collect(),
            ..ConfigReply::default()
        };
        assert_eq!(
            text(&reply, None, false),
            "LicenseName=ansys\n    Total=2 Used=0 Free=2 Reserved=0 Remote=no\n\
             LicenseName=matlab\n    Total=4 Used=5 Free=0 Reserved=0 Remote=no\n"
        );
        assert_eq!(
            text(&reply, Some("ansys"), true),
            "LicenseName=ansys Total=2 Used=0 Free=2 Reserved=0 Remote=no\n"
        );
        assert_eq!(text(&reply, Some("nope"), false), "");
        let none = ConfigReply { config: Some(Config::default()), ..ConfigReply::default() };
        assert_eq!(text(&none, None, false), "No licenses configured in Slurm.\n");
    }
}
