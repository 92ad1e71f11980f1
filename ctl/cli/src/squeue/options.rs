//! What `squeue` is asked for: its options, and the environment's.

use common::job::TaskSet;
use nix::unistd::geteuid;

use super::{
    field::Field,
    filter::Filter,
    sort::{self, Key},
    table,
};
use crate::{
    invocation::Invocation,
    options::{self, Refused, getopt::Takes},
    render::{Format, json},
    say, users,
    view::{JobTarget, state},
};

/// Shows jobs
///
/// Without --states it shows jobs that are not over. Filters are taken together.
#[derive(clap::Parser)]
#[command(override_usage = "squeue [OPTIONS]")]
struct Args {
    /// Only jobs of these accounts
    #[arg(short = 'A', long, value_name = "ACCOUNTS")]
    accounts: Option<String>,
    /// Also jobs in hidden partitions
    #[arg(short, long)]
    all: bool,
    /// One line for each task of an array
    #[arg(short = 'r', long)]
    array: bool,
    /// The cluster, which must be this one
    #[arg(short = 'M', long, value_name = "NAME")]
    clusters: Option<String>,
    /// Fill in the patterns of file names
    #[arg(long)]
    expand_patterns: bool,
    /// Jobs of the federation, which is this cluster alone
    #[arg(long)]
    federation: bool,
    /// Fields by letters, such as '%.18i %j'
    #[arg(short = 'o', long, value_name = "FORMAT")]
    format: Option<String>,
    /// Fields by names, such as 'jobid:8,name'
    #[arg(short = 'O', long = "Format", value_name = "FIELDS")]
    long_format: Option<String>,
    /// List the names for --Format
    #[arg(long = "helpFormat")]
    help_names: bool,
    /// List the letters for --format
    #[arg(long = "helpformat")]
    help_letters: bool,
    /// List the states for --states
    #[arg(long)]
    helpstate: bool,
    /// No jobs in hidden partitions
    #[arg(long)]
    hide: bool,
    /// Show it again every so many seconds
    #[arg(short, long, value_name = "SECONDS")]
    iterate: Option<String>,
    /// Only these jobs
    #[arg(short, long, value_name = "JOB_IDS", num_args = 0..=1, require_equals = true,
          default_missing_value = "")]
    jobs: Option<String>,
    /// Write JSON
    #[arg(long, value_name = "VERSION", num_args = 0..=1, require_equals = true,
          default_missing_value = "")]
    json: Option<String>,
    /// Only jobs with one of these licences
    #[arg(short = 'L', long, value_name = "LICENCES")]
    licenses: Option<String>,
    /// Jobs of this cluster alone
    #[arg(long)]
    local: bool,
    /// More columns
    #[arg(short, long)]
    long: bool,
    /// Only one's own jobs
    #[arg(long)]
    me: bool,
    /// Only jobs of these names
    #[arg(short, long, value_name = "NAMES")]
    name: Option<String>,
    /// Memory in MiB, however much it is
    #[arg(long)]
    noconvert: bool,
    /// Only jobs on these nodes
    #[arg(short = 'w', long, alias = "nodes", alias = "node", value_name = "NODES")]
    nodelist: Option<String>,
    /// No headings
    #[arg(short = 'h', long)]
    noheader: bool,
    /// Only others' jobs
    #[arg(long)]
    notme: bool,
    /// Ids and states alone
    #[arg(long)]
    only_job_state: bool,
    /// Only jobs in these partitions
    #[arg(short, long, value_name = "PARTITIONS")]
    partitions: Option<String>,
    /// By partition
    #[arg(short = 'P', long)]
    priority: bool,
    /// Only jobs of these qualities of service
    #[arg(short, long, value_name = "QOS")]
    qos: Option<String>,
    /// Only jobs of this reservation
    #[arg(short = 'R', long, value_name = "NAME")]
    reservation: Option<String>,
    /// Only jobs that have run for more than these minutes
    #[arg(long, value_name = "MINUTES")]
    running_over: Option<u64>,
    /// Only jobs that have run for less than these minutes
    #[arg(long, value_name = "MINUTES")]
    running_under: Option<u64>,
    /// Jobs of sibling clusters, of which there are none
    #[arg(long, alias = "sib")]
    sibling: bool,
    /// In this order, such as 'P,t,-p'
    #[arg(short = 'S', long, value_name = "LETTERS", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Answer from what the controller has, though it may be behind
    #[arg(long)]
    stale_ok: bool,
    /// When pending jobs will start
    #[arg(long)]
    start: bool,
    /// Only jobs in these states, or 'all'
    #[arg(short = 't', long, value_name = "STATES")]
    states: Option<String>,
    /// Steps instead of jobs
    #[arg(short, long, value_name = "STEP_IDS", num_args = 0..=1, require_equals = true,
          default_missing_value = "")]
    steps: Option<String>,
    /// Only jobs of these users
    #[arg(short, long, alias = "user", value_name = "USERS")]
    users: Option<String>,
    /// Say what is asked for
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    #[arg(hide = true)]
    operands: Vec<String>,
}

