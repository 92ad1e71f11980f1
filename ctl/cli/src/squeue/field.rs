//! What `squeue` can show of a job.

use std::fmt::Write as _;

use common::{
    size::Mib,
    time::{Span, Timestamp},
};

use crate::{
    render::{Clock, clock::put_brief},
    view::{Job, asks::any, job},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Account,
    AllocNode,
    AllocSession,
    ArrayId,
    ArrayTask,
    BatchHost,
    Cluster,
    Command,
    Comment,
    Constraint,
    Cpus,
    CpusPerTask,
    CpusPerTres,
    Dependency,
    ExcNodes,
    Contiguous,
    Few(Few),
    Exclusive,
    ExitCode,
    Group,
    GroupId,
    Het(Het),
    JobId,
    Licenses,
    LicensesAlloc,
    /// The job's own number, whatever array it belongs to.
    Number,
    MaxNodes,
    MemPerTres,
    MinCpus,
    MinMemory,
    MinTmpDisk,
    Name,
    Nice,
    NodeCount,
    Nodes,
    NodesOrReason,
    Partition,
    Priority,
    PriorityLong,
    Qos,
    Reason,
    ReqNodes,
    Req(Topology),
    Requeue,
    Reservation,
    Restarts,
    State,
    StateCompact,
    Tasks,
    TasksPerNode,
    TresAlloc,
    TresPerJob,
    TresPerNode,
    TresPerTask,
    User,
    UserId,
    WorkDir,
    Time(Time),
    File(File),
    /// What Slurm shows of what no job has here.
    Fixed(&'static str),
}

/// Of a component of a heterogeneous job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Het {
    Leader,
    Offset,
    Set,
}

/// What a job asks of its nodes' sockets, cores and threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    Sockets,
    Cores,
    Threads,
    All,
}

/// Moments and lengths of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    Accrue,
    Deadline,
    Eligible,
    End,
    LastEvaluated,
    Least,
    Left,
    Limit,
    Pending,
    Preempted,
    Start,
    Submit,
    Used,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    In,
    Out,
    Err,
}

/// How fields are written.
pub(crate) struct Style<'a> {
    pub(crate) clock: &'a Clock,
    pub(crate) cluster: &'a str,
    /// `--noconvert`: memory in MiB, however much it is.
    pub(crate) no_convert: bool,
    /// `--expand-patterns`.
    pub(crate) expand: bool,
}

const NULL: &str = "(null)";

impl Field {
    /// Whether it is in the part of the specification that is fetched only when asked for.
    pub(super) fn needs_whole(self) -> bool {
        matches!(self, Self::Command | Self::File(_) | Self::WorkDir)
    }

