//! The cluster's configuration: what `slurm.conf` says, checked, with every default filled in.
//!
//! **Invariant:** plain data. It enters the log as an event, so that every replica has the same.

use std::collections::BTreeMap;

use crate::{job::OpenMode, time::TimeLimit};

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub cluster_name: String,
    pub controllers: Vec<ControllerConf>,
    /// `SlurmUser`: may do everything, as root may.
    pub slurm_user: String,
    /// Seconds without a word after which a node is down. 0: never.
    pub slurmd_timeout: u32,
    /// Seconds.
    pub slurmctld_timeout: u32,
    /// Seconds that a command waits for an answer.
    pub message_timeout: u32,
    /// Seconds between SIGTERM and SIGKILL.
    pub kill_wait: u32,
    /// Seconds that an ended job stays in the live state. 0: for ever.
    pub min_job_age: u32,
    pub max_job_count: u32,
    pub first_job_id: u32,
    pub max_job_id: u32,
    /// 0, 1 or 2.
    pub return_to_service: u8,
    /// `JobRequeue`: whether jobs that do not say are requeued when a node fails.
    pub job_requeue: bool,
    /// `JobFileAppend`.
    pub job_file_append: bool,
    pub enforce_part_limits: EnforcePartLimits,
    /// Whether memory is a consumable resource (`SelectTypeParameters=CR_..._Memory`).
    pub select_memory: bool,
    pub def_memory: MemoryPer,
    pub max_memory: MemoryPer,
    /// Bytes; the largest batch script or environment.
    pub max_script_size: u64,
    /// Whether mail can be sent (`MailProg` names a program of the site's own).
    pub mail_prog: Option<String>,
    /// Milliseconds.
    pub heartbeat_ms: u32,
    /// Milliseconds, the least and the most.
    pub election_timeout_ms: (u32, u32),
    /// Days that the history is kept. 0: for ever.
    pub history_retention_days: u32,
    /// Hosts whose `rafterd` may vouch for any user of theirs.
    pub login_hosts: Vec<String>,
    pub nodes: Vec<NodeConf>,
    pub partitions: Vec<PartitionConf>,
    /// Every key that was set outside node and partition lines, as it was written.
    pub settings: BTreeMap<String, String>,
}

/// A controller (`SlurmctldHost=name(address)`), in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerConf {
    pub name: String,
    pub address: String,
    pub port: u16,
}

/// What `EnforcePartLimits` says of jobs that a partition can't hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnforcePartLimits {
    /// They wait.
    No,
    /// They are refused where no partition of theirs can hold them.
    Any,
    /// They are refused where one partition of theirs can't hold them.
    All,
}

/// A default or a limit of memory, in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryPer {
    Unlimited,
    Node(u64),
    Cpu(u64),
}

/// One node, after `NodeName=DEFAULT` and hostlists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConf {
    pub name: String,
    pub hostname: String,
    pub address: String,
    pub port: u16,
    pub cpus: u32,
    pub boards: u32,
    pub sockets: u32,
    pub cores_per_socket: u32,
    pub threads_per_core: u32,
    pub real_memory_mib: u64,
    pub tmp_disk_mib: u64,
    pub weight: u32,
    pub features: Vec<String>,
    pub state: ConfiguredState,
    pub reason: Option<String>,
}

/// The state that a node begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfiguredState {
    Unknown,
    Down,
    Drain,
}

/// One partition, after `PartitionName=DEFAULT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionConf {
    pub name: String,
    /// In the configuration's order.
    pub nodes: Vec<String>,
    /// `Nodes=` as it was written.
    pub nodes_text: String,
    pub default: bool,
    pub state: PartitionState,
    pub max_time: TimeLimit,
    pub default_time: Option<TimeLimit>,
    pub min_nodes: u32,
    pub max_nodes: Option<u32>,
    pub max_cpus_per_node: Option<u32>,
    pub priority_tier: u16,
    pub priority_job_factor: u16,
    /// `OverSubscribe=EXCLUSIVE`: every job gets whole nodes.
    pub exclusive: bool,
    pub hidden: bool,
    pub root_only: bool,
    pub disable_root_jobs: bool,
    /// None: the cluster's.
    pub def_memory: Option<MemoryPer>,
    /// None: the cluster's.
    pub max_memory: Option<MemoryPer>,
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

impl Config {
    /// How files of a job that does not say are opened.
    #[must_use]
    pub fn open_mode(&self) -> OpenMode {
        if self.job_file_append { OpenMode::Append } else { OpenMode::Truncate }
    }

    #[must_use]
    pub fn node(&self, name: &str) -> Option<&NodeConf> {
        self.nodes.iter().find(|node| node.name == name)
    }

    #[must_use]
    pub fn partition(&self, name: &str) -> Option<&PartitionConf> {
        self.partitions.iter().find(|partition| partition.name == name)
    }

    #[must_use]
    pub fn default_partition(&self) -> Option<&PartitionConf> {
        self.partitions.iter().find(|partition| partition.default)
    }
}
