//! How the commands read their command lines: as GNU's getopt does, into clap's structures.
//!
//! A command describes itself with clap's derive; [`parse`] resolves the words by [`getopt`]'s
//! rules against that description, and gives clap the result in full spelling. Each command has
//! `--help`, `--usage` and `--version` without saying so.

pub(crate) mod getopt;

use clap::{Arg, ArgAction, Command, Parser, builder::StyledStr};

use crate::{
    invocation::Invocation,
    options::getopt::{Getopt, Given, Long, Misuse, Order, Short, Table, Takes},
    say,
};

/// The version of Slurm whose commands these are like: what clients look for.
pub(crate) const SLURM_VERSION: &str = "slurm 26.05.0";

/// The ids of what each command has.
const HELP: &str = "help";
const USAGE: &str = "usage";
const VERSION: &str = "version";

/// An option that Slurm has and Rafter has not: it is known, and refused by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    long: &'static str,
    short: Option<char>,
    takes: Takes,
    why: &'static str,
}

impl Refused {
    pub(crate) const fn new(
        long: &'static str,
        short: Option<char>,
        takes: Takes,
        why: &'static str,
    ) -> Self {
        Self { long, short, takes, why }
    }
}

/// Long options of `T` and those that it refuses, hidden ones and aliases included.
#[cfg(test)]
pub(crate) fn long_names<T: Parser>(refuse: &[Refused]) -> Vec<String> {
    let command = described::<T>("test");
    let table = table(&command, refuse);
    table.longs.iter().map(|long| long.name.to_owned()).collect()
}

/// Reads the command line. An error is the exit code: what there was to say has been said.
pub(crate) fn parse<T: Parser>(invocation: &Invocation, refuse: &[Refused]) -> Result<T, u8> {
    let mut command = described::<T>(invocation.name());
    let words = resolved(&command, invocation, refuse)?;
    let matches = match command.try_get_matches_from_mut(&words) {
        Ok(matches) => matches,
        Err(error) => return Err(refused(invocation, &error)),
    };
    T::from_arg_matches(&matches).map_err(|error| refused(invocation, &error))
}

/// The clap command of `T`, with what all have.
fn described<T: Parser>(name: &'static str) -> Command {
    let command = T::command().name(name).args_override_self(true);
    let command = command.disable_help_flag(true).disable_version_flag(true);
    common(command)
}

/// Adds what all commands have. The letters go to whoever has no other use for them.
pub(crate) fn common(command: Command) -> Command {
    let taken: Vec<char> = command.get_arguments().filter_map(Arg::get_short).collect();
    let flag = |id: &'static str, short: Option<char>, help: &'static str| {
        let arg = Arg::new(id).long(id).help(help).action(ArgAction::SetTrue);
        match short.filter(|letter| !taken.contains(letter)) {
            Some(letter) => arg.short(letter),
            None => arg,
        }
    };
    let args = [
        flag(HELP, Some('h'), "Show this text"),
        flag(USAGE, None, "Show a short text"),
        flag(VERSION, Some('V'), "Show the version"),
    ];
    command.args(args)
}

/// The words in full spelling, for clap.
fn resolved(
    command: &Command,
    invocation: &Invocation,
    refuse: &[Refused],
) -> Result<Vec<String>, u8> {
    let table = table(command, refuse);
    let mut getopt = Getopt::new(&table, invocation.arguments());
    let mut words = vec![invocation.name().to_owned()];
    for given in getopt.by_ref() {
        let given = given.map_err(|misuse| misused(invocation, &misuse))?;
        if let Some(done) = answered(command, given.id) {
            return Err(done);
        }
        if let Some(refused) = refuse.iter().find(|refused| refused.long == given.id) {
            unsupported(refused.long, refused.why);
            return Err(1);
        }
        words.push(spelled(command, given));
    }
    words.push("--".to_owned());
    words.extend(getopt.operands());
    Ok(words)
}

fn spelled(command: &Command, Given { id, value }: Given<'_>) -> String {
    let arg = command.get_arguments().find(|arg| arg.get_id() == id);
    let arg = arg.expect("the table was made from these arguments");
    match (arg.get_long(), arg.get_short(), value) {
        (Some(long), _, Some(value)) => format!("--{long}={value}"),
        (Some(long), _, None) => format!("--{long}"),
        (None, Some(short), value) => format!("-{short}{}", value.unwrap_or_default()),
        (None, None, _) => unreachable!("an operand is in no table of options"),
    }
}

/// Says what is asked of any command. Then it is over, with this exit code.
pub(crate) fn answered(command: &Command, id: &str) -> Option<u8> {
    match id {
        HELP => say::out(&styled(&command.clone().render_help())),
        USAGE => say::out(&format!("{}\n", styled(&command.clone().render_usage()))),
        VERSION => say::out(&format!("{SLURM_VERSION}\n")),
        _ => return None,
    }
    Some(0)
}

fn styled(text: &StyledStr) -> String {
    if say::in_colour() { text.ansi().to_string() } else { text.to_string() }
}

/// Says what getopt says, and returns the exit code.
pub(crate) fn misused(invocation: &Invocation, misuse: &Misuse) -> u8 {
    let (called, name) = (invocation.called(), invocation.name());
    say::err(&format!("{called}: {misuse}\nTry \"{name} --help\" for more information\n"));
    invocation.misuse()
}

/// What clap finds wrong: a value, or that there are too many operands.
fn refused(invocation: &Invocation, error: &clap::Error) -> u8 {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    // Its advice and its usage follow after an empty line.
    say::error(text.split("\n\n").next().unwrap_or(text).trim_end());
    invocation.misuse()
}

/// Says that Rafter does not have the option.
pub(crate) fn unsupported(long: &str, why: &str) {
    say::error(&format!("--{long} is not supported: {why}"));
}

/// getopt's table of a clap command: hidden options and aliases are as good as the others.
fn table<'a>(command: &'a Command, refuse: &[Refused]) -> Table<'a> {
    let (mut longs, mut shorts) = (Vec::new(), Vec::new());
    for arg in command.get_arguments() {
        let (id, takes) = (arg.get_id().as_str(), takes(arg));
        let aliases = arg.get_all_aliases().unwrap_or_default();
        let names = arg.get_long().into_iter().chain(aliases);
        longs.extend(names.map(|name| Long { name, id, takes }));
        let letters = arg.get_all_short_aliases().unwrap_or_default();
        let letters = arg.get_short().into_iter().chain(letters);
        shorts.extend(letters.map(|letter| Short { letter, id, takes }));
    }
    for Refused { long, short, takes, .. } in refuse {
        longs.push(Long { name: long, id: long, takes: *takes });
        shorts.extend(short.map(|letter| Short { letter, id: long, takes: *takes }));
    }
    Table { order: Order::Permute, longs, shorts }
}

fn takes(arg: &Arg) -> Takes {
    if !arg.get_action().takes_values() {
        return Takes::Nothing;
    }
    match arg.get_num_args() {
        Some(range) if range.min_values() == 0 => Takes::MayValue,
        Some(_) | None => Takes::Value,
    }
}
