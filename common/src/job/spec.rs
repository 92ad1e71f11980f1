//! What a job asks for.

use std::sync::Arc;

use super::{ArraySpec, AskChanges, Asks, Constraint, Dependency, HetPart};
use crate::{
    gres::GresRequest,
    id::{ContentHash, GroupId, NodeName, PartitionName, UserId},
    time::{Span, TimeLimit, Timestamp},
};

/// A job as its owner asked for it, with the cluster's defaults filled in where it entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSpec {
    pub name: String,
    pub user: UserId,
    pub user_name: String,
    pub group: GroupId,
    pub group_name: String,
    /// Empty in a submission that names none: the default partition is filled in.
    pub partition: PartitionName,
    pub account: Option<String>,
    /// `--qos`, or the default that was filled in; none where no QOS are known.
    pub qos: Option<String>,
    pub layout: Layout,
    pub memory: MemoryRequest,
    /// None: the partition's default holds.
    pub time_limit: Option<TimeLimit>,
    /// `--nodelist`: the job runs on at least these.
    pub required_nodes: Vec<NodeName>,
    /// `--exclude`: the job runs on none of these.
    pub excluded_nodes: Vec<NodeName>,
    /// `--exclusive`: whole nodes.
    pub exclusive: bool,
    pub hold: bool,
    /// `--begin`: not before this moment.
    pub begin: Option<Timestamp>,
    /// None: `JobRequeue` of the configuration holds.
    pub requeue: Option<bool>,
    /// Lowers the priority by as much; negative only for operators.
    pub nice: i64,
    pub warn_signal: Option<WarnSignal>,
    pub comment: Option<String>,
    /// The batch script's content.
    pub script: ContentHash,
    /// The environment, as `NAME=value` texts, each followed by a NUL.
    pub environment: ContentHash,
    /// What follows the script's name on the command line.
    pub arguments: Vec<String>,
    /// The script's path as `Command=` shows it; none for `--wrap`.
    pub command: Option<String>,
    pub work_dir: String,
    /// Patterns of file names (`%j` ...); none: Slurm's default.
    pub std_in: Option<String>,
    pub std_out: Option<String>,
    pub std_err: Option<String>,
    /// None: `JobFileAppend` of the configuration holds.
    pub open_mode: Option<OpenMode>,
    /// What `SLURM_EXPORT_ENV` is set to, where `--export` was given.
    pub export: Option<String>,
    pub submit_line: String,
    pub submit_host: String,
    /// The session of the submitting process (`AllocNode:Sid=`).
    pub session: u32,
    pub umask: u32,
    pub limits: Vec<ResourceLimit>,
    /// W3C trace context of the submission, which the whole life of the job continues.
    pub trace: Option<String>,
    /// `--dependency`, with what had become of each condition when the job came in.
    pub dependency: Option<Arc<Dependency>>,
    /// `--kill-on-invalid-dep`; none: `kill_invalid_depend` of the configuration holds.
    pub kill_on_invalid_dep: Option<bool>,
    /// `--array`.
    pub array: Option<Arc<ArraySpec>>,
    /// `--constraint`: what its nodes must have.
    pub constraint: Option<Arc<Constraint>>,
    /// `--tmp`: MiB of temporary disk that each node must be configured with.
    pub tmp_disk_mib: u64,
    /// `--reservation`: it waits for one of these.
    pub reservations: Vec<String>,
    /// `--gres`, `--gpus` and what is said of GPUs beside; none where none are asked for.
    pub gres: Option<Arc<GresRequest>>,
    /// What few jobs ask for; none where it asks for none of it.
    pub asks: Option<Arc<Asks>>,
    /// Which component of a heterogeneous job it is. Said where it enters.
    pub het: Option<HetPart>,
}

/// What a job asks that asks for no constraint.
static ANYTHING: Constraint = Constraint::NONE;

static NOTHING: Asks = Asks::NONE;

impl JobSpec {
    /// What its nodes must have, which may be nothing.
    #[must_use]
    pub fn constraint(&self) -> &Constraint {
        self.constraint.as_deref().unwrap_or(&ANYTHING)
    }

    /// What few jobs ask for, which may be nothing.
    #[must_use]
    pub fn asks(&self) -> &Asks {
        self.asks.as_deref().unwrap_or(&NOTHING)
    }

    /// The shortest limit that it can do with, where `limit` is what it asks for.
    #[must_use]
    pub fn least_limit(&self, limit: TimeLimit) -> TimeLimit {
        let Asks { deadline, time_min, .. } = self.asks();
        let anything = deadline.is_some() && self.time_limit.is_none();
        let least = time_min.or(anything.then_some(TimeLimit::Minutes(1)));
        least.map_or(limit, |least| least.min(limit))
    }

