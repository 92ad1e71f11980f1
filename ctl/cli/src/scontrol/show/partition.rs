//! A partition's record.

use common::time::TimeLimit;
use proto::config::memory_per::Amount;

use super::{super::session::Flags, record::Record};
use crate::view::Partition;

/// Appends the record, in Slurm's order.
pub(in super::super) fn text(out: &mut String, partition: &Partition<'_>, flags: Flags) {
    let mut record = Record::new(out, flags.one_line);
    limits(&mut record, partition);
    let conf = partition.conf;
    record
        .pair("PriorityJobFactor", conf.priority_job_factor)
        .pair("PriorityTier", conf.priority_tier)
        .pair("RootOnly", yes(conf.root_only))
        .pair("ReqResv", "NO")
        .pair("OverSubscribe", if conf.exclusive { "EXCLUSIVE" } else { "NO" })
        .line();
    let mode = partition.preempt_mode().unwrap_or("OFF");
    record.pair("OverTimeLimit", "NONE").pair("PreemptMode", mode).line();
    record
        .pair("State", partition.state())
        .pair("TotalCPUs", partition.cpus())
        .pair("TotalNodes", partition.nodes.len())
        .pair("SelectTypeParameters", "NONE")
        .line();
    record.pair("JobDefaults", "(null)").line();
    let (default, default_mib) = memory("DefMemPer", partition.default_memory());
    let (max, max_mib) = memory("MaxMemPer", partition.max_memory());
    record.pair(&default, default_mib).pair(&max, max_mib).line();
    record.pair("TRES", partition.tres());
    if !conf.billing_weights.is_empty() {
        record.line().pair("TRESBillingWeights", &conf.billing_weights);
    }
    record.end();
}

fn limits(record: &mut Record<'_>, partition: &Partition<'_>) {
    let conf = partition.conf;
    let unlimited =
        |count: Option<u32>| count.map_or_else(|| "UNLIMITED".to_owned(), |n| n.to_string());
    record.pair("PartitionName", &conf.name).line();
    record.pair("AllowGroups", all_or(&conf.allow_groups));
    if conf.allow_accounts.is_empty() && !conf.deny_accounts.is_empty() {
        record.pair("DenyAccounts", conf.deny_accounts.join(","));
    } else {
        record.pair("AllowAccounts", all_or(&conf.allow_accounts));
    }
    if conf.allow_qos.is_empty() && !conf.deny_qos.is_empty() {
        record.pair("DenyQos", conf.deny_qos.join(",")).line();
    } else {
        record.pair("AllowQos", all_or(&conf.allow_qos)).line();
    }
    let qos = conf.qos.as_deref().unwrap_or("N/A");
    record.pair("AllocNodes", "ALL").pair("Default", yes(conf.default)).pair("QoS", qos).line();
    let default = partition.default_time().map(TimeLimit::padded);
    record
        .pair("DefaultTime", default.as_deref().unwrap_or("NONE"))
        .pair("DisableRootJobs", yes(conf.disable_root_jobs))
        .pair("Exclusive", partition.exclusive())
        .pair("GraceTime", conf.grace_time)
        .pair("Hidden", yes(conf.hidden))
        .line();
    record
        .pair("MaxNodes", unlimited(conf.max_nodes))
        .pair("MaxTime", partition.max_time().padded())
        .pair("MinNodes", conf.min_nodes)
        .pair("LLN", yes(conf.lln))
        .pair("MaxCPUsPerNode", unlimited(conf.max_cpus_per_node))
        .pair("MaxCPUsPerSocket", "UNLIMITED")
        .line();
    let nodes = common::hostlist::Hostlist::from_names(&conf.nodes);
    record.pair("Nodes", nodes).line();
}

fn all_or(names: &[String]) -> String {
    if names.is_empty() { "ALL".to_owned() } else { names.join(",") }
}

fn yes(yes: bool) -> &'static str {
    if yes { "YES" } else { "NO" }
}

/// The key says whether it is for a node or for a CPU.
fn memory(key: &str, amount: Option<Amount>) -> (String, String) {
    match amount {
        Some(Amount::Cpu(mib)) => (format!("{key}CPU"), mib.to_string()),
        Some(Amount::Node(mib)) => (format!("{key}Node"), mib.to_string()),
        None => (format!("{key}Node"), "UNLIMITED".to_owned()),
    }
}
