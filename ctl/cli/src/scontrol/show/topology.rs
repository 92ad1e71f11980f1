//! `scontrol show topology`.

use std::fmt::Write as _;

use common::{
    config::{Branch, SwitchConf, Tree},
    hostlist::Hostlist,
};

use super::super::session::Session;
use crate::{fetch, say};

/// All switches, or those of that name and those above a node of it. Of a flat network nothing is
/// said.
pub(super) fn run(session: &mut Session<'_>, id: Option<&str>) -> Result<u8, u8> {
    if session.flags.json {
        let text = "scontrol: error: --json is not supported for show topology\n";
        return Err(session.complain(text));
    }
    let stale_ok = session.flags.stale_ok;
    let reply = session
        .ask("slurm_load_topo error: ", async |client| fetch::config(client, stale_ok).await)?;
    let confs = reply.config.iter().flat_map(|config| config.switches.clone());
    let confs: Vec<SwitchConf> = confs.map(Into::into).collect();
    let found = text(&confs, id);
    if let (Some(id), false, true) = (id, confs.is_empty(), found.is_empty()) {
        let text = format!(
            "scontrol: error: Topology information contains no switch or node named {id}\n"
        );
        return Err(session.complain(&text));
    }
    say::out(&found);
    Ok(0)
}

fn text(confs: &[SwitchConf], id: Option<&str>) -> String {
    let mut text = String::new();
    let wanted = |branch: &&Branch<'_>| {
        id.is_none_or(|id| branch.conf.name == id || branch.nodes.contains(id))
    };
    for branch in Tree::of(confs).branches.iter().filter(wanted) {
        let Branch { conf, level, nodes } = branch;
        let nodes = Hostlist::from_names(nodes.iter().copied());
        write!(text, "SwitchName={} Level={level} LinkSpeed=1 Nodes={nodes}", conf.name)
            .expect("a text takes what is written");
        if !conf.is_leaf() {
            let switches = Hostlist::from_names(conf.switches.iter().map(String::as_str));
            write!(text, " Switches={switches}").expect("a text takes what is written");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_shown_with_what_is_below_them() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let conf = |name: &str, switches: &[&str], nodes: &[&str]| SwitchConf {
            name: name.to_owned(),
            switches: names(switches),
            nodes: names(nodes),
        };
        let confs = [
            conf("top", &["s1", "s2"], &[]),
            conf("s1", &[], &["n1", "n2"]),
            conf("s2", &[], &["n3"]),
        ];
        let (s1, s2) = (
            "SwitchName=s1 Level=0 LinkSpeed=1 Nodes=n[1-2]\n",
            "SwitchName=s2 Level=0 LinkSpeed=1 Nodes=n3\n",
        );
        let top = "SwitchName=top Level=1 LinkSpeed=1 Nodes=n[1-3] Switches=s[1-2]\n";
        assert_eq!(text(&confs, None), format!("{s1}{s2}{top}"));
        assert_eq!(text(&confs, Some("n3")), format!("{s2}{top}"));
        assert_eq!(text(&confs, Some("s1")), s1);
        assert_eq!(text(&confs, Some("n9")), "");
        assert_eq!(text(&[], None), "");
    }
}
