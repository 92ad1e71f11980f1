//! What `sinfo` is asked for: its options, and the environment's.

use super::{
    field::Field,
    sort::{self, Key},
    table,
};
use crate::{
    invocation::Invocation,
    options::{self, Refused, getopt::Takes},
    render::{Format, json},
    say,
    view::node,
};

/// Shows partitions and nodes
#[derive(clap::Parser)]
#[command(override_usage = "sinfo [OPTIONS]")]
struct Args {
    /// Also hidden partitions
    #[arg(short, long)]
    all: bool,
    /// The cluster, which must be this one
    #[arg(short = 'M', long, value_name = "NAME")]
    clusters: Option<String>,
    /// Only nodes that do not respond
    #[arg(short, long)]
    dead: bool,
    /// Nodes that differ in numbers have rows of their own
    #[arg(short, long)]
    exact: bool,
    /// Partitions of the federation, which is this cluster alone
    #[arg(long)]
    federation: bool,
    /// Fields by letters, such as '%9P %.5a %N'
    #[arg(short = 'o', long, value_name = "FORMAT")]
    format: Option<String>,
    /// Fields by names, such as 'partition:9,available'
    #[arg(short = 'O', long = "Format", value_name = "FIELDS")]
    long_format: Option<String>,
    /// Also nodes that may come, of which there are none
    #[arg(short = 'F', long)]
    future: bool,
    /// List the names for --Format
    #[arg(long = "helpFormat")]
    help_names: bool,
    /// List the letters for --format
    #[arg(long = "helpformat")]
    help_letters: bool,
    /// List the states for --states
    #[arg(long)]
    helpstate: bool,
    /// No hidden partitions
    #[arg(long)]
    hide: bool,
    /// Show it again every so many seconds
    #[arg(short, long, value_name = "SECONDS")]
    iterate: Option<String>,
    /// Write JSON
    #[arg(long, value_name = "VERSION", num_args = 0..=1, require_equals = true,
          default_missing_value = "")]
    json: Option<String>,
    /// Why nodes are down or drained
    #[arg(short = 'R', long)]
    list_reasons: bool,
    /// Partitions of this cluster alone
    #[arg(long)]
    local: bool,
    /// More columns
    #[arg(short, long)]
    long: bool,
    /// A row for each node
    #[arg(short = 'N', long = "Node")]
    by_node: bool,
    /// Memory in MiB, which is how it is shown
    #[arg(long)]
    noconvert: bool,
    /// Only these nodes
    #[arg(short, long, value_name = "NODES")]
    nodes: Option<String>,
    /// No headings
    #[arg(short = 'h', long)]
    noheader: bool,
    /// Only these partitions
    #[arg(short, long, value_name = "PARTITIONS")]
    partition: Option<String>,
    /// Reservations
    #[arg(short = 'T', long)]
    reservation: bool,
    /// Only nodes that respond
    #[arg(short, long)]
    responding: bool,
    /// In this order, such as '#P,-t'
    #[arg(short = 'S', long, value_name = "LETTERS", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Answer from what the controller has, though it may be behind
    #[arg(long)]
    stale_ok: bool,
    /// Only nodes in these states
    #[arg(short = 't', long, value_name = "STATES")]
    states: Option<String>,
    /// A row for each partition
    #[arg(short, long)]
    summarize: bool,
    /// Say what is asked for
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Real sinfo passes over words
    #[arg(hide = true)]
    operands: Vec<String>,
}

/// What real sinfo has, and Rafter has not.
const REFUSED: &[Refused] = &[
    Refused::new("autocomplete", None, Takes::Value, "completion comes from the shell"),
    Refused::new("yaml", None, Takes::MayValue, "--json is"),
];

pub(super) const SHORT: &str = "%9P %.5a %.10l %.6D %.6t %N";
const LONG: &str = "%9P %.5a %.10l %.10s %.4r %.8h %.10g %.6D %.11T %.11i %N";
const SUMMARY: &str = "%9P %.5a %.10l %.16F %N";
const NODES: &str = "%9N %.6D %.9P %6t";
const NODES_LONG: &str = "%9N %.6D %.9P %.11T %4c %.8z %.6m %.8d %.6w %.8f %20E";
const REASONS: &str = "%20E %9u %19H %N";
const REASONS_LONG: &str = "%20E %12U %19H %6t %N";

