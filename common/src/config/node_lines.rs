//! What lines about nodes say: `NodeName` and `DownNodes`.

use std::collections::BTreeMap;

use super::{
    Config, ConfiguredState, NodeConf,
    record::{Record, Setting, hostlist, mib, number, text},
    report::{Place, Report},
    sections::{Line, Sections},
};
use crate::hostlist::Hostlist;

pub(super) fn fill(config: &mut Config, sections: &Sections, whole: &Place, report: &mut Report) {
    let port = sections.cluster.read("SlurmdPort", report, number(1..=65_535)).unwrap_or(6818);
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for line in &sections.nodes {
        for node in nodes(line, port, report) {
            if let Some(first) = places.get(&node.name) {
                let text = format!("the node {} is configured twice, first at {first}", node.name);
                report.problem(&line.place, text);
                continue;
            }
            places.insert(node.name.clone(), line.place.clone());
            config.nodes.push(node);
        }
    }
    if sections.nodes.is_empty() {
        report.warning(whole, "no node is configured: no NodeName is set");
    }
    down(config, &sections.down_nodes, report);
}

/// The nodes of one line, without those that nothing can be made of.
fn nodes(line: &Line, port: u16, report: &mut Report) -> Vec<NodeConf> {
    let record = &line.record;
    let names = record.read("NodeName", report, names).unwrap_or_default();
    let hostnames = one_or_each(record, "NodeHostname", &names, report);
    let addresses = one_or_each(record, "NodeAddr", &names, report);
    let ports = ports(record, &names, port, report);
    let like = hardware(record, report);
    let of = |list: &[String], at: usize| list.get(at).or(list.first()).cloned();
    let node = |(at, name): (usize, String)| {
        let hostname = of(&hostnames, at).unwrap_or_else(|| name.clone());
        let address = of(&addresses, at).unwrap_or_else(|| hostname.clone());
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(port);
        NodeConf { name, hostname, address, port, ..like.clone() }
    };
    names.iter().enumerate().map(node).collect()
}

fn names(value: &str) -> Result<Hostlist, String> {
    let names = hostlist(value)?;
    let wrong = names.iter().find(|name| !super::is_name(name));
    match wrong {
        Some(wrong) => Err(format!("`{wrong}' is no name of a node")),
        None if names.is_empty() => Err("names are wanted".to_owned()),
        None => Ok(names),
    }
}

/// A list of one value for all nodes, or of one for each.
fn one_or_each(record: &Record, key: &str, names: &Hostlist, report: &mut Report) -> Vec<String> {
    let list = record.read(key, report, hostlist).unwrap_or_default();
    count(record, key, list.len(), names, report);
    list.iter().collect()
}

fn count(record: &Record, key: &str, len: usize, names: &Hostlist, report: &mut Report) {
    if len > 1
        && len != names.len()
        && let Some(Setting { place, .. }) = record.get(key)
    {
        report.problem(place, format!("{key} names {len}, but there are {} nodes", names.len()));
    }
}

fn ports(record: &Record, names: &Hostlist, port: u16, report: &mut Report) -> Vec<u16> {
    let ports = record.read("Port", report, |value| {
        let each = hostlist(value)?;
        each.iter().map(|one| number(1..=65_535)(&one)).collect::<Result<Vec<u16>, _>>()
    });
    let ports = ports.unwrap_or_else(|| vec![port]);
    count(record, "Port", ports.len(), names, report);
    ports
}

/// What the line says of each of its nodes alike. The names are filled in by the caller.
fn hardware(record: &Record, report: &mut Report) -> NodeConf {
    let mut node = NodeConf::defaults("");
    topology(&mut node, record, report);
    cpus(&mut node, record, report);
    record.set("RealMemory", &mut node.real_memory_mib, report, mib);
    record.set("TmpDisk", &mut node.tmp_disk_mib, report, mib);
    record.set("Weight", &mut node.weight, report, number(0..=u32::MAX - 2));
    record.set("Features", &mut node.features, report, |value| {
        let words = value.split(',').map(str::trim).filter(|word| !word.is_empty());
        Ok(words.map(str::to_owned).collect())
    });
    record.set("State", &mut node.state, report, state);
    node.reason = record.read("Reason", report, text);
    node
}

/// The states that the table of keys lets pass; what is wrong with others was reported there.
fn state(value: &str) -> Result<ConfiguredState, String> {
    Ok(match value.to_ascii_uppercase().as_str() {
        "DOWN" => ConfiguredState::Down,
        "DRAIN" => ConfiguredState::Drain,
        _ => ConfiguredState::Unknown,
    })
}

/// A count of parts of a machine.
fn parts() -> impl FnOnce(&str) -> Result<u32, String> {
    number(1..=65_533)
}

fn topology(node: &mut NodeConf, record: &Record, report: &mut Report) {
    record.set("Boards", &mut node.boards, report, parts());
    record.set("CoresPerSocket", &mut node.cores_per_socket, report, parts());
    record.set("ThreadsPerCore", &mut node.threads_per_core, report, parts());
    let on_each_board = record.read("SocketsPerBoard", report, parts());
    let in_all = record.read("Sockets", report, parts());
    match (on_each_board, in_all, record.get("SocketsPerBoard")) {
        (Some(_), Some(_), Some(Setting { place, .. })) => {
            report.problem(place, "Sockets and SocketsPerBoard exclude each other");
        }
        (Some(sockets), None, _) => node.sockets = sockets.saturating_mul(node.boards),
        (_, Some(sockets), _) => node.sockets = sockets,
        (None, None, _) => {
            // As many as the CPUs need, as in Slurm.
            let on_socket = node.cores_per_socket.saturating_mul(node.threads_per_core);
            let cpus = record.text("CPUs").and_then(|cpus| cpus.parse::<u32>().ok());
            let sockets = cpus.map_or(1, |cpus| cpus / on_socket);
            node.sockets = sockets.max(node.boards);
        }
    }
}

fn cpus(node: &mut NodeConf, record: &Record, report: &mut Report) {
    let cores = node.sockets.saturating_mul(node.cores_per_socket);
    let threads = cores.saturating_mul(node.threads_per_core);
    node.cpus = threads;
    record.set("CPUs", &mut node.cpus, report, parts());
    // A CPU is a thread, or a core of several threads.
    if ![threads, cores].contains(&node.cpus)
        && let Some(Setting { place, .. }) = record.get("CPUs")
    {
        let text = format!(
            "CPUs={} is neither the number of threads ({threads}) nor that of cores ({cores})",
            node.cpus
        );
        report.problem(place, text);
    }
}

fn down(config: &mut Config, lines: &[Line], report: &mut Report) {
    let places = config.nodes.iter().enumerate().map(|(at, node)| (node.name.clone(), at));
    let places: BTreeMap<String, usize> = places.collect();
    for Line { place, record } in lines {
        let listed = record.read("DownNodes", report, hostlist).unwrap_or_default();
        let mut state = ConfiguredState::Down;
        record.set("State", &mut state, report, self::state);
        let reason = record.read("Reason", report, text);
        for name in listed.iter() {
            match places.get(&name) {
                Some(at) => {
                    config.nodes[*at].state = state;
                    config.nodes[*at].reason.clone_from(&reason);
                }
                None => report.problem(place, format!("DownNodes: there is no node {name}")),
            }
        }
    }
}
