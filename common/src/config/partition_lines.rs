//! What lines about partitions say, and `NodeSet`, whose names they may use.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Config, PartitionConf, PartitionState, cluster, preemption, priority,
    record::{Record, Setting, flag, hostlist, number, number_or_unlimited, time_limit, word},
    report::{Place, Report},
    sections::{Line, Sections},
};
use crate::time::TimeLimit;

/// Nodes by the name of their set.
type NodeSets = BTreeMap<String, Vec<String>>;

pub(super) fn fill(config: &mut Config, sections: &Sections, whole: &Place, report: &mut Report) {
    let all: BTreeSet<String> = config.nodes.iter().map(|node| node.name.clone()).collect();
    let sets = node_sets(config, &all, &sections.node_sets, report);
    let whole_nodes = gives_whole_nodes(&sections.cluster);
    let least_loaded = prefers_least_loaded(&sections.cluster);
    let no_root = sections.cluster.read("DisableRootJobs", report, flag).unwrap_or(false);
    let mut places: BTreeMap<String, &Place> = BTreeMap::new();
    for Line { place, record } in &sections.partitions {
        let Some(name) = record.read("PartitionName", report, name) else { continue };
        if let Some(first) = places.insert(name.clone(), place) {
            report.problem(
                place,
                format!("the partition {name} is configured twice, first at {first}"),
            );
            continue;
        }
        let mut partition = PartitionConf::defaults(&name);
        partition.disable_root_jobs = no_root;
        access(&mut partition, record, report);
        limits(&mut partition, record, place, report);
        partition.exclusive |= whole_nodes;
        partition.lln |= least_loaded;
        members(&mut partition, record, config, &all, &sets, report);
        if partition.nodes.is_empty() {
            report.warning(place, format!("the partition {name} has no nodes"));
        }
        config.partitions.push(partition);
    }
    defaults(config, &places, whole, report);
}

/// Changes a partition as a line says; what that does not set stays.
pub(super) fn alter(
    partition: &mut PartitionConf,
    record: &Record,
    config: &Config,
    place: &Place,
    report: &mut Report,
) {
    let PartitionConf { exclusive, def_memory, max_memory, .. } = *partition;
    let sets = |keys: &[&str]| keys.iter().any(|key| record.get(key).is_some());
    access(partition, record, report);
    limits(partition, record, place, report);
    if !sets(&["OverSubscribe", "Exclusive"]) {
        partition.exclusive = exclusive;
    }
    if !sets(&["DefMemPerNode", "DefMemPerCPU"]) {
        partition.def_memory = def_memory;
    }
    if !sets(&["MaxMemPerNode", "MaxMemPerCPU"]) {
        partition.max_memory = max_memory;
    }
    let all = config.nodes.iter().map(|node| node.name.clone()).collect();
    members(partition, record, config, &all, &NodeSets::new(), report);
}

fn name(value: &str) -> Result<String, String> {
    if super::is_name(value) {
        Ok(value.to_owned())
    } else {
        Err("a name of letters, digits, `-', `_' and `.' is wanted".to_owned())
    }
}

/// select/linear gives each job whole nodes.
fn gives_whole_nodes(cluster: &Record) -> bool {
    cluster.text("SelectType").is_some_and(|value| value.to_ascii_lowercase().ends_with("linear"))
}

/// Everywhere, `CR_LLN` is what `LLN` is in a partition.
fn prefers_least_loaded(cluster: &Record) -> bool {
    let options = cluster.text("SelectTypeParameters").unwrap_or_default();
    options.split(',').any(|option| option.trim().eq_ignore_ascii_case("CR_LLN"))
}

fn node_sets(
    config: &Config,
    all: &BTreeSet<String>,
    lines: &[Line],
    report: &mut Report,
) -> NodeSets {
    let mut sets = NodeSets::new();
    for Line { place, record } in lines {
        let Some(name) = record.read("NodeSet", report, name) else { continue };
        let listed = record.read("Nodes", report, hostlist).unwrap_or_default();
        let listed: BTreeSet<String> = listed.iter().collect();
        let feature = record.text("Feature");
        let belongs = |node: &&super::NodeConf| {
            feature.is_some_and(|feature| node.features.iter().any(|has| has == feature))
                || listed.contains(&node.name)
        };
        let nodes = config.nodes.iter().filter(belongs).map(|node| node.name.clone()).collect();
        for unknown in listed.difference(all) {
            report.problem(place, format!("the node set {name} names {unknown}, which is no node"));
        }
        if all.contains(&name) || sets.contains_key(&name) {
            report.problem(place, format!("the name of the node set {name} is taken"));
        }
        sets.insert(name, nodes);
    }
    sets
}