/// What is to be shown.
pub(super) struct Wanted {
    pub(super) format: Format<Field>,
    pub(super) sort: Vec<Key>,
    pub(super) all: bool,
    pub(super) by_node: bool,
    pub(super) clusters: Option<String>,
    pub(super) dated: bool,
    /// Only those that respond, or that do not.
    pub(super) responding: Option<bool>,
    pub(super) exact: bool,
    /// Seconds.
    pub(super) iterate: Option<u64>,
    pub(super) json: bool,
    pub(super) no_header: bool,
    /// A list of hosts, as it was given.
    pub(super) nodes: Option<String>,
    pub(super) partitions: Option<Vec<String>>,
    pub(super) reasons: bool,
    pub(super) reservations: bool,
    pub(super) stale_ok: bool,
    pub(super) states: Option<node::Wanted>,
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
    let format = format(&args, environment)?;
    fill_in(&mut args, environment);
    if let Some(version) = args.json.as_deref().filter(|version| !json::is_known(version)) {
        say::error(&format!("--json={version} is not supported"));
        return Err(1);
    }
    let default = if args.by_node { sort::BY_NODE } else { sort::BY_PARTITION };
    let sort = sort::parse(args.sort.as_deref().unwrap_or(default)).map_err(|letter| {
        say::error(&format!("Invalid sort specification: {letter}"));
        1
    })?;
    let iterate = args.iterate.as_deref().map(interval).transpose()?;
    let states = args.states.as_deref().map(states).transpose()?;
    let partitions = args
        .partition
        .as_deref()
        .map(|list| list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect());
    Ok(Wanted {
        format,
        sort,
        all: args.all,
        by_node: args.by_node,
        dated: iterate.is_some() || args.long || args.verbose > 0,
        responding: (args.dead != args.responding).then_some(args.responding),
        exact: args.exact,
        iterate,
        json: args.json.is_some(),
        no_header: args.noheader,
        nodes: args.nodes,
        partitions,
        reasons: args.list_reasons,
        reservations: args.reservation,
        stale_ok: args.stale_ok,
        states,
        clusters: args.clusters,
    })
}

fn help(args: &Args) -> Option<String> {
    let names = if args.help_names {
        table::keys()
    } else if args.help_letters {
        table::letters()
    } else if args.helpstate {
        node::names().split(',').map(str::to_owned).collect()
    } else {
        return None;
    };
    Some(names.iter().map(|name| format!("{name}\n")).collect())
}

/// What the command line does not say, the environment may.
fn fill_in(args: &mut Args, environment: &dyn Fn(&str) -> Option<String>) {
    let or = |field: &mut Option<String>, name: &str| {
        if field.is_none() {
            *field = environment(name);
        }
    };
    or(&mut args.partition, "SINFO_PARTITION");
    or(&mut args.sort, "SINFO_SORT");
    or(&mut args.clusters, "SLURM_CLUSTERS");
    args.all |= environment("SINFO_ALL").is_some();
    args.all &= !args.hide;
}

fn format(args: &Args, environment: &dyn Fn(&str) -> Option<String>) -> Result<Format<Field>, u8> {
    let formats = (args.format.as_deref(), args.long_format.as_deref());
    let fixed = match formats {
        (Some(_), Some(_)) => {
            say::error("-o (--format) is incompatible with -O (--Format)");
            return Err(1);
        }
        (Some(text), None) => return Ok(letters(text)),
        (None, Some(text)) => return Ok(keys(text)),
        (None, None) => match (args.summarize, args.by_node, args.list_reasons, args.long) {
            (true, ..) => Some(SUMMARY),
            (_, true, _, false) => Some(NODES),
            (_, true, _, true) => Some(NODES_LONG),
            (.., true, false) => Some(REASONS),
            (.., true, true) => Some(REASONS_LONG),
            (.., true) => Some(LONG),
            (.., false) => None,
        },
    };
    if let Some(fixed) = fixed {
        return Ok(letters(fixed));
    }
    match environment("SINFO_FORMAT") {
        Some(text) => Ok(letters(&text)),
        None => Ok(letters(SHORT)),
    }
}

fn letters(text: &str) -> Format<Field> {
    let format = if text.eq_ignore_ascii_case("%all") {
        Format::letters(&table::all(), table::letter)
    } else {
        Format::letters(text, table::letter)
    };
    for letter in &format.invalid {
        say::err(&format!("Invalid node format specification: {letter}\n"));
    }
    format
}

fn keys(text: &str) -> Format<Field> {
    let format = Format::keys(text, table::key);
    for key in &format.invalid {
        say::error(&format!("Invalid job format specification: {key}"));
    }
    format
}

fn interval(text: &str) -> Result<u64, u8> {
    text.parse().ok().filter(|seconds| *seconds > 0).ok_or_else(|| {
        say::error(&format!("Error: invalid entry for --iterate={text}"));
        1
    })
}

fn states(text: &str) -> Result<node::Wanted, u8> {
    node::Wanted::parse(text).map_err(|word| {
        say::error(&format!("Bad state string: \"{word}\""));
        say::error(&format!("valid states: {}", node::names()));
        1
    })
}

/// Every long option, be it to be refused.
#[cfg(test)]
pub(super) fn known() -> Vec<String> {
    options::long_names::<Args>(REFUSED)
}
