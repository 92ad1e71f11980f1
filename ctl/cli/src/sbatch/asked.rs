//! What is asked of a job, as the options say: from the script, the environment and the command
//! line, each going before the one before it.

mod apply;
mod asks;
mod gres;
mod signal;

use common::{
    count::Count,
    gres::GresRequest,
    job::{ArraySpec, Asks, Constraint, Dependency, MemoryRequest, OpenMode, WarnSignal},
    time::{TimeLimit, Timestamp},
};

pub(super) use self::apply::Setting;
use super::{limits::Propagate, table::Row};

/// Where an option stands. A later one goes before an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Of another component of a heterogeneous job.
    Earlier,
    Script,
    Environment,
    CommandLine,
}

/// An amount of memory, and where it was asked for: the two ways to ask exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) level: Level,
    pub(super) request: MemoryRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) account: Option<String>,
    pub(super) array: Option<ArraySpec>,
    pub(super) asks: Asks,
    pub(super) qos: Option<String>,
    pub(super) begin: Option<Timestamp>,
    pub(super) chdir: Option<String>,
    pub(super) clusters: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) constraint: Option<Constraint>,
    pub(super) cpus_per_task: Option<u32>,
    pub(super) dependency: Option<Dependency>,
    pub(super) std_err: Option<String>,
    pub(super) std_in: Option<String>,
    pub(super) std_out: Option<String>,
    pub(super) excluded: Vec<String>,
    pub(super) required: Vec<String>,
    pub(super) exclusive: bool,
    pub(super) export: Option<String>,
    pub(super) export_file: Option<String>,
    pub(super) gres: GresRequest,
    /// Where `--mem-per-gpu` was given.
    pub(super) gpu_memory_at: Option<Level>,
    pub(super) hold: bool,
    pub(super) ignore_pbs: bool,
    pub(super) kill_on_invalid_dep: Option<bool>,
    pub(super) name: Option<String>,
    pub(super) memory: Option<Memory>,
    pub(super) min_cpus: Option<u32>,
    pub(super) nice: i64,
    pub(super) nodefile: Vec<String>,
    pub(super) nodes: Option<Count>,
    pub(super) open_mode: Option<OpenMode>,
    pub(super) parsable: bool,
    pub(super) partition: Option<String>,
    pub(super) propagate: Propagate,
    pub(super) quiet: bool,
    pub(super) requeue: Option<bool>,
    pub(super) reservations: Vec<String>,
    pub(super) signal: Option<WarnSignal>,
    pub(super) tasks: Option<u32>,
    pub(super) tasks_per_node: Option<u32>,
    pub(super) test_only: bool,
    pub(super) time: Option<TimeLimit>,
    pub(super) tmp_disk_mib: u64,
    pub(super) verbose: u32,
    pub(super) wait: bool,
    pub(super) wrap: Option<String>,
    /// What is odd, but no reason to refuse.
    pub(super) remarks: Vec<String>,
    /// The options that hold, with their values, for `--verbose`.
    pub(super) given: std::collections::BTreeMap<&'static str, String>,
}

impl Asked {
    /// Notes that the option was given, for `--verbose`.
    fn note(&mut self, row: &'static Row, value: Option<&str>) {
        let value = value.map_or_else(|| "set".to_owned(), str::to_owned);
        self.given.insert(row.long, value);
    }
}
