//! The record of a run of real processes: what was done, what was seen, and what was broken when.
//!
//! The driver writes it while it runs and when it has healed the cluster; the checkers read it,
//! then and as often as anyone likes. A record is a folder:
//!
//! | file | holds |
//! |---|---|
//! | `run.json` | [`Run`]: seed, shape of the cluster, when what phase began |
//! | `operations.jsonl` | an [`Operation`] a line: what each client asked, and was answered |
//! | `faults.jsonl` | a [`Fault`] a line |
//! | `witness/NODE.jsonl` | a [`Witness`] a line, written by the jobs themselves |
//! | `log/CTL.jsonl` | a [`LogLine`] a line: the whole log as that controller has it |
//! | `watch/N.jsonl` | a [`Watched`] a line: what one who followed the events saw |
//! | `digests.json` | controller → [`Digest`] |
//!
//! All moments are nanoseconds of `CLOCK_MONOTONIC`, which is one clock for all namespaces of a
//! host, and which no fault of this harness touches.

mod files;

use std::collections::BTreeMap;

use common::machine::Entry;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

pub use files::{Folder, Lines, RecordError, append_line};

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub type Nanos = u64;

/// `CLOCK_MONOTONIC`, now.
#[must_use]
pub fn now() -> Nanos {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every kernel has this clock");
    let part = |value: i64| u64::try_from(value).expect("the clock began at 0");
    part(time.tv_sec()) * 1_000_000_000 + part(time.tv_nsec())
}

/// A whole record, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub run: Run,
    pub operations: Vec<Operation>,
    pub faults: Vec<Fault>,
    /// By node.
    pub witnesses: BTreeMap<String, Vec<Witness>>,
    /// By controller.
    pub logs: BTreeMap<String, Vec<LogLine>>,
    /// By watcher.
    pub watches: BTreeMap<String, Vec<Watched>>,
    /// By controller.
    pub digests: BTreeMap<String, Digest>,
}

/// What was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub seed: u64,
    /// What repeats it.
    pub command: String,
    /// The known bug that the programs were built with, if any.
    pub planted: Option<String>,
    /// Whatever else was given.
    pub options: BTreeMap<String, String>,
    /// Program or component → version.
    pub versions: BTreeMap<String, String>,
    pub controllers: Vec<String>,
    pub nodes: BTreeMap<String, NodeShape>,
    /// `SlurmdTimeout` of the cluster's configuration, in seconds.
    pub slurmd_timeout_s: u64,
    /// The wall clock less `CLOCK_MONOTONIC`, in nanoseconds, of a process that no fault touches.
    pub wall_offset: i64,
    pub phases: Phases,
    /// What had not come within its bound after all was healed: a leader, a fresh write, an end of
    /// a job, a node that is up.
    pub unsettled: Vec<String>,
    /// What was left over at the end that belongs to no live job: processes, cgroups, mounts.
    pub orphans: Vec<String>,
}

/// A node, as it was configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeShape {
    pub cpus: u32,
    pub memory_mib: u64,
    pub gpus: Vec<String>,
}

/// When what began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// The cluster was up, and the clients began.
    pub began: Nanos,
    pub faults_began: Nanos,
    /// No fault is put from here on, and all are taken away.
    pub faults_ended: Nanos,
    /// All processes run again, all networks are whole.
    pub healed: Nanos,
    /// The record was taken.
    pub ended: Nanos,
}

/// One command of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub client: String,
    /// What `RAFTER_REQUEST_ID` was set to: 32 hexadecimal digits. None for what only reads.
    pub request: Option<String>,
    /// The uid that asked.
    pub user: u32,
    pub call: Call,
    /// Before the command was started.
    pub start: Nanos,
    /// After it had ended. Also of one whose outcome is unknown: it may be carried out later.
    pub end: Nanos,
    pub outcome: Outcome,
}

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Call {
    /// `sbatch`. The name is unlike any other's in the run.
    Submit { name: String, cpus: u32, hold: bool },
    /// `scancel -v JOB`: without `-v` it says nothing of a job that is over already.
    Cancel { job: u32 },
    /// `scontrol hold JOB`.
    Hold { job: u32 },
    /// `scontrol release JOB`.
    Release { job: u32 },
    /// `scontrol requeue JOB`.
    Requeue { job: u32 },
    /// `scontrol update jobid=JOB comment=COMMENT`. The comment is unlike any other's in the run.
    Update { job: u32, comment: String },
    /// `scontrol show job JOB`, and what shows the same.
    Query { job: u32 },
    /// `squeue`: all jobs, those that are over or not.
    List,
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It was submitted, and this is its number.
    Submitted { job: u32 },
    /// It was carried out.
    Done,
    /// How a job was.
    Seen(Seen),
    /// The states of all jobs that were shown, in Slurm's long words.
    Listed { jobs: Vec<(u32, String)> },
    /// The cluster said no, in these words: those of `slurm_strerror`, without what the command
    /// puts before them.
    Refused { words: String },
    /// No answer: it was not, or was, or will be carried out.
    Unknown { words: String },
}

