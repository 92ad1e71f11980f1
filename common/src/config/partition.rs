//! A partition, as configured.

use super::{MemoryPer, PreemptMode};
use crate::{job::Reason, time::TimeLimit};

/// One partition, after `PartitionName=DEFAULT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionConf {
    pub name: String,
    /// In the configuration's order, each once.
    pub nodes: Vec<String>,
    /// `Nodes=` as it was written.
    pub nodes_text: String,
    pub default: bool,
    pub state: PartitionState,
    pub max_time: TimeLimit,
    pub default_time: Option<TimeLimit>,
    pub min_nodes: u32,
    pub max_nodes: Option<u32>,
    /// `MaxCPUsPerNode`: its jobs have no more of a node's CPUs together.
    pub max_cpus_per_node: Option<u32>,
    pub priority_tier: u16,
    pub priority_job_factor: u16,
    /// `OverSubscribe=EXCLUSIVE`, `Exclusive=NODE`: every job gets whole nodes.
    pub exclusive: bool,
    /// `ExclusiveUser`: a node is for one user's jobs alone.
    pub exclusive_user: bool,
    /// `LLN`, or `CR_LLN`: jobs get the least loaded nodes.
    pub lln: bool,
    pub hidden: bool,
    pub root_only: bool,
    pub disable_root_jobs: bool,
    /// Whose users may submit; nobody is named where all may.
    pub allow_groups: Vec<String>,
    /// Whose jobs may run; none is named where all may.
    pub allow_accounts: Vec<String>,
    /// Whose jobs may not, where no account is allowed by name.
    pub deny_accounts: Vec<String>,
    /// Under which QOS jobs may run; none is named where all may.
    pub allow_qos: Vec<String>,
    /// Under which they may not, where no QOS is allowed by name.
    pub deny_qos: Vec<String>,
    /// `QOS`, in small letters: its limits hold for all jobs in the partition, whatever QOS they
    /// have, and go before those of theirs.
    pub qos: Option<String>,
    /// What becomes of its jobs that make way. None: as the cluster says.
    pub preempt_mode: Option<PreemptMode>,
    /// Seconds that they are given to end.
    pub grace_time: u32,
    /// None: the cluster's.
    pub def_memory: Option<MemoryPer>,
    /// None: the cluster's.
    pub max_memory: Option<MemoryPer>,
    /// `TRESBillingWeights`, as it was written ([`crate::account::TresWeights`]); empty: a CPU is
    /// a unit.
    pub billing_weights: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionState {
    Up,
    /// Queues, starts nothing.
    Down,
    /// Starts what it has, takes no more.
    Drain,
    /// Takes and starts nothing.
    Inactive,
}

impl PartitionState {
    /// Whether jobs may start in it.
    #[must_use]
    pub fn starts(self) -> bool {
        match self {
            Self::Up | Self::Drain => true,
            Self::Down | Self::Inactive => false,
        }
    }
}

impl PartitionConf {
    /// How many CPUs of a node with so many its jobs may have.
    #[must_use]
    pub fn cpus_of(&self, node: u32) -> u32 {
        self.max_cpus_per_node.map_or(node, |most| most.min(node))
    }

    /// Whether older formats of the log could not say what it says of sharing and choosing nodes.
    pub(super) fn bounds_sharing(&self) -> bool {
        self.exclusive_user || self.lln || self.max_cpus_per_node.is_some()
    }

    /// Whether it has a QOS, or is for some groups, accounts or QOS alone: nor that.
    pub(super) fn has_rules(&self) -> bool {
        let Self { allow_groups, allow_accounts, deny_accounts, allow_qos, deny_qos, .. } = self;
        let lists = [allow_groups, allow_accounts, deny_accounts, allow_qos, deny_qos];
        self.qos.is_some() || lists.iter().any(|names| !names.is_empty())
    }

    /// Whether jobs of the account may run in it (`AllowAccounts`, else `DenyAccounts`).
    #[must_use]
    pub fn admits_account(&self, account: Option<&str>) -> bool {
        admits(&self.allow_accounts, &self.deny_accounts, account)
    }

    /// Whether jobs under the QOS may run in it (`AllowQos`, else `DenyQos`).
    #[must_use]
    pub fn admits_qos(&self, qos: Option<&str>) -> bool {
        admits(&self.allow_qos, &self.deny_qos, qos)
    }

    /// Why no job of that account and QOS may run in it.
    #[must_use]
    pub fn bars(&self, account: Option<&str>, qos: Option<&str>) -> Option<Reason> {
        match (self.admits_account(account), self.admits_qos(qos)) {
            (false, _) => Some(Reason::AccountNotAllowed),
            (true, false) => Some(Reason::QosNotAllowed),
            (true, true) => None,
        }
    }

    /// A job's limit in it: what it asks for, else the default, else the maximum.
    #[must_use]
    pub fn time_limit(&self, asked: Option<TimeLimit>) -> TimeLimit {
        asked.or(self.default_time).unwrap_or(self.max_time)
    }

    /// A partition of which nothing is said beyond its name: slurm.conf(5)'s defaults.
    #[must_use]
    pub fn defaults(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            nodes: vec![],
            nodes_text: String::new(),
            default: false,
            state: PartitionState::Up,
            max_time: TimeLimit::Unlimited,
            default_time: None,
            min_nodes: 0,
            max_nodes: None,
            max_cpus_per_node: None,
            priority_tier: 1,
            priority_job_factor: 1,
            exclusive: false,
            exclusive_user: false,
            lln: false,
            hidden: false,
            root_only: false,
            disable_root_jobs: false,
            allow_groups: vec![],
            allow_accounts: vec![],
            deny_accounts: vec![],
            allow_qos: vec![],
            deny_qos: vec![],
            qos: None,
            preempt_mode: None,
            grace_time: 0,
            def_memory: None,
            max_memory: None,
            billing_weights: String::new(),
        }
    }
}

fn admits(allowed: &[String], denied: &[String], name: Option<&str>) -> bool {
    let names = |list: &[String]| {
        name.is_some_and(|name| list.iter().any(|one| one.eq_ignore_ascii_case(name)))
    };
    if allowed.is_empty() { !names(denied) } else { names(allowed) }
}
