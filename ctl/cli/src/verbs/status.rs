//! `rafter status`: the controllers, who leads, and how the nodes are.

use std::collections::BTreeMap;

use anstyle::Style;
use common::hostlist::Hostlist;
use proto::ctl::{ControllerStatus, NodeStatus, StatusReply};
use serde_json::json;

use super::{
    failed,
    page::{BAD, DOUBTFUL, GOOD, HEADING, Page, plain},
    print_json,
};
use crate::{client, client::Client, fetch, say, trouble::Trouble};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// For programs: one object
    #[arg(long)]
    json: bool,
    /// Take what the first controller that answers knows, though it may be out of date
    #[arg(long)]
    stale_ok: bool,
}

pub(crate) fn run(args: &Args) -> u8 {
    match client::runtime().block_on(ask(args.stale_ok)) {
        Ok(status) if args.json => print_json(&object(&status)),
        Ok(status) => say::out(&text(&status, say::in_colour())),
        Err(trouble) => return failed("status", &trouble),
    }
    0
}

async fn ask(stale_ok: bool) -> Result<StatusReply, Trouble> {
    fetch::status(&Client::open()?, stale_ok).await
}

/// An interface: names are added, and none is renamed or taken away.
fn object(status: &StatusReply) -> serde_json::Value {
    let controller = |c: &ControllerStatus| {
        let ControllerStatus { name, address, role, applied, lag } = c;
        json!({ "name": name, "address": address, "role": role, "applied": applied, "lag": lag })
    };
    let node = |n: &NodeStatus| json!({ "name": n.name, "state": n.state });
    json!({
        "cluster": status.cluster,
        "cluster_id": status.cluster_id,
        "leader": (!status.leader.is_empty()).then_some(&status.leader),
        "term": status.term,
        "controllers": status.controllers.iter().map(controller).collect::<Vec<_>>(),
        "nodes": status.nodes.iter().map(node).collect::<Vec<_>>(),
    })
}

fn text(status: &StatusReply, in_colour: bool) -> String {
    let mut page = Page::new(in_colour);
    let StatusReply { cluster, cluster_id, leader, term, jobs_pending, jobs_running, .. } = status;
    page.line(HEADING, &format!("Cluster {cluster}  {cluster_id}"));
    match leader.as_str() {
        "" => page.line(BAD, "No leader"),
        leader => page.line(GOOD, &format!("{leader} leads, term {term}")),
    }
    page.line(Style::new(), &format!("{jobs_running} jobs running, {jobs_pending} pending\n"));

    let mut table = plain(["CONTROLLER", "ADDRESS", "ROLE", "APPLIED", "LAG"], &[3, 4]);
    let mut styles = vec![HEADING];
    for ControllerStatus { name, address, role, applied, lag } in &status.controllers {
        let (applied, lag) = (applied.to_string(), lag.to_string());
        table.add_row([name, address, role, &applied, &lag]);
        styles.push(match role.as_str() {
            "leader" => GOOD,
            "unreachable" => BAD,
            "learner" | "leaving" => DOUBTFUL,
            _ => Style::new(),
        });
    }
    page.table(&table, &styles);

    let mut states: BTreeMap<&str, Hostlist> = BTreeMap::new();
    for NodeStatus { name, state } in &status.nodes {
        states.entry(state).or_default().push(name);
    }
    let mut table = plain(["NODES", "STATE", "NAMES"], &[0]);
    let mut styles = vec![HEADING];
    for (state, names) in states {
        table.add_row([&names.len().to_string(), state, &names.sorted().to_string()]);
        styles.push(match state.trim_end_matches(|c: char| !c.is_alphabetic()) {
            "down" | "unknown" | "fail" => BAD,
            "drained" | "draining" | "drain" => DOUBTFUL,
            _ => Style::new(),
        });
    }
    page.line(Style::new(), "");
    page.table(&table, &styles);
    page.into_text()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn status() -> StatusReply {
        let controller = |name: &str, role: &str, applied, lag| ControllerStatus {
            name: name.into(),
            address: "127.0.0.1:6817".into(),
            role: role.into(),
            applied,
            lag,
        };
        let node = |name: &str, state: &str| NodeStatus { name: name.into(), state: state.into() };
        StatusReply {
            cluster: "ref".into(),
            cluster_id: "07".repeat(16),
            leader: "ctl1".into(),
            term: 12,
            controllers: vec![
                controller("ctl1", "leader", 104_200, 0),
                controller("ctl2", "follower", 104_198, 2),
                controller("ctl3", "unreachable", 0, 104_200),
            ],
            nodes: vec![node("n1", "idle"), node("n3", "down*"), node("n2", "idle")],
            jobs_pending: 3,
            jobs_running: 1,
        }
    }

    #[test]
    fn people_see_tables() {
        expect![[r"
            Cluster ref  07070707070707070707070707070707
            ctl1 leads, term 12
            1 jobs running, 3 pending

            CONTROLLER  ADDRESS         ROLE         APPLIED     LAG
            ctl1        127.0.0.1:6817  leader        104200       0
            ctl2        127.0.0.1:6817  follower      104198       2
            ctl3        127.0.0.1:6817  unreachable        0  104200

            NODES  STATE  NAMES
                1  down*  n3
                2  idle   n[1-2]
        "]]
        .assert_eq(&text(&status(), false));
    }

    #[test]
    fn colours_are_only_where_they_are_wanted() {
        assert!(!text(&status(), false).contains('\u{1b}'));
        assert!(text(&status(), true).contains("\u{1b}[31mctl3"));
        let none = StatusReply { leader: String::new(), ..status() };
        assert!(text(&none, true).contains("\u{1b}[31mNo leader"));
    }

    #[test]
    fn programs_see_these_names() {
        let mut status = status();
        status.controllers.truncate(1);
        status.nodes.truncate(1);
        expect![[r#"
            {
              "cluster": "ref",
              "cluster_id": "07070707070707070707070707070707",
              "leader": "ctl1",
              "term": 12,
              "controllers": [
                {
                  "name": "ctl1",
                  "address": "127.0.0.1:6817",
                  "role": "leader",
                  "applied": 104200,
                  "lag": 0
                }
              ],
              "nodes": [
                {
                  "name": "n1",
                  "state": "idle"
                }
              ]
            }
        "#]]
        .assert_eq(&format!("{:#}\n", object(&status)));
        status.leader.clear();
        assert!(object(&status)["leader"].is_null());
    }
}
