//! `sinfo` against what the real one printed (`tests/slurm`).

use proptest::prelude::*;
use proto::ctl::{NodeView, NodesReply};

use super::{COMMAND, field::Style, json, options, text, with_rows};
use crate::{
    captures,
    invocation::Invocation,
    render::{self, json::Meta},
    view::samples::{self, NodeSample as _},
};

/// 2026-11-23T23:07:29Z and 23:08:27Z.
const IDLE: u64 = 1_795_475_249;
const DRAINED: u64 = 1_795_475_307;

fn user(uid: u32) -> String {
    assert_eq!(uid, 0, "the captures know of root alone");
    "root".to_owned()
}

/// What this version of `sinfo` prints, and its exit code.
fn run(command: &str, reply: &NodesReply) -> (String, u8) {
    let words = captures::words(command);
    let arguments = words[1..].iter().map(Into::into).collect();
    let invocation = Invocation::new(COMMAND, "sinfo", arguments).expect("the words are text");
    let wanted = match options::read(&invocation, &|_| None) {
        Ok(wanted) => wanted,
        Err(exit) => return (String::new(), exit),
    };
    let clock = samples::clock(reply.now / 1000);
    let style = Style { clock: &clock, user: &user };
    (text(reply, &wanted, &style, "ref").expect("the views are whole"), 0)
}

/// All idle; n1 to n8 have what sinfo.txt shows them to have free.
fn idle() -> NodesReply {
    let nodes = (1..=8).map(samples::node).collect::<Vec<NodeView>>();
    let mut reply = samples::cluster(IDLE, nodes);
    for (index, view) in reply.nodes.iter_mut().enumerate() {
        view.free_memory_mib = Some(match index {
            1 => 22_403,
            7 => 22_392,
            _ => 22_408,
        });
    }
    reply
}

/// n1 is draining, and all have jobs.
fn draining() -> NodesReply {
    let mut nodes: Vec<_> = (1..=8).map(|n| samples::node(n).holds(8, 800)).collect();
    nodes[0] = nodes[0].clone().drained("bad disk", DRAINED);
    samples::cluster(DRAINED, nodes)
}

#[test]
fn tables_are_as_slurm_prints_them() {
    let mut tried = 0;
    for entry in captures::read("sinfo.txt") {
        let (ours, exit) = run(&entry.command, &idle());
        assert_eq!(exit, entry.exit, "{}", entry.command);
        let mut theirs = entry.stdout.clone();
        if entry.command == "sinfo -N -l" {
            // It had n8's partitions in no particular order; so it did the next time.
            let (cpu, down) = ("n8             1      cpu*", "n8             1      down");
            theirs = theirs.replace(cpu, "?").replace(down, cpu).replace('?', down);
        }
        captures::assert_same(&entry.command, &ours, &theirs);
        tried += 1;
    }
    assert!(tried > 20, "only {tried} captures were tried");
}

#[test]
fn each_letter_is_as_slurms() {
    for entry in captures::read("sinfo-format-letters.txt") {
        let (ours, _) = run(&entry.command, &idle());
        captures::assert_same(&entry.command, &ours, &entry.stdout);
    }
}

/// The captures of the keys were taken later: n1 and n2 had a job.
fn mixed() -> NodesReply {
    let mut nodes: Vec<_> = (1..=8).map(samples::node).collect();
    nodes[0] = nodes[0].clone().holds(6, 200);
    nodes[1] = nodes[1].clone().holds(2, 200);
    for (index, view) in nodes.iter_mut().enumerate() {
        view.cpu_load = Some(if index == 0 { 141 } else { 265 });
        view.free_memory_mib = Some(if index == 0 { 23_069 } else { 23_092 });
    }
    samples::cluster(samples::LATER, nodes)
}

#[test]
fn each_key_is_as_slurms() {
    let mut tried = 0;
    for entry in captures::read("sinfo-Format-all26.txt") {
        let (ours, _) = run(&entry.command, &mixed());
        let ours: String = ours.lines().map(|line| format!("{line}|\n")).collect();
        let field = entry.command.split(' ').nth(2).expect("a command has words");
        let mut theirs = entry.stdout.clone();
        if field == "'StateComplete'" {
            // Slurm sorts this key alone by its text.
            let mut lines: Vec<_> = theirs.lines().collect();
            lines[1..].reverse();
            theirs = lines.iter().map(|line| format!("{line}\n")).collect();
        }
        captures::assert_same(&entry.command, &ours, &theirs);
        tried += 1;
    }
    assert!(tried > 45, "only {tried} keys were tried");
}

