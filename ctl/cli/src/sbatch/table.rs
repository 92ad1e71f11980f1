//! The options of `sbatch`: every one that Slurm 26.05 has, and what becomes of it.

mod known;
mod refused;

use clap::{Arg, ArgAction, Command};
use known::KNOWN;
use refused::REFUSED;

use crate::options::{
    common,
    getopt::{Long, Order, Short, Table, Takes},
};

/// What an option says of a job, or of what `sbatch` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opt {
    Account,
    Array,
    /// Something that few jobs ask for.
    Ask(Ask),
    Begin,
    Chdir,
    Clusters,
    Comment,
    Constraint,
    CpusPerGpu,
    CpusPerTask,
    Dependency,
    Error,
    Exclude,
    Exclusive,
    Export,
    ExportFile,
    Gpus,
    GpusPerNode,
    GpusPerTask,
    Gres,
    Hold,
    /// Any of help, usage and version: answered before anything else is looked at.
    Answered,
    IgnorePbs,
    Input,
    JobName,
    KillOnInvalidDep,
    MailType,
    MailUser,
    Mem,
    MemPerCpu,
    MemPerGpu,
    MinCpus,
    Nice,
    NoRequeue,
    Nodefile,
    Nodelist,
    Nodes,
    Ntasks,
    NtasksPerNode,
    OpenMode,
    Output,
    Parsable,
    Partition,
    Propagate,
    Qos,
    Quiet,
    Requeue,
    Reservation,
    Signal,
    /// `--core-spec`, which no configuration here allows, and Slurm ignores then with a remark.
    CoreSpec,
    ThreadSpec,
    TestOnly,
    Time,
    Tmp,
    /// `--uid` and `--gid`.
    Identity,
    Verbose,
    Wait,
    Wrap,
    /// Refused with the reason, but for this value, which is what is done anyway.
    Only(&'static str, &'static str),
    /// Known to Slurm, and refused with the reason.
    Unsupported(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Contiguous,
    SpreadJob,
    Switches,
    UseMinNodes,
    Deadline,
    Licenses,
    Priority,
    TimeMin,
    CoresPerSocket,
    ExtraNodeInfo,
    Hint,
    NtasksPerCore,
    SocketsPerNode,
    ThreadsPerCore,
}

/// An option with all of its names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) long: &'static str,
    /// Names that are as good, and that `--help` does not show.
    also: &'static [&'static str],
    short: Option<char>,
    pub(super) takes: Takes,
    pub(super) opt: Opt,
    /// The variables of the environment that say the same; the first that is set counts.
    pub(super) variables: &'static [&'static str],
    value: &'static str,
    help: &'static str,
}

impl Row {
    const fn new(long: &'static str, takes: Takes, opt: Opt) -> Self {
        Self { long, also: &[], short: None, takes, opt, variables: &[], value: "", help: "" }
    }

    const fn flag(long: &'static str, opt: Opt) -> Self {
        Self::new(long, Takes::Nothing, opt)
    }

    const fn value(long: &'static str, value: &'static str, opt: Opt) -> Self {
        Self { value, ..Self::new(long, Takes::Value, opt) }
    }

    const fn may_value(long: &'static str, value: &'static str, opt: Opt) -> Self {
        Self { value, ..Self::new(long, Takes::MayValue, opt) }
    }

    const fn short(self, letter: char) -> Self {
        Self { short: Some(letter), ..self }
    }

    const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    const fn or(self, variables: &'static [&'static str]) -> Self {
        Self { variables, ..self }
    }

    const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }
}

/// All options. Where two have a variable of the environment, theirs are read in this order.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    KNOWN.iter().chain(REFUSED)
}

/// The option with this name in full.
pub(super) fn row(long: &str) -> &'static Row {
    rows().find(|row| row.long == long).expect("getopt gives names from the table")
}

/// getopt's table. Its order shows where an abbreviation is ambiguous.
pub(super) fn table() -> Table<'static> {
    let (mut longs, mut shorts) = (Vec::new(), Vec::new());
    for Row { long, also, short, takes, .. } in rows() {
        let (id, takes) = (*long, *takes);
        longs.extend([long].into_iter().chain(*also).map(|name| Long { name, id, takes }));
        shorts.extend(short.map(|letter| Short { letter, id, takes }));
    }
    longs.sort_by_key(|long| long.name);
    Table { order: Order::Stop, longs, shorts }
}

/// For `--help`.
pub(super) fn described() -> Command {
    let mut rows: Vec<_> = KNOWN.iter().filter(|row| !row.help.is_empty()).collect();
    rows.sort_by_key(|row| row.long);
    let args = rows.into_iter().map(|row| {
        let arg = Arg::new(row.long).long(row.long).help(row.help);
        let arg = match row.short {
            Some(letter) => arg.short(letter),
            None => arg,
        };
        match row.takes {
            Takes::Nothing => arg.action(ArgAction::SetTrue),
            Takes::Value => arg.value_name(row.value),
            Takes::MayValue => arg.value_name(row.value).num_args(0..=1).require_equals(true),
        }
    });
    let command = Command::new("sbatch")
        .about("Submits a batch script: the file that is named, else what comes on stdin")
        .override_usage("sbatch [OPTIONS] [SCRIPT [ARGUMENTS...]]")
        .after_help(AFTER_HELP)
        .disable_help_flag(true)
        .disable_version_flag(true);
    common(command.args(args))
}

const AFTER_HELP: &str = "\
Lines of the script that begin with #SBATCH hold options, too. The environment (SBATCH_PARTITION, \
SBATCH_TIMELIMIT, ...) goes before them, and the command line before both.
Slurm's other options are known, and refused with the reason.";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The long options of the real one, hidden ones too.
    const SLURMS: &str = include_str!("../../tests/slurm/long-options.txt");

    #[test]
    fn slurm_s_options_are_known_and_no_others() {
        let table = table();
        let ours: HashSet<&str> = table.longs.iter().map(|long| long.name).collect();
        assert_eq!(ours.len(), table.longs.len(), "a name stands twice");
        let theirs = SLURMS.lines().filter_map(|line| line.strip_prefix("sbatch --"));
        // This one the list has missed, and the real one takes it.
        let theirs: HashSet<&str> = theirs.chain(["kill-on-invalid-dep"]).collect();
        assert!(theirs.len() > 100, "the list was not read");
        assert_eq!(theirs.difference(&ours).collect::<Vec<_>>(), [&""; 0]);
        assert_eq!(ours.difference(&theirs).collect::<Vec<_>>(), [&""; 0]);
    }

    #[test]
    fn no_letter_and_no_variable_stands_twice() {
        let letters: Vec<char> = rows().filter_map(|row| row.short).collect();
        assert_eq!(letters.iter().collect::<HashSet<_>>().len(), letters.len());
        let variables: Vec<_> = rows().flat_map(|row| row.variables).collect();
        assert_eq!(variables.iter().collect::<HashSet<_>>().len(), variables.len());
    }

    #[test]
    fn help_shows_what_is_supported() {
        let help = described().render_help().to_string();
        assert!(help.contains("-J, --job-name <NAME>"), "{help}");
        assert!(!help.contains("--container"), "{help}");
    }
}
