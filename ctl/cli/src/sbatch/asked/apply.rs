//! What each option means.

use common::{
    count, date,
    hostlist::{Hostlist, HostlistError},
    job::{
        ArraySpec, Constraint, ConstraintError, Dependency, DependencyError, MOST_TASKS,
        MemoryRequest, OpenMode,
    },
    size,
    time::{TimeLimit, Timestamp},
};
use jiff::tz::TimeZone;

use super::{Asked, Level, Memory, gres, signal};
use crate::{
    options::getopt::{Getopt, Takes},
    sbatch::{
        complaint::Complaint,
        limits::Propagate,
        mail,
        table::{self, Opt, Row},
    },
};

/// What some options are read against.
#[derive(Clone, Copy, Debug)]
pub(in crate::sbatch) struct Setting<'a> {
    pub(in crate::sbatch) now: Timestamp,
    pub(in crate::sbatch) zone: &'a TimeZone,
    pub(in crate::sbatch) root: bool,
}

/// Slurm's niceness of a job that is to be nice, and no more.
const NICE: i64 = 100;

/// Beyond this Slurm takes no niceness (sbatch(1)).
const MOST_NICE: i64 = 2_147_483_645;

impl Asked {
    /// Goes through the words of a command line or of a script's directives. Returns what is no
    /// option.
    pub(in crate::sbatch) fn read(
        &mut self,
        level: Level,
        words: &[String],
        setting: Setting<'_>,
        called: &str,
    ) -> Result<Vec<String>, Complaint> {
        let table = table::table();
        let mut getopt = Getopt::new(&table, words);
        for given in getopt.by_ref() {
            let given = given.map_err(|misuse| Complaint::misuse(called, "sbatch", &misuse))?;
            self.apply(level, table::row(given.id), given.value.as_deref(), setting)?;
        }
        Ok(getopt.operands())
    }

    /// Goes through the environment.
    pub(in crate::sbatch) fn read_environment(
        &mut self,
        variable: &dyn Fn(&str) -> Option<String>,
        setting: Setting<'_>,
    ) -> Result<(), Complaint> {
        for row in table::rows() {
            let Some(value) = row.variables.iter().find_map(|name| variable(name)) else {
                continue;
            };
            if row.opt == Opt::Verbose {
                self.verbose = self.verbose.max(value.trim().parse().unwrap_or(0));
                continue;
            }
            // A variable that is set and empty is an option without a value, where that can be.
            let bare = row.takes == Takes::MayValue && value.is_empty();
            let value = (!bare && row.takes != Takes::Nothing).then_some(value.as_str());
            self.apply(Level::Environment, row, value, setting)?;
        }
        Ok(())
    }