#[test]
fn a_node_that_is_drained_is_told_apart() {
    let mut tried = 0;
    for entry in captures::read("scontrol-update.txt") {
        if !entry.command.starts_with("sinfo") || entry.command.contains("-p short") {
            continue;
        }
        let (ours, _) = run(&entry.command, &draining());
        captures::assert_same(&entry.command, &ours, &entry.stdout);
        tried += 1;
    }
    assert_eq!(tried, 4);
}

#[test]
fn partitions_that_take_no_jobs_say_so() {
    use proto::config::PartitionState;
    for (state, command) in [(PartitionState::Drain, 0), (PartitionState::Inactive, 1)] {
        let entry = captures::read("scontrol-update.txt")
            .into_iter()
            .filter(|entry| entry.command == "sinfo -p short")
            .nth(command)
            .expect("the capture has two");
        let mut reply = draining();
        reply.partitions[1].state = state.into();
        let node = reply.nodes[0].node();
        (node.drain, node.reason) = (false, None);
        reply.nodes[0].silent = true;
        captures::assert_same(&entry.command, &run(&entry.command, &reply).0, &entry.stdout);
    }
}

#[test]
fn json_has_slurms_keys_order_and_values() {
    use serde_json::json as value;
    let command = "sinfo --json -n n1 -p cpu";
    let entry = captures::one("json-sinfo-node.txt", command);
    let words = captures::words(command);
    let arguments = words[1..].iter().map(Into::into).collect();
    let invocation = Invocation::new(COMMAND, "sinfo", arguments).expect("the words are text");
    let wanted = options::read(&invocation, &|_| None).expect("the options are right");
    let reply = mixed();
    let clock = samples::clock(samples::LATER);
    let style = Style { clock: &clock, user: &user };
    let meta = Meta {
        cluster: "ref",
        command: words.iter().map(String::as_str).collect(),
        user: "alice".to_owned(),
        group: "alice".to_owned(),
    };
    let ours = with_rows(&reply, &wanted, &style, |rows| json::answer(&rows, &meta, &style, false));
    let mut theirs: serde_json::Value =
        serde_json::from_str(&entry.stdout).expect("the capture is JSON");
    theirs["meta"]["plugin"]["accounting_storage"] = value!("");
    theirs["meta"]["slurm"]["version"]["micro"] = value!("0");
    theirs["meta"]["slurm"]["release"] = value!("26.05.0");
    let theirs = render::json::text(&theirs, false);
    captures::assert_same(command, &ours.expect("the views are whole"), &theirs);
}

/// As tried with the real command: rows without nodes are only for who sees partitions.
#[test]
fn partitions_without_nodes_have_a_row_if_they_are_named() {
    let reply = idle();
    assert_eq!(run("sinfo -h -t alloc -o %N", &reply).0, "");
    assert_eq!(run("sinfo -h -n nosuch -o '%D'", &reply).0, "");
    assert_eq!(run("sinfo -h -t down -o '%P %N'", &reply).0, "cpu* \nshort \ndown \n");
    let all = "%P|%t|%c|%C|%m|%E|%f|%z|%O|%e|%G|%H|%A|%F|%w|%v|%n|%o|%D|%N|%d|%g|%h|%s";
    let (out, _) = run(&format!("sinfo -h -n nosuch -p cpu -o '{all}'"), &reply);
    let expected = "cpu*|n/a|0|0/0/0/0|0|none|(null)|0:0:0|0.00|0|(null)|Unknown|0/0|0/0/0/0|0|\
                    N/A|||0||0|all|NO|1-infinite\n";
    assert_eq!(out, expected);
}

/// Every long option of the real command is known, be it to be refused.
#[test]
fn all_of_slurms_options_are_known() {
    let known = options::known();
    let real = captures::long_options("sinfo");
    assert!(real.len() > 25, "only {} options", real.len());
    for option in real {
        assert!(known.contains(&option), "--{option} is not known");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_words_are_taken_or_refused(
        sort in "[-#,+a-zA-Z0-9ä ]{0,12}",
        states in "[a-zA-Z_,&^]{0,20}",
        nodes in "[n0-9,\\[\\]-]{0,20}",
        format in "[%.0-9a-zA-Z:,]{0,20}",
    ) {
        for command in [
            format!("sinfo '--sort={sort}' '--format={format}' '--nodes={nodes}'"),
            format!("sinfo -N -e '--states={states}' '--Format={format}'"),
        ] {
            let (out, exit) = run(&command, &draining());
            prop_assert!(exit <= 1, "{}", command);
            prop_assert!(out.len() < 10_000_000, "{}", command);
        }
    }
}