/// Who may use the partition, and how.
fn access(partition: &mut PartitionConf, record: &Record, report: &mut Report) {
    record.set("Default", &mut partition.default, report, flag);
    record.set("Hidden", &mut partition.hidden, report, flag);
    record.set("RootOnly", &mut partition.root_only, report, flag);
    record.set("DisableRootJobs", &mut partition.disable_root_jobs, report, flag);
    let state = word(&[
        ("UP", PartitionState::Up),
        ("DOWN", PartitionState::Down),
        ("DRAIN", PartitionState::Drain),
        ("INACTIVE", PartitionState::Inactive),
    ]);
    record.set("State", &mut partition.state, report, state);
    record.set("PriorityTier", &mut partition.priority_tier, report, number(0..=65_533));
    let factor = &mut partition.priority_job_factor;
    record.set("PriorityJobFactor", factor, report, number(0..=65_533));
    preemption::of_partition(partition, record, report);
    record.set("AllowGroups", &mut partition.allow_groups, report, names);
    record.set("AllowAccounts", &mut partition.allow_accounts, report, names);
    record.set("DenyAccounts", &mut partition.deny_accounts, report, names);
    record.set("AllowQos", &mut partition.allow_qos, report, names);
    record.set("DenyQos", &mut partition.deny_qos, report, names);
    record.set("QOS", &mut partition.qos, report, |value| Ok(Some(value.to_lowercase())));
    record.set("TRESBillingWeights", &mut partition.billing_weights, report, |value| {
        priority::weights(value).map(|_| value.to_owned())
    });
    let is = |key: &str, word: &str| {
        record.text(key).is_some_and(|value| value.eq_ignore_ascii_case(word))
    };
    record.set("LLN", &mut partition.lln, report, flag);
    record.set("ExclusiveUser", &mut partition.exclusive_user, report, flag);
    if is("Exclusive", "USER") {
        partition.exclusive_user = true;
    }
    partition.exclusive = is("OverSubscribe", "EXCLUSIVE") || is("Exclusive", "NODE");
}

/// Names between commas; `ALL` stands for no list.
fn names(value: &str) -> Result<Vec<String>, String> {
    if value.eq_ignore_ascii_case("ALL") {
        return Ok(vec![]);
    }
    let names: Vec<String> = value.split(',').map(|name| name.trim().to_owned()).collect();
    let sound = |name: &String| !name.is_empty() && !name.contains(char::is_whitespace);
    if names.iter().all(sound) {
        Ok(names)
    } else {
        Err("names between commas are wanted, or ALL".to_owned())
    }
}

fn limits(partition: &mut PartitionConf, record: &Record, place: &Place, report: &mut Report) {
    record.set("MaxTime", &mut partition.max_time, report, time_limit);
    record.set("DefaultTime", &mut partition.default_time, report, |value| {
        let none = value.eq_ignore_ascii_case("NONE");
        if none { Ok(None) } else { time_limit(value).map(Some) }
    });
    record.set("MinNodes", &mut partition.min_nodes, report, number(0..=u32::MAX - 2));
    record.set("MaxNodes", &mut partition.max_nodes, report, number_or_unlimited);
    let cpus = &mut partition.max_cpus_per_node;
    record.set("MaxCPUsPerNode", cpus, report, number_or_unlimited);
    partition.def_memory = cluster::memory_per(record, "DefMemPerNode", "DefMemPerCPU", report);
    partition.max_memory = cluster::memory_per(record, "MaxMemPerNode", "MaxMemPerCPU", report);
    let PartitionConf { name, min_nodes, max_nodes, max_time, default_time, .. } = &*partition;
    if max_nodes.is_some_and(|most| most < *min_nodes) {
        report.problem(place, format!("the partition {name} has MinNodes above MaxNodes"));
    }
    // Unlimited is the greatest of time limits.
    if default_time.is_some_and(|default: TimeLimit| default > *max_time) {
        report.problem(place, format!("the partition {name} has DefaultTime above MaxTime"));
    }
}

/// The nodes that `Nodes` lists, in the configuration's order.
fn members(
    partition: &mut PartitionConf,
    record: &Record,
    config: &Config,
    all: &BTreeSet<String>,
    sets: &NodeSets,
    report: &mut Report,
) {
    let Some(Setting { value, place }) = record.get("Nodes") else { return };
    partition.nodes_text.clone_from(value);
    let Some(listed) = record.read("Nodes", report, hostlist) else { return };
    let mut chosen: BTreeSet<String> = BTreeSet::new();
    for name in listed.iter() {
        if name.eq_ignore_ascii_case("ALL") {
            chosen.extend(all.iter().cloned());
        } else if let Some(set) = sets.get(&name) {
            chosen.extend(set.iter().cloned());
        } else if all.contains(&name) {
            chosen.insert(name);
        } else {
            let text = format!("the partition {} names {name}, which is no node", partition.name);
            report.problem(place, text);
        }
    }
    let names = config.nodes.iter().map(|node| &node.name);
    partition.nodes = names.filter(|name| chosen.contains(*name)).cloned().collect();
}

/// Lets one partition at most be the default one.
fn defaults(
    config: &mut Config,
    places: &BTreeMap<String, &Place>,
    whole: &Place,
    report: &mut Report,
) {
    let mut later = false;
    for partition in config.partitions.iter_mut().rev().filter(|partition| partition.default) {
        if later && let Some(place) = places.get(&partition.name) {
            let text = format!("a later partition is the default in place of {}", partition.name);
            report.warning(place, text);
        }
        partition.default = !later;
        later = true;
    }
    if config.partitions.is_empty() {
        report.warning(whole, "no partition is configured: no PartitionName is set");
    } else if !later {
        report.warning(whole, "no partition is the default: each job has to name its own");
    }
}