    fn apply(
        &mut self,
        level: Level,
        row: &'static Row,
        value: Option<&str>,
        setting: Setting<'_>,
    ) -> Result<(), Complaint> {
        let (long, text) = (row.long, value.unwrap_or_default());
        let owned = || Some(text.to_owned());
        match row.opt {
            Opt::Account => self.account = owned(),
            Opt::Array => self.array = array(text)?,
            Opt::Qos => self.qos = owned(),
            Opt::Ask(ask) => self.ask(ask, (long, text), setting)?,
            Opt::Begin => self.begin = Some(moment(long, text, setting)?),
            Opt::Chdir => self.chdir = owned(),
            Opt::Clusters => self.clusters = owned(),
            Opt::Comment => self.comment = owned(),
            Opt::Constraint => self.constraint = constraint(text)?,
            Opt::CpusPerGpu => self.gres.cpus_per_gpu = Some(positive(long, text)?),
            Opt::CpusPerTask => self.cpus_per_task = Some(positive(long, text)?),
            Opt::Dependency => self.dependency = Some(dependency(text)?),
            Opt::Error => self.std_err = Some(file(text)),
            Opt::Exclude => self.excluded = nodes(long, text)?,
            Opt::Exclusive => self.ask_for_alone(value)?,
            Opt::Export => self.export = owned(),
            Opt::ExportFile => self.export_file = owned(),
            Opt::Gpus => self.gres.gpus = gres::gpus(text)?,
            Opt::GpusPerNode => self.gres.gpus_per_node = gres::gpus(text)?,
            Opt::GpusPerTask => self.gres.gpus_per_task = gres::gpus(text)?,
            Opt::Gres => self.gres.per_node = gres::list(text)?,
            Opt::Hold => self.hold = true,
            Opt::Answered => {}
            Opt::IgnorePbs => self.ignore_pbs = true,
            Opt::Input => self.std_in = Some(file(text)),
            Opt::JobName => self.name = owned(),
            Opt::KillOnInvalidDep => self.kill_on_invalid_dep = Some(yes(long, text)?),
            Opt::MailType => mail::check(text)?,
            Opt::MailUser => return Err(mail::not_configured(long)),
            Opt::Mem => self.ask_memory(level, long, text, MemoryRequest::PerNode)?,
            Opt::MemPerCpu => self.ask_memory(level, long, text, MemoryRequest::PerCpu)?,
            Opt::MemPerGpu => self.ask_gpu_memory(level, long, text)?,
            Opt::MinCpus => self.min_cpus = Some(positive(long, text)?),
            Opt::Nice => self.nice = nice(value)?,
            Opt::NoRequeue => self.requeue = Some(false),
            Opt::Nodefile => self.nodefile = nodefile(text)?,
            Opt::Nodelist => self.required = nodes(long, text)?,
            Opt::Nodes => {
                let wrong = |error: count::CountError| Complaint::senseless(error.to_string());
                self.nodes = Some(count::parse_nodes(text).map_err(wrong)?);
            }
            Opt::Ntasks => self.tasks = Some(positive(long, text)?),
            Opt::NtasksPerNode => self.tasks_per_node = Some(positive(long, text)?),
            Opt::OpenMode => self.open_mode = Some(open_mode(text)?),
            Opt::Output => self.std_out = Some(file(text)),
            Opt::Parsable => self.parsable = true,
            Opt::Partition => self.partition = Some(text.to_owned()),
            Opt::Propagate => self.propagate = Propagate::parse(value)?,
            Opt::Quiet => self.quiet = true,
            Opt::Requeue => self.requeue = Some(requeue(value)?),
            Opt::Reservation => self.reservations = listed(text),
            Opt::Signal => self.signal = Some(signal::parse(text)?),
            Opt::CoreSpec => self.not_allowed("-S"),
            Opt::ThreadSpec => self.not_allowed("--thread-spec"),
            Opt::TestOnly => self.test_only = true,
            Opt::Time => self.time = Some(time(text)?),
            Opt::Tmp => self.tmp_disk_mib = mib(long, text)?,
            Opt::Identity => return Err(identity(long, setting)),
            Opt::Verbose => self.verbose += 1,
            Opt::Wait => self.wait = true,
            Opt::Wrap => self.wrap(level, text)?,
            Opt::Only(anyway, why) => only(anyway, text, (long, why))?,
            Opt::Unsupported(why) => return Err(Complaint::unsupported(long, why)),
        }
        let count = (row.opt == Opt::Verbose).then(|| self.verbose.to_string());
        self.note(row, count.as_deref().or(value));
        Ok(())
    }

    fn ask_memory(
        &mut self,
        level: Level,
        long: &str,
        text: &str,
        kind: fn(u64) -> MemoryRequest,
    ) -> Result<(), Complaint> {
        let request = kind(mib(long, text)?);
        let same_kind =
            |old: &Memory| std::mem::discriminant(&old.request) == std::mem::discriminant(&request);
        if self.memory.as_ref().is_some_and(|old| old.level == level && !same_kind(old)) {
            return Err(gres::one_memory());
        }
        self.forget_gpu_memory(level)?;
        self.memory = Some(Memory { level, request });
        Ok(())
    }

    /// Slurm's remark where the configuration reserves no CPUs for the system: it goes on without.
    fn not_allowed(&mut self, option: &str) {
        self.remarks.push(format!(
            "error: Ignoring {option} since it's not allowed by configuration \
             (AllowSpecResourcesUsage = No)"
        ));
    }

    fn wrap(&mut self, level: Level, text: &str) -> Result<(), Complaint> {
        if level == Level::Script {
            return Err(Complaint::error("--wrap has no place in a batch script"));
        }
        self.wrap = Some(text.to_owned());
        Ok(())
    }
}

fn mib(long: &str, text: &str) -> Result<u64, Complaint> {
    size::parse_mib(text).map_err(|_| Complaint::specification(long))
}

fn positive(long: &str, text: &str) -> Result<u32, Complaint> {
    count::parse_positive(text).ok_or_else(|| Complaint::number(long, text))
}

pub(super) fn moment(long: &str, text: &str, setting: Setting<'_>) -> Result<Timestamp, Complaint> {
    date::parse(text, setting.now, setting.zone)
        .map_err(|error| Complaint::specification(long).after(error.to_string()))
}