/// What real squeue has, and Rafter has not.
const REFUSED: &[Refused] = &[
    Refused::new("autocomplete", None, Takes::Value, "completion comes from the shell"),
    Refused::new("yaml", None, Takes::MayValue, "--json is"),
];

const LONG: &str = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R";
const SHORT: &str = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R";
const START: &str = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %20Y %R";
const ONLY_STATE: &str = "%.18i %.2t";

/// What is to be shown.
pub(super) struct Wanted {
    pub(super) filter: Filter,
    pub(super) format: Format<Field>,
    /// `Err`: what can't be sorted by, which is found out only after the headings.
    pub(super) sort: Result<Vec<Key>, char>,
    pub(super) all: bool,
    pub(super) array: bool,
    pub(super) clusters: Option<String>,
    pub(super) expand: bool,
    /// Seconds.
    pub(super) iterate: Option<u64>,
    pub(super) json: bool,
    pub(super) long: bool,
    pub(super) no_convert: bool,
    pub(super) no_header: bool,
    pub(super) stale_ok: bool,
    pub(super) steps: bool,
    /// What `-v` says of the options.
    pub(super) dump: Option<String>,
}

/// Reads the command line and the environment. An error is the exit code.
pub(super) fn read(
    invocation: &Invocation,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Wanted, u8> {
    let mut args: Args = options::parse(invocation, REFUSED)?;
    if let Some(list) = help(&args) {
        say::out(&list);
        return Err(0);
    }
    operands(&mut args)?;
    let format = format(&args, environment)?;
    fill_in(&mut args, environment);
    for key in &format.invalid {
        say::error(&format!("Invalid job format specification: {key}"));
    }
    if let Some(version) = args.json.as_deref().filter(|version| !json::is_known(version)) {
        say::error(&format!("--json={version} is not supported"));
        return Err(1);
    }
    let iterate = args.iterate.as_deref().map(interval).transpose()?;
    let sort = match &args.sort {
        Some(text) => sort::parse(text),
        None => sort::parse(if args.start { sort::BY_START } else { sort::DEFAULT }),
    };
    Ok(Wanted {
        filter: filter(&args)?,
        format,
        sort,
        all: args.all,
        array: args.array,
        expand: args.expand_patterns,
        iterate,
        json: args.json.is_some(),
        long: args.long,
        no_convert: args.noconvert,
        no_header: args.noheader,
        stale_ok: args.stale_ok,
        steps: args.steps.is_some(),
        dump: (args.verbose > 0).then(|| dump(&args)),
        clusters: args.clusters,
    })
}

fn help(args: &Args) -> Option<String> {
    let names = if args.help_names {
        table::keys()
    } else if args.help_letters {
        table::letters()
    } else if args.helpstate {
        state::names().split(',').map(str::to_owned).collect()
    } else {
        return None;
    };
    Some(names.iter().map(|name| format!("{name}\n")).collect())
}

/// `-j` and `-s` also take the word that follows them.
fn operands(args: &mut Args) -> Result<(), u8> {
    let mut operands = std::mem::take(&mut args.operands).into_iter();
    for list in [&mut args.jobs, &mut args.steps] {
        if let Some(list) = list.as_mut().filter(|list| list.is_empty())
            && let Some(operand) = operands.next()
        {
            *list = operand;
        }
    }
    match operands.next() {
        None => Ok(()),
        Some(word) => {
            say::error(&format!("Unrecognized option: {word}"));
            say::err("Try \"squeue --help\" for more information\n");
            Err(1)
        }
    }
}

/// What the command line does not say, the environment may.
fn fill_in(args: &mut Args, environment: &dyn Fn(&str) -> Option<String>) {
    let or = |field: &mut Option<String>, name: &str| {
        if field.is_none() {
            *field = environment(name);
        }
    };
    or(&mut args.accounts, "SQUEUE_ACCOUNT");
    or(&mut args.licenses, "SQUEUE_LICENSES");
    or(&mut args.name, "SQUEUE_NAMES");
    or(&mut args.partitions, "SQUEUE_PARTITION");
    or(&mut args.qos, "SQUEUE_QOS");
    or(&mut args.sort, "SQUEUE_SORT");
    or(&mut args.states, "SQUEUE_STATES");
    if !args.me && !args.notme {
        or(&mut args.users, "SQUEUE_USERS");
    }
    or(&mut args.clusters, "SLURM_CLUSTERS");
    args.array |= environment("SQUEUE_ARRAY").is_some();
    args.all |= environment("SQUEUE_ALL").is_some();
    args.all &= !args.hide;
}

fn format(args: &Args, environment: &dyn Fn(&str) -> Option<String>) -> Result<Format<Field>, u8> {
    if args.format.is_some() && args.long_format.is_some() {
        say::error("-o (--format) is incompatible with -O (--Format)");
        return Err(1);
    }
    if args.long && args.format.is_some() {
        let advice = "Please remove one and retry.";
        say::fatal(&format!(
            "Options -o(--format) and -l(--long) are mutually exclusive. {advice}"
        ));
        return Err(1);
    }
    if args.steps.is_some() && (args.format.is_some() || args.long_format.is_some()) {
        say::error("--format is not supported with --steps");
        return Err(1);
    }
    if let Some(text) = &args.format {
        return Ok(letters(text));
    }
    if let Some(text) = &args.long_format {
        return Ok(Format::keys(text, table::key));
    }
    let fixed = if args.start {
        Some(START)
    } else if args.only_job_state {
        Some(ONLY_STATE)
    } else if args.long {
        Some(LONG)
    } else {
        None
    };
    if let Some(fixed) = fixed {
        return Ok(letters(fixed));
    }
    if let Some(text) = environment("SQUEUE_FORMAT2") {
        return Ok(Format::keys(&text, table::key));
    }
    Ok(letters(environment("SQUEUE_FORMAT").as_deref().unwrap_or(SHORT)))
}

fn letters(text: &str) -> Format<Field> {
    if text.eq_ignore_ascii_case("%all") {
        return Format::letters(&table::all(), table::letter);
    }
    Format::letters(text, table::letter)
}

fn interval(text: &str) -> Result<u64, u8> {
    text.parse().ok().filter(|seconds| *seconds > 0).ok_or_else(|| {
        say::err(&format!("squeue: error: --iterate={text}\n\n"));
        1
    })
}

fn filter(args: &Args) -> Result<Filter, u8> {
    let words = |list: &Option<String>| -> Option<Vec<String>> {
        let words = list.as_deref()?.split(',').filter(|word| !word.is_empty());
        Some(words.map(str::to_owned).collect())
    };
    let states = match args.states.as_deref() {
        None if args.start => Some(vec![state::Wanted::Pending]),
        None => None,
        Some(text) => match state::parse(text) {
            Ok(states) => Some(states),
            Err(word) => {
                say::err(&format!(
                    "squeue: error: Invalid job state specified: {word}\n\
                     squeue: error: Valid job states include: {}\n\n",
                    state::names()
                ));
                return Err(1);
            }
        },
    };
    let jobs = args.jobs.as_deref().filter(|list| !list.is_empty());
    let steps = args.steps.as_deref().filter(|list| !list.is_empty());
    Ok(Filter {
        jobs: jobs.or(steps).map(ids).transpose()?,
        users: who(args),
        not_user: args.notme.then(|| geteuid().as_raw()),
        partitions: words(&args.partitions),
        accounts: words(&args.accounts),
        names: words(&args.name),
        reservations: words(&args.reservation),
        nodes: args.nodelist.clone(),
        states,
        running_over: args.running_over,
        running_under: args.running_under,
        qos: words(&args.qos),
        licenses: words(&args.licenses),
    })
}

/// A user that there is not has no jobs.
fn who(args: &Args) -> Option<Vec<u32>> {
    if args.me {
        return Some(vec![geteuid().as_raw()]);
    }
    let names = args.users.as_deref()?.split(',').filter(|name| !name.is_empty());
    let known = names.filter_map(|name| {
        let user = users::id(name);
        if user.is_none() {
            say::err(&format!("squeue: error: Invalid user: {name}\n\n"));
        }
        user
    });
    Some(known.collect())
}

/// Jobs by their numbers, tasks of arrays, and components of heterogeneous jobs. A step belongs to
/// its job's number.
fn ids(list: &str) -> Result<Vec<Option<JobTarget>>, u8> {
    let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let invalid = || {
                say::error(&format!("Invalid job id: {word}"));
                1
            };
            let (job, part) = match word.split_once(['_', '+']) {
                Some((job, part)) => (job, Some(part)),
                None => (word.split('.').next().unwrap_or(word), None),
            };
            let job: u32 = job.parse().map_err(|_| invalid())?;
            match part {
                None => Ok(Some(JobTarget::job(job))),
                Some(part) => {
                    let number: u32 = part.parse().map_err(|_| invalid())?;
                    Ok(Some(match word.contains('_') {
                        true => JobTarget::tasks(job, Some(TaskSet::one(number))),
                        false => JobTarget { component: Some(number), ..JobTarget::job(job) },
                    }))
                }
            }
        })
        .collect()
}

