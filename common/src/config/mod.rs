//! The cluster's configuration: what `slurm.conf` says, checked, with every default filled in.
//!
//! [`parse`] reads the file and what it includes; [`check`] does the same and says of each key
//! what becomes of it. Formats, keys and defaults are those of slurm.conf(5).
//!
//! **Invariant:** a [`Config`] is plain data. It enters the log as an event, so that every replica
//! has the same.

mod alter;
mod cluster;
mod controllers;
mod enforce;
mod gres_lines;
mod keys;
mod license;
mod node;
mod node_lines;
mod partition;
mod partition_lines;
mod preemption;
mod priority;
mod propagation;
mod record;
mod report;
mod sections;
mod shown;
mod source;
mod topology;

use std::{collections::BTreeMap, fmt::Display, path::Path};

pub use enforce::Enforce;
pub use gres_lines::MOST_KINDS;
pub use license::LicenseConf;
pub use node::{ConfiguredState, GresConf, NodeConf};
pub use partition::{PartitionConf, PartitionState};
pub(crate) use preemption::exempt as preempt_exempt;
pub use preemption::{PreemptMode, PreemptType, Preemption};
pub use priority::{Priority, Reset};
pub use report::{ConfigError, Fate, KeyFate, Place, Problem};
pub use shown::{Surroundings, shown};
pub use topology::{Branch, SwitchConf, Tree};

use crate::{
    cpus::Grain,
    job::{MAX_ARRAY_SIZE, OpenMode},
};

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub cluster_name: String,
    /// In the order of the file.
    pub controllers: Vec<ControllerConf>,
    /// `SlurmUser`: may do everything, as root may.
    pub slurm_user: String,
    /// `SlurmdUser`: the user that the nodes' daemons run as.
    pub slurmd_user: String,
    /// `StateSaveLocation`: each controller's own local store, shared with no other controller.
    pub state_save_location: String,
    /// `SlurmdSpoolDir`, in which `%h` and `%n` stand for the node: see [`Config::spool_dir`].
    pub slurmd_spool_dir: String,
    /// Seconds without a word after which a node is down. 0: never.
    pub slurmd_timeout: u32,
    /// Seconds. An upper bound for electing a leader, not the means of it.
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
    /// `AccountingStorageEnforce`.
    pub enforce: Enforce,
    pub preemption: Preemption,
    /// `kill_invalid_depend`: whether jobs that can never start are cancelled.
    pub kill_invalid_depend: bool,
    /// `MaxArraySize`: tasks' numbers are below it. 0: there are no arrays.
    pub max_array_size: u32,
    /// Whether memory is a consumable resource (`SelectTypeParameters=CR_..._Memory`).
    pub select_memory: bool,
    /// What CPUs are given out in, by the same key. `CR_Core_Memory` is slurm.conf(5)'s default; a
    /// configuration of a log that does not say it has single CPUs.
    pub grain: Grain,
    pub def_memory: MemoryPer,
    pub max_memory: MemoryPer,
    /// Bytes; the largest batch script or environment.
    pub max_script_size: u64,
    /// Milliseconds.
    pub heartbeat_ms: u32,
    /// Milliseconds, the least and the most.
    pub election_timeout_ms: (u32, u32),
    /// Days that the history is kept. 0: for ever.
    pub history_retention_days: u32,
    /// Batches of the log after which a snapshot is taken, and how many of those before it stay.
    pub snapshot_every: u32,
    pub log_keep: u32,
    /// Seconds that certificates of nodes and controllers count.
    pub certificate_lifetime_s: u32,
    /// Hosts and nodes whose `rafterd` may vouch for any user of theirs.
    pub login_hosts: Vec<String>,
    /// `GresTypes`: the names of generic resources that jobs may ask for.
    pub gres_types: Vec<String>,
    /// `Licenses`, in rising order of their names.
    pub licenses: Vec<LicenseConf>,
    /// In the order of the file.
    pub nodes: Vec<NodeConf>,
    /// `topology.conf`; none where the network is flat.
    pub switches: Vec<SwitchConf>,
    /// In the order of the file.
    pub partitions: Vec<PartitionConf>,
    /// Every key that was set outside node and partition lines, spelled as in the manual, with
    /// its value as it was written.
    pub settings: BTreeMap<String, String>,
}

/// What holds where the configuration says nothing of the log and of certificates.
pub const SNAPSHOT_EVERY: u32 = 50_000;
pub const LOG_KEEP: u32 = 10_000;
pub const CERTIFICATE_LIFETIME_S: u32 = 24 * 3_600;

/// A controller (`SlurmctldHost=name(address:port)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerConf {
    pub name: String,
    /// A name or an IP address; the controller's name where nothing else is said.
    pub address: String,
    /// `SlurmctldPort` where nothing else is said.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryPer {
    Unlimited,
    Node(u64),
    Cpu(u64),
}

/// What [`check`] finds.
#[derive(Clone, Debug)]
pub struct Checked {
    /// None: it can't be used, for there are problems.
    pub config: Option<Config>,
    pub problems: Vec<Problem>,
    /// What is odd, but can be used.
    pub warnings: Vec<Problem>,
    /// What becomes of each key, in the order of the file.
    pub fates: Vec<KeyFate>,
}