    /// Appends its value.
    #[expect(clippy::too_many_lines, reason = "a line for each field")]
    pub(crate) fn put(self, out: &mut String, job: &Job<'_>, style: &Style<'_>) {
        match self {
            Self::Account => out.push_str(job.spec.account.as_deref().unwrap_or(NULL)),
            Self::AllocNode => out.push_str(&job.spec.submit_host),
            Self::AllocSession => put_number(out, job.spec.session),
            Self::ArrayId => put_number(out, job.array().unwrap_or(job.id())),
            Self::ArrayTask => out.push_str(job.task_text().as_deref().unwrap_or("N/A")),
            Self::BatchHost => out.push_str(job.batch_host().unwrap_or("n/a")),
            Self::Cluster => out.push_str(style.cluster),
            Self::Command => out.push_str(job.command().as_deref().unwrap_or(NULL)),
            Self::Comment => out.push_str(job.spec.comment.as_deref().unwrap_or(NULL)),
            Self::Constraint => out.push_str(job.spec.constraint.as_deref().unwrap_or(NULL)),
            Self::Cpus => put_number(out, job.cpus()),
            Self::CpusPerTask => put_number(out, job.cpus_per_task()),
            Self::CpusPerTres => put_tres(out, job.cpus_per_tres()),
            Self::Dependency => out.push_str(job.dependency().as_deref().unwrap_or(NULL)),
            Self::ExcNodes => put_list(out, &job.spec.excluded_nodes),
            Self::Few(few) => few.put(out, job),
            Self::Contiguous => out.push_str(if job.placing().contiguous { "1" } else { "0" }),
            Self::Exclusive => out.push_str(job.exclusive()),
            Self::ExitCode => out.push_str(&job.exit_code()),
            Self::Req(topology) => topology.put(out, job),
            Self::Fixed(text) => out.push_str(text),
            Self::Reservation => out.push_str(job.reservation().as_deref().unwrap_or(NULL)),
            Self::Group => out.push_str(&job.spec.group_name),
            Self::GroupId => put_number(out, job.spec.group),
            Self::Het(het) => het.put(out, job),
            Self::JobId => job.put_id(out),
            Self::Licenses => out.push_str(job.licenses().unwrap_or(NULL)),
            Self::LicensesAlloc => out.push_str(job.licenses_allocated().unwrap_or(NULL)),
            Self::Number => put_number(out, job.id()),
            Self::MaxNodes => {
                put_number(out, job.layout.max_nodes.unwrap_or(0).max(job.node_count()));
            }
            Self::MemPerTres => put_tres(out, job.mem_per_tres()),
            Self::MinCpus => put_number(out, job.min_cpus()),
            Self::MinMemory => put_memory(out, job.memory_mib(), style.no_convert),
            Self::MinTmpDisk => put_memory(out, job.spec.tmp_disk_mib, style.no_convert),
            Self::Name => out.push_str(&job.spec.name),
            Self::Nice => put_number(out, job.spec.nice),
            Self::NodeCount => put_number(out, job.node_count()),
            Self::Nodes => job.put_nodes(out),
            Self::NodesOrReason if job.shows_reason() => {
                out.push('(');
                out.push_str(&job.reason());
                out.push(')');
            }
            Self::NodesOrReason => job.put_nodes(out),
            Self::Partition => out.push_str(&job.job.partition),
            Self::Priority => put_share(out, job.job.priority),
            Self::PriorityLong => put_number(out, job.job.priority),
            Self::Qos => out.push_str(job.spec.qos.as_deref().unwrap_or(NULL)),
            Self::Reason => out.push_str(&job.reason()),
            Self::ReqNodes => put_list(out, &job.spec.required_nodes),
            Self::Requeue => out.push(if job.job.requeue { '1' } else { '0' }),
            Self::Restarts => put_number(out, job.job.restarts),
            Self::State => out.push_str(job.state().name()),
            Self::StateCompact => out.push_str(job.state().compact()),
            Self::File(file) => file.put(out, job, style.expand),
            Self::Tasks => put_number(out, job.layout.tasks),
            Self::TasksPerNode => put_number(out, job.layout.tasks_per_node.unwrap_or(0)),
            Self::TresAlloc => {
                out.push_str(&job.allocated().unwrap_or_else(|| job.requested()));
            }
            Self::TresPerJob => put_tres(out, job.tres_per_job()),
            Self::TresPerNode => put_tres(out, job.tres_per_node()),
            Self::TresPerTask => put_tres(out, job.tres_per_task()),
            Self::User => out.push_str(&job.spec.user_name),
            Self::UserId => put_number(out, job.spec.user),
            Self::WorkDir => out.push_str(&job.spec.work_dir),
            Self::Time(time) => time.put(out, job, style.clock),
        }
    }
}

/// A priority as a part of the highest.
fn put_share(out: &mut String, priority: u32) {
    let share = f64::from(priority) / f64::from(u32::MAX);
    write!(out, "{share:.14}").expect("a String takes it");
}

/// What is asked of switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Few {
    Switches,
    Wait,
}