/// Slurm's controller reads it, so it is wrong in the controller's words.
fn dependency(text: &str) -> Result<Dependency, Complaint> {
    Dependency::parse(text).map_err(|error| match error {
        DependencyError::Malformed => {
            Complaint::error(format!("Batch job submission failed: {error}"))
        }
        DependencyError::Unsupported(kind) => {
            let why = match kind {
                "expand" => "a job that runs keeps the size that it has",
                _ => "there are no burst buffers",
            };
            Complaint::unsupported(&format!("dependency={kind}"), why)
        }
    })
}

/// Names between commas.
fn listed(text: &str) -> Vec<String> {
    text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// So is a constraint. An empty one asks for nothing.
fn constraint(text: &str) -> Result<Option<Constraint>, Complaint> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong =
        |error: ConstraintError| Complaint::error(format!("Batch job submission failed: {error}"));
    Constraint::parse(text).map(Some).map_err(wrong)
}

/// As with a dependency. An empty text asks for no array.
fn array(text: &str) -> Result<Option<ArraySpec>, Complaint> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |error| Complaint::error(format!("Batch job submission failed: {error}"));
    ArraySpec::parse(text, MOST_TASKS).map(Some).map_err(wrong)
}

fn yes(long: &str, text: &str) -> Result<bool, Complaint> {
    match text.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(Complaint::specification(long)),
    }
}

fn time(text: &str) -> Result<TimeLimit, Complaint> {
    TimeLimit::parse(text).map_err(|_| Complaint::specification("time"))
}

/// A file, or `none` for no file.
fn file(text: &str) -> String {
    if text.eq_ignore_ascii_case("none") { "/dev/null".to_owned() } else { text.to_owned() }
}

/// A file of hostlists, whatever its name is.
fn nodefile(path: &str) -> Result<Vec<String>, Complaint> {
    const WRONG: &str = "Invalid --nodefile node file";
    let content = std::fs::read_to_string(path).map_err(|error| {
        let error = error.to_string();
        let why = error.split(" (os error").next().unwrap_or_default();
        let text = format!("slurm_allocate_resources error opening file {path}, {why}");
        Complaint::senseless(text).and(WRONG)
    })?;
    let text = content.split_whitespace().collect::<Vec<_>>().join(",");
    let wrong = |error: HostlistError| Complaint::senseless(WRONG).after(error.to_string());
    Ok(Hostlist::parse(&text).map_err(wrong)?.unique().iter().collect())
}

/// A hostlist, or a file of hostlists where there is a slash in it.
fn nodes(long: &str, text: &str) -> Result<Vec<String>, Complaint> {
    let content;
    let text = if text.contains('/') {
        content = std::fs::read_to_string(text)
            .map_err(|error| Complaint::specification(long).after(format!("{text}: {error}")))?;
        content.split_whitespace().collect::<Vec<_>>().join(",")
    } else {
        text.to_owned()
    };
    let wrong = |error: HostlistError| Complaint::specification(long).after(error.to_string());
    let list = Hostlist::parse(&text).map_err(wrong)?;
    Ok(list.unique().iter().collect())
}

/// Slurm reads as much of the text as is a number, and takes none for 0.
fn nice(value: Option<&str>) -> Result<i64, Complaint> {
    let Some(text) = value else { return Ok(NICE) };
    let text = text.trim_start();
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Ok(0);
    }
    let number = text[..sign + digits].parse::<i64>().ok();
    number
        .filter(|number| number.abs() <= MOST_NICE)
        .ok_or_else(|| Complaint::senseless(format!("Nice value out of range (+/- {MOST_NICE})")))
}

fn open_mode(text: &str) -> Result<OpenMode, Complaint> {
    let begins = |word: &str| !text.is_empty() && word.starts_with(&text.to_ascii_lowercase());
    if begins("append") {
        Ok(OpenMode::Append)
    } else if begins("truncate") {
        Ok(OpenMode::Truncate)
    } else {
        Err(Complaint::specification("open-mode"))
    }
}

fn requeue(value: Option<&str>) -> Result<bool, Complaint> {
    match value {
        None => Ok(true),
        Some("expedite") => {
            let text = "Requested operation not supported on this system";
            Err(Complaint::error(format!("Batch job submission failed: {text}")))
        }
        Some(_) => Err(Complaint::specification("requeue")),
    }
}

/// Only root may submit for others, and his commands do it as they do: through `su`.
fn identity(long: &str, setting: Setting<'_>) -> Complaint {
    if setting.root {
        return Complaint::unsupported(long, "become that user first, with su or runuser");
    }
    Complaint::senseless(format!("--{long} only permitted by root user"))
}

/// Refuses a value that asks for more than what is done anyway.
fn only(anyway: &str, text: &str, (long, why): (&str, &str)) -> Result<(), Complaint> {
    if text == anyway { Ok(()) } else { Err(Complaint::unsupported(long, why)) }
}
