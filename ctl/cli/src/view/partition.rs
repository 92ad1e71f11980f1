//! A partition, and what `sinfo`, `scontrol` and JSON say of it.

use common::time::TimeLimit;
use proto::config::{Partition as Conf, PartitionState, PreemptMode, memory_per::Amount};
use serde_json::{Value, json};

use super::{Node, job::limit};
use crate::render::json::{infinite, maybe, number, or_infinite, unset};

/// A partition, and which of the answer's nodes are in it.
#[derive(Clone, Debug)]
pub(crate) struct Partition<'a> {
    pub(crate) conf: &'a Conf,
    /// In the order of the configuration.
    pub(crate) nodes: Vec<Node<'a>>,
}

impl<'a> Partition<'a> {
    /// Each partition with its nodes.
    pub(crate) fn all(confs: &'a [Conf], nodes: &[Node<'a>]) -> Vec<Self> {
        let by_name: std::collections::HashMap<&str, Node<'a>> =
            nodes.iter().map(|node| (node.name(), *node)).collect();
        let with_nodes = |conf: &'a Conf| Self {
            conf,
            nodes: conf.nodes.iter().filter_map(|name| by_name.get(&**name).copied()).collect(),
        };
        confs.iter().map(with_nodes).collect()
    }

    pub(crate) fn max_time(&self) -> TimeLimit {
        limit(self.conf.max_time.as_ref())
    }

    pub(crate) fn default_time(&self) -> Option<TimeLimit> {
        self.conf.default_time.as_ref().map(|time| limit(Some(time)))
    }

    /// `UP`, `DOWN`, `DRAIN` or `INACTIVE`.
    pub(crate) fn state(&self) -> &'static str {
        match self.conf.state() {
            PartitionState::Up | PartitionState::Unspecified => "UP",
            PartitionState::Down => "DOWN",
            PartitionState::Drain => "DRAIN",
            PartitionState::Inactive => "INACTIVE",
        }
    }

    /// What becomes of its jobs that make way; none where nobody does.
    pub(crate) fn preempt_mode(&self) -> Option<&'static str> {
        let mode = self.conf.preempt_mode.and_then(|mode| PreemptMode::try_from(mode).ok())?;
        Some(match mode {
            PreemptMode::Off | PreemptMode::Unspecified => "OFF",
            PreemptMode::Cancel => "CANCEL",
            PreemptMode::Requeue => "REQUEUE",
        })
    }

    /// Whom a node of it is for at a time: a job, a user's jobs, or all.
    pub(crate) fn exclusive(&self) -> &'static str {
        match (self.conf.exclusive, self.conf.exclusive_user) {
            (true, _) => "NODE",
            (false, true) => "USER",
            (false, false) => "NO",
        }
    }

    pub(crate) fn cpus(&self) -> u32 {
        self.nodes.iter().map(|node| node.total.cpus).sum()
    }

    pub(crate) fn memory_mib(&self) -> u64 {
        self.nodes.iter().map(|node| node.total.memory_mib).sum()
    }

    /// `TRES=`: all that it has.
    pub(crate) fn tres(&self) -> String {
        let (cpus, nodes) = (self.cpus(), self.nodes.len());
        let memory = common::size::Mib(self.memory_mib());
        format!("cpu={cpus},mem={memory},node={nodes},billing={cpus}")
    }

    pub(crate) fn default_memory(&self) -> Option<Amount> {
        self.conf.def_memory.as_ref().and_then(|memory| memory.amount)
    }

    pub(crate) fn max_memory(&self) -> Option<Amount> {
        self.conf.max_memory.as_ref().and_then(|memory| memory.amount)
    }

    /// As JSON has it, under `sinfo` and under `scontrol show partition`.
    pub(crate) fn json(&self) -> Value {
        let default = memory(self.default_memory());
        let nodes = common::hostlist::Hostlist::from_names(&self.conf.nodes).to_string();
        json!({
            "nodes": { "allowed_allocation": "", "configured": nodes, "total": self.nodes.len() },
            "accounts": {
                "allowed": self.conf.allow_accounts.join(","),
                "deny": self.conf.deny_accounts.join(","),
            },
            "groups": { "allowed": self.conf.allow_groups.join(",") },
            "qos": {
                "allowed": self.conf.allow_qos.join(","),
                "deny": self.conf.deny_qos.join(","),
                "assigned": self.conf.qos.as_deref().unwrap_or_default(),
            },
            "alternate": "",
            "tres": { "billing_weights": self.conf.billing_weights, "configured": self.tres() },
            "cluster": "",
            "select_type": ["NONE"],
            "cpus": { "task_binding": [], "total": self.cpus() },
            "defaults": {
                "memory_per_cpu": default.0,
                "partition_memory_per_cpu": default.1,
                "partition_memory_per_node": default.2,
                "time": self.default_time().map_or_else(unset, minutes),
                "job": "",
            },
            "flags": self.flags(),
            "partition": {
                "exclusive": self.exclusive(),
                "oversubscribe": "NO",
                "state": [self.state()],
            },
            "grace_time": self.conf.grace_time,
            "maximums": self.maximums(),
            "minimums": { "nodes": self.conf.min_nodes },
            "name": self.conf.name,
            "node_sets": "",
            "preempt_mode": [self.preempt_mode().unwrap_or("CLUSTER_GLOBAL")],
            "priority": {
                "job_factor": self.conf.priority_job_factor,
                "tier": self.conf.priority_tier,
            },
            "timeouts": { "resume": unset(), "suspend": unset() },
            "topology": "",
            "suspend_time": unset(),
        })
    }

    fn flags(&self) -> Value {
        let all = [
            ("DEFAULT", self.conf.default),
            ("HIDDEN", self.conf.hidden),
            ("LLN", self.conf.lln),
            ("NO_ROOT", self.conf.disable_root_jobs),
            ("ROOT_ONLY", self.conf.root_only),
        ];
        all.iter().filter(|(_, has)| *has).map(|(name, _)| json!(name)).collect()
    }

    fn maximums(&self) -> Value {
        let max = memory(self.max_memory());
        json!({
            "cpus_per_node": or_infinite(self.conf.max_cpus_per_node.map(u64::from)),
            "cpus_per_socket": infinite(),
            "memory_per_cpu": max.0,
            "partition_memory_per_cpu": max.1,
            "partition_memory_per_node": max.2,
            "nodes": or_infinite(self.conf.max_nodes.map(u64::from)),
            "shares": 0,
            "oversubscribe": { "jobs": 0, "flags": [] },
            "time": minutes(self.max_time()),
            "over_time_limit": unset(),
        })
    }
}

fn minutes(limit: TimeLimit) -> Value {
    match limit {
        TimeLimit::Minutes(minutes) => number(minutes.into()),
        TimeLimit::Unlimited => infinite(),
    }
}

/// The old way of telling it, for a CPU, and for a node. No limit counts as 0 for a node.
fn memory(amount: Option<Amount>) -> (u64, Value, Value) {
    match amount {
        Some(Amount::Cpu(mib)) => (mib, number(mib), unset()),
        Some(Amount::Node(mib)) => (0, maybe(None), number(mib)),
        None => (0, unset(), number(0)),
    }
}