fn dump(args: &Args) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "(null)".to_owned());
    let flag = |value: bool| u8::from(value).to_string();
    let rule = "-----------------------------";
    let rows = [
        ("all         = ", args.all.to_string()),
        ("array       = ", args.array.to_string()),
        ("federation  = ", args.federation.to_string()),
        ("format      = ", text(&args.format)),
        ("iterate     = ", args.iterate.clone().unwrap_or_else(|| "0".to_owned())),
        ("job_flag    = ", flag(args.jobs.is_some())),
        ("jobs        = ", text(&args.jobs)),
        ("licenses    = ", text(&args.licenses)),
        ("local       = ", args.local.to_string()),
        ("names       = ", text(&args.name)),
        ("nodes       = ", args.nodelist.clone().unwrap_or_default()),
        ("only_job_state = ", args.only_job_state.to_string()),
        ("partitions  = ", text(&args.partitions)),
        ("priority    = ", args.priority.to_string()),
        ("reservation = ", text(&args.reservation)),
        ("sibling      = ", args.sibling.to_string()),
        ("sort        = ", text(&args.sort)),
        ("start_flag  = ", flag(args.start)),
        ("states      = ", text(&args.states)),
        ("step_flag   = ", flag(args.steps.is_some())),
        ("steps       = ", text(&args.steps)),
        ("users       = ", text(&args.users)),
        ("verbose     = ", args.verbose.to_string()),
    ];
    let rows: String = rows.iter().map(|(name, value)| format!("{name}{value}\n")).collect();
    format!("{rule}\n{rows}{rule}\n\n\n")
}

/// Every long option, be it to be refused.
#[cfg(test)]
pub(super) fn known() -> Vec<String> {
    options::long_names::<Args>(REFUSED)
}