    /// What asks for nothing: one task of root's, with all defaults. Tests and loads change what
    /// they are about; who takes a job from a person names every field.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            name: "job".to_owned(),
            user: UserId(0),
            user_name: "root".to_owned(),
            group: GroupId(0),
            group_name: "root".to_owned(),
            partition: PartitionName::from(""),
            account: None,
            qos: None,
            layout: Layout::SINGLE,
            memory: MemoryRequest::Default,
            time_limit: None,
            required_nodes: vec![],
            excluded_nodes: vec![],
            exclusive: false,
            hold: false,
            begin: None,
            requeue: None,
            nice: 0,
            warn_signal: None,
            comment: None,
            script: ContentHash::default(),
            environment: ContentHash::default(),
            arguments: vec![],
            command: None,
            work_dir: "/tmp".to_owned(),
            std_in: None,
            std_out: None,
            std_err: None,
            open_mode: None,
            export: None,
            submit_line: "sbatch".to_owned(),
            submit_host: "login".to_owned(),
            session: 1,
            umask: 0o022,
            limits: vec![],
            trace: None,
            dependency: None,
            kill_on_invalid_dep: None,
            array: None,
            constraint: None,
            tmp_disk_mib: 0,
            reservations: vec![],
            gres: None,
            asks: None,
            het: None,
        }
    }
}

/// How many nodes, tasks and CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub min_nodes: u32,
    /// None: as many as `min_nodes`, or more where the tasks need them.
    pub max_nodes: Option<u32>,
    /// Whether `--nodes` was given, by option, environment or script.
    pub nodes_given: bool,
    pub tasks: u32,
    pub tasks_given: bool,
    /// None: not given, which counts as 1.
    pub cpus_per_task: Option<u32>,
    pub tasks_per_node: Option<u32>,
    /// `--mincpus`: at least this many CPUs on each node.
    pub min_cpus_per_node: Option<u32>,
}

impl Layout {
    /// One task of one CPU on one node.
    pub const SINGLE: Self = Self {
        min_nodes: 1,
        max_nodes: None,
        nodes_given: false,
        tasks: 1,
        tasks_given: false,
        cpus_per_task: None,
        tasks_per_node: None,
        min_cpus_per_node: None,
    };

    /// All the CPUs that the tasks need. Saturates.
    #[must_use]
    pub fn cpus(&self) -> u32 {
        self.tasks.saturating_mul(self.cpus_per_task.unwrap_or(1))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryRequest {
    /// Not given: the partition's or the cluster's default holds.
    Default,
    /// `--mem`, in MiB; 0 is all that a node has.
    PerNode(u64),
    /// `--mem-per-cpu`, in MiB.
    PerCpu(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    Append,
    Truncate,
}

/// `--signal`: a signal that the job gets before its time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarnSignal {
    pub signal: u8,
    /// How long before the limit.
    pub before: Span,
    /// `B:`: only the batch shell gets it.
    pub batch_only: bool,
}

/// Which processes of a job a signal goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalScope {
    /// The job's steps, not the batch shell: what `scancel --signal` does by itself.
    Steps,
    /// The batch shell alone (`scancel --batch`).
    Batch,
    /// The batch shell and all its descendants (`scancel --full`).
    Full,
}

/// A soft and a hard limit of setrlimit(2), by Linux's number; `u64::MAX` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimit {
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

/// What `scontrol update job` changes; what is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobChanges {
    pub name: Option<String>,
    pub partition: Option<PartitionName>,
    pub time_limit: Option<TimeLimit>,
    /// Zero holds the job.
    pub priority: Option<u32>,
    pub nice: Option<i64>,
    pub begin: Option<Timestamp>,
    pub comment: Option<String>,
    pub requeue: Option<bool>,
    pub min_nodes: Option<u32>,
    /// Set together with `min_nodes`.
    pub max_nodes: Option<u32>,
    pub tasks: Option<u32>,
    pub cpus_per_task: Option<u32>,
    pub memory: Option<MemoryRequest>,
    pub required_nodes: Option<Vec<NodeName>>,
    pub excluded_nodes: Option<Vec<NodeName>>,
    pub std_out: Option<String>,
    pub std_err: Option<String>,
    /// One without conditions: the job waits for nothing any more.
    pub dependency: Option<Arc<Dependency>>,
    /// How many tasks of its array may run at a time; 0: all.
    pub array_limit: Option<u32>,
    /// An empty one: any nodes will do.
    pub constraint: Option<Arc<Constraint>>,
    pub tmp_disk_mib: Option<u64>,
    /// An empty one: the user's default.
    pub account: Option<String>,
    pub qos: Option<String>,
    pub asks: AskChanges,
    /// None in it: the job waits for no reservation any more.
    pub reservations: Option<Vec<String>>,
}