impl Few {
    fn put(self, out: &mut String, job: &Job<'_>) {
        match self {
            Self::Switches => put_number(out, job.switches().map_or(0, |few| few.most)),
            Self::Wait => put_brief(out, job.switch_wait()),
        }
    }
}

impl Het {
    fn put(self, out: &mut String, job: &Job<'_>) {
        let part = job.het();
        let text = match self {
            Self::Leader => part.map(|part| part.leader.to_string()),
            Self::Offset => part.map(|part| part.offset.to_string()),
            Self::Set => job.het_set(),
        };
        put_tres(out, text);
    }
}

impl Topology {
    fn put(self, out: &mut String, job: &Job<'_>) {
        let cores = job.cores();
        let [sockets, cores, threads] = [cores.sockets, cores.cores, cores.threads].map(any);
        let text = match self {
            Self::Sockets => sockets,
            Self::Cores => cores,
            Self::Threads => threads,
            Self::All => format!("{sockets}:{cores}:{threads}"),
        };
        out.push_str(&text);
    }
}

impl Time {
    fn put(self, out: &mut String, job: &Job<'_>, clock: &Clock) {
        match self {
            Self::Accrue => clock.put(out, job.accrues_since(), "N/A"),
            Self::Eligible => clock.put(out, job.eligible(), "N/A"),
            Self::End => match job.finish() {
                Ok(at) => clock.put(out, at, "N/A"),
                Err(job::NoLimit) => out.push_str("NONE"),
            },
            Self::LastEvaluated => {
                clock.put(out, job.run().map(|run| Timestamp(run.started)), "N/A");
            }
            Self::Pending => {
                let until = job.run().map_or(job.now, |run| Timestamp(run.started));
                put_number(out, until.since(Timestamp(job.job.submitted)).seconds());
            }
            Self::Preempted => clock.put(out, job.preempted(), "N/A"),
            Self::Start => clock.put(out, job.start(), "N/A"),
            Self::Submit => clock.put(out, Some(Timestamp(job.job.submitted)), "N/A"),
            Self::Left => match job.time_left() {
                Some(left) => put_brief(out, left),
                None => out.push_str("UNLIMITED"),
            },
            Self::Limit => match job.time_limit().span() {
                Some(limit) => put_brief(out, limit),
                None => out.push_str("UNLIMITED"),
            },
            Self::Deadline => clock.put(out, job.deadline(), "N/A"),
            Self::Least => put_brief(out, job.time_min().unwrap_or(Span(0))),
            Self::Used => put_brief(out, job.elapsed()),
        }
    }
}

impl File {
    /// Appends the file's name, with its patterns as they are unless they are to be filled in.
    fn put(self, out: &mut String, job: &Job<'_>, expand: bool) {
        let file = match self {
            Self::Err => job.std_err(),
            Self::In => Some(job.std_in()),
            // The default is shown without its folder, unless it is filled in.
            Self::Out if job.spec.std_out.is_none() && !expand => {
                Some(job.default_output().to_owned())
            }
            Self::Out => Some(job.std_out()),
        };
        match file {
            Some(file) if expand => out.push_str(&job.expanded(&file)),
            Some(file) => out.push_str(&file),
            None => out.push_str(NULL),
        }
    }
}

fn put_number(out: &mut String, number: impl std::fmt::Display) {
    write!(out, "{number}").expect("a String takes it");
}

fn put_tres(out: &mut String, text: Option<String>) {
    out.push_str(text.as_deref().unwrap_or("N/A"));
}

fn put_list(out: &mut String, names: &[String]) {
    if !names.is_empty() {
        out.push_str(&job::list(names));
    }
}

pub(crate) fn put_memory(out: &mut String, mib: u64, no_convert: bool) {
    match mib {
        0 => out.push('0'),
        mib if no_convert => write!(out, "{mib}M").expect("a String takes it"),
        mib => write!(out, "{}", Mib(mib)).expect("a String takes it"),
    }
}