/// How a job was shown. What was not shown is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Slurm's long word: `PENDING`, `RUNNING`, ...
    pub state: String,
    pub restarts: Option<u32>,
    pub comment: Option<String>,
    pub priority: Option<u32>,
}

/// Something that was broken on purpose, for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    #[serde(flatten)]
    pub kind: FaultKind,
    /// The hosts (controllers, nodes) that it was done to.
    pub on: Vec<String>,
    /// Before it was done.
    pub from: Nanos,
    /// After it was taken back: the process runs again, the link is whole. None: never.
    pub to: Option<Nanos>,
    /// Whether one of them led when it was done: who then waits for the next leader.
    pub leader: bool,
    /// For people.
    pub note: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum FaultKind {
    Kill,
    Pause,
    /// What the first of each pair sends does not reach the second.
    Cut {
        pairs: Vec<(String, String)>,
    },
    Delay {
        pairs: Vec<(String, String)>,
        millis: u64,
    },
    Loss {
        pairs: Vec<(String, String)>,
        percent: u32,
    },
    ClockJump {
        seconds: i64,
    },
    DiskFull,
    FsyncError,
    FsyncStall {
        millis: u64,
    },
    /// All processes of the host end at once, and its disk loses what was not synced.
    PowerCut,
    MemoryPressure,
    CertificateExpiry,
    /// A controller is added, removed or replaced.
    Membership,
    /// Restarted in good order.
    Restart,
    /// The leader hands over in good order.
    Takeover,
}

impl FaultKind {
    /// For people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Cut { .. } => "cut",
            Self::Delay { .. } => "delay",
            Self::Loss { .. } => "loss",
            Self::ClockJump { .. } => "clock jump",
            Self::DiskFull => "disk full",
            Self::FsyncError => "fsync error",
            Self::FsyncStall { .. } => "fsync stall",
            Self::PowerCut => "power cut",
            Self::MemoryPressure => "memory",
            Self::CertificateExpiry => "certificate",
            Self::Membership => "membership",
            Self::Restart => "restart",
            Self::Takeover => "takeover",
        }
    }

    /// The links that it is done to, each by who sends and who does not hear it.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String)] {
        match self {
            Self::Cut { pairs } | Self::Delay { pairs, .. } | Self::Loss { pairs, .. } => pairs,
            Self::Kill
            | Self::Pause
            | Self::ClockJump { .. }
            | Self::DiskFull
            | Self::FsyncError
            | Self::FsyncStall { .. }
            | Self::PowerCut
            | Self::MemoryPressure
            | Self::CertificateExpiry
            | Self::Membership
            | Self::Restart
            | Self::Takeover => &[],
        }
    }
}

/// What a job's own process wrote on its node's disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    pub moment: Moment,
    pub job: u32,
    /// `SLURM_RESTART_COUNT` and one.
    pub attempt: u32,
    pub pid: u32,
    pub at: Nanos,
    /// `SLURM_CPUS_ON_NODE`.
    pub cpus: u32,
    /// The GPUs that the job may use, by their names.
    pub gpus: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// The first that the process did; synced before anything else.
    Begin,
    /// Still there. Now and then, not synced.
    Alive,
    /// The last that it did; synced.
    End,
}

/// An entry of the log, as `rafter events --entries --json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The index in Raft's log: several entries share one where they were appended together.
    pub index: u64,
    /// The term of the leader that decided it.
    pub term: u64,
    /// Its place among that leader's entries.
    pub sequence: u64,
    /// The leader's wall clock, in milliseconds.
    pub at_ms: u64,
    /// The request that it answers.
    pub request: Option<String>,
    /// What its events are, for people.
    pub kinds: Vec<String>,
    /// The entry as the log holds it, without the contents of scripts and environments: a
    /// `rafter.log.v1.Entry`, in hexadecimal digits.
    pub entry: String,
}

/// An event, as `rafter events --follow --json` printed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// When it was read.
    pub seen: Nanos,
    pub index: u64,
    pub term: u64,
    pub at_ms: u64,
    pub kind: String,
    pub job: Option<u32>,
    pub node: Option<String>,
}

/// What a controller's state comes to, as `rafter digest --json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The last entry of Raft's log that was applied.
    pub index: u64,
    /// SHA-256 of the state's records, as a snapshot holds them.
    pub digest: String,
}

impl LogLine {
    /// The line for an entry of the log.
    #[must_use]
    pub fn of(index: u64, entry: &Entry) -> Self {
        files::log_line(index, entry)
    }

    /// The entry that it holds.
    ///
    /// # Errors
    /// Where it is no entry, or not the one that the rest of the line tells of.
    pub fn decode(&self) -> Result<Entry, String> {
        files::decode(self)
    }
}