/// Reads a configuration: the file at `path`, and what it includes. `read` gives a file's text;
/// `Include` with a relative name means a file beside the first one.
///
/// # Errors
/// All that is wrong with it, each with file and line.
pub fn parse<E: Display>(
    path: &Path,
    read: impl FnMut(&Path) -> Result<String, E>,
) -> Result<Config, ConfigError> {
    let Checked { config, problems, .. } = check(path, read);
    config.ok_or(ConfigError { problems })
}

/// Does the same, and tells more: what becomes of each key, and what is odd.
pub fn check<E: Display>(path: &Path, mut read: impl FnMut(&Path) -> Result<String, E>) -> Checked {
    let mut report = report::Report::default();
    let mut read = |path: &Path| read(path).map_err(|error| error.to_string());
    let lines = source::lines(path, &mut read, &mut report);
    let sections = sections::Sections::sort(lines, &mut report);
    let whole = Place { file: path.display().to_string().into(), line: 0 };
    let config = sections.into_config(&whole, (path, &mut read), &mut report);
    let report::Report { mut problems, warnings, fates } = report;
    problems.sort_by(|left, right| left.place.cmp(&right.place));
    let config = problems.is_empty().then_some(config);
    Checked { config, problems, warnings, fates }
}

impl Config {
    /// A configuration that says nothing beyond the cluster's name: slurm.conf(5)'s defaults.
    #[must_use]
    pub fn defaults(cluster_name: &str) -> Self {
        Self {
            cluster_name: cluster_name.to_owned(),
            controllers: vec![],
            slurm_user: "root".to_owned(),
            slurmd_user: "root".to_owned(),
            state_save_location: "/var/spool".to_owned(),
            slurmd_spool_dir: "/var/spool/slurmd".to_owned(),
            slurmd_timeout: 300,
            slurmctld_timeout: 120,
            message_timeout: 10,
            kill_wait: 30,
            min_job_age: 300,
            max_job_count: 10_000,
            first_job_id: 1,
            max_job_id: 0x03ff_0000,
            return_to_service: 0,
            job_requeue: true,
            job_file_append: false,
            enforce_part_limits: EnforcePartLimits::No,
            enforce: Enforce::default(),
            preemption: Preemption::default(),
            kill_invalid_depend: false,
            max_array_size: MAX_ARRAY_SIZE,
            select_memory: true,
            grain: Grain::Cpu,
            def_memory: MemoryPer::Unlimited,
            max_memory: MemoryPer::Unlimited,
            max_script_size: 4 << 20,
            heartbeat_ms: 100,
            election_timeout_ms: (300, 600),
            history_retention_days: 0,
            snapshot_every: SNAPSHOT_EVERY,
            log_keep: LOG_KEEP,
            certificate_lifetime_s: CERTIFICATE_LIFETIME_S,
            login_hosts: vec![],
            gres_types: vec![],
            licenses: vec![],
            nodes: vec![],
            switches: vec![],
            partitions: vec![],
            settings: BTreeMap::new(),
        }
    }

    /// How files of a job that does not say are opened.
    #[must_use]
    pub fn open_mode(&self) -> OpenMode {
        if self.job_file_append { OpenMode::Append } else { OpenMode::Truncate }
    }

    /// The spool directory of a node's daemon: the first `%h` and the first `%n` are filled in.
    #[must_use]
    pub fn spool_dir(&self, node: &NodeConf) -> String {
        self.slurmd_spool_dir.replacen("%h", &node.hostname, 1).replacen("%n", &node.name, 1)
    }

    #[must_use]
    pub fn node(&self, name: &str) -> Option<&NodeConf> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The least format of the log ([`crate::machine::FORMAT`]) that can say all of it.
    #[must_use]
    pub fn format(&self) -> u32 {
        let newer = |conf: &PartitionConf| conf.has_rules() || conf.bounds_sharing();
        let newer = self.partitions.iter().any(newer);
        let accounts = self.enforce != Enforce::default();
        let newer = newer || !self.switches.is_empty();
        if newer || accounts || self.preemption.is_on() { 2 } else { 1 }
    }

    /// Whether jobs are bound to their CPUs: `TaskPlugin` says `task/affinity` or `task/cgroup`.
    #[must_use]
    pub fn binds_to_cpus(&self) -> bool {
        let binds = |plugin: &str| {
            let plugin = plugin.trim().to_ascii_lowercase();
            ["task/affinity", "affinity", "task/cgroup", "cgroup"].contains(&plugin.as_str())
        };
        self.settings.get("TaskPlugin").is_some_and(|plugins| plugins.split(',').any(binds))
    }

    /// `SelectTypeParameters`, as far as it says what is given out.
    #[must_use]
    pub fn select(&self) -> &'static str {
        match (self.grain, self.select_memory) {
            (Grain::Cpu, false) => "CR_CPU",
            (Grain::Cpu, true) => "CR_CPU_MEMORY",
            (Grain::Core, false) => "CR_CORE",
            (Grain::Core, true) => "CR_CORE_MEMORY",
            (Grain::Socket, false) => "CR_SOCKET",
            (Grain::Socket, true) => "CR_SOCKET_MEMORY",
        }
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

/// The longest name of a host, a node or a partition, in bytes.
const MAX_NAME: usize = 64;

/// Whether this can be the name of a host, a node or a partition: it becomes part of certificates,
/// lists and file names.
fn is_name(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME
        && bytes.iter().all(|byte| valid(*byte))
        && bytes.first().is_some_and(|first| !b"-.".contains(first))
}
