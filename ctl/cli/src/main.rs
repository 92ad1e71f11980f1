//! `rafter`: one executable, many names.
//!
//! Called `sbatch`, `squeue` and so on it is that command of Slurm's; called `rafter` it takes the
//! command as its first argument, or a verb for what Slurm has no command for.
//!
//! A command reads its options ([`options`]), opens a [`client`], and returns its exit code.

#[cfg(test)]
mod captures;
mod client;
mod cluster;
mod components;
mod door;
mod fetch;
mod invocation;
mod options;
mod pass;
mod render;
mod say;
mod sbatch;
mod scancel;
mod scontrol;
mod signal;
mod sinfo;
mod squeue;
mod trouble;
mod users;
mod verbs;
mod view;

use std::{
    env,
    ffi::{OsStr, OsString},
    path::Path,
    process::ExitCode,
};

use invocation::{Command, Invocation};

/// Slurm's commands, by the names that people call them.
const COMMANDS: &[Command] =
    &[sbatch::COMMAND, scancel::COMMAND, scontrol::COMMAND, sinfo::COMMAND, squeue::COMMAND];

/// Slurm's commands that Rafter does not have.
const MISSING: &[&str] = &[
    "sacct", "sacctmgr", "salloc", "sattach", "sbcast", "scrontab", "sdiag", "sprio", "sreport",
    "srun", "sshare", "sstat", "strigger", "swait",
];

/// What the words of a command line come to.
enum Choice {
    Command(Command),
    Missing(&'static str),
}

fn main() -> ExitCode {
    let mut words: Vec<OsString> = env::args_os().collect();
    let (choice, called) = choose(&mut words);
    let command = match choice {
        Choice::Command(command) => command,
        Choice::Missing(name) => {
            say::begin(name);
            say::error("Rafter does not have this command");
            return ExitCode::FAILURE;
        }
    };
    say::begin(command.name);
    let _telemetry = telemetry(command.name);
    match Invocation::new(command, &called, words) {
        // The whole life of a job that is submitted hangs on this span.
        Ok(invocation) => {
            let span = tracing::info_span!("command", otel.name = command.name);
            span.in_scope(|| invocation.run()).into()
        }
        Err(error) => {
            say::error(&error.to_string());
            command.misuse.into()
        }
    }
}

/// The command, and what it calls itself. The words that name it are taken away.
fn choose(words: &mut Vec<OsString>) -> (Choice, String) {
    let called = if words.is_empty() { "rafter".into() } else { words.remove(0) };
    let base = Path::new(&called).file_name().unwrap_or_default();
    let called = called.to_string_lossy().into_owned();
    if let Some(choice) = find(base) {
        return (choice, called);
    }
    match words.first().and_then(|name| find(name)) {
        Some(choice) => {
            let name = words.remove(0).to_string_lossy().into_owned();
            (choice, name)
        }
        None => (Choice::Command(verbs::COMMAND), called),
    }
}

fn find(name: &OsStr) -> Option<Choice> {
    let command = COMMANDS.iter().find(|command| name == command.name);
    let missing = || MISSING.iter().find(|missing| name == **missing);
    command
        .map(|command| Choice::Command(*command))
        .or_else(|| missing().map(|m| Choice::Missing(m)))
}

/// Tracing only where somebody has asked for it: it costs a command as much as a connection.
fn telemetry(name: &'static str) -> Option<telemetry::Guard> {
    let asked = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if !asked("OTEL_EXPORTER_OTLP_ENDPOINT") && !asked("RUST_LOG") {
        return None;
    }
    let instance = std::process::id().to_string();
    let kind = telemetry::Kind::Command;
    let service = telemetry::Service { name, instance: &instance, kind };
    match telemetry::init(service, telemetry::Format::Human, "warn") {
        Ok(guard) => Some(guard),
        Err(error) => {
            say::error(&trouble::chain(&error));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_or_the_first_argument_says_which_command_it_is() {
        #[rustfmt::skip]
        let stories = [
            // words                  command      called              left
            ("sbatch -n4 x",          "sbatch",    "sbatch",           "-n4 x"),
            ("/opt/bin/squeue",       "squeue",    "/opt/bin/squeue",  ""),
            ("rafter sbatch squeue",  "sbatch",    "sbatch",           "squeue"),
            ("./rafter status",       "rafter",    "./rafter",         "status"),
            ("rafter-0.1 scancel 7",  "scancel",   "scancel",          "7"),
            ("rafter",                "rafter",    "rafter",           ""),
            ("",                      "rafter",    "rafter",           ""),
            ("srun hostname",         "no srun",   "srun",             "hostname"),
            ("rafter sacct -X",       "no sacct",  "sacct",            "-X"),
        ];
        for (line, command, called, left) in stories {
            let mut words = line.split_terminator(' ').map(OsString::from).collect();
            let (choice, as_called) = choose(&mut words);
            let choice = match choice {
                Choice::Command(command) => command.name.to_owned(),
                Choice::Missing(name) => format!("no {name}"),
            };
            let rest = words.join(OsStr::new(" "));
            assert_eq!((choice.as_str(), as_called.as_str()), (command, called), "{line}");
            assert_eq!(rest, left, "{line}");
        }
    }

    #[test]
    fn no_command_stands_twice() {
        for command in COMMANDS {
            assert!(!MISSING.contains(&command.name), "{} is there", command.name);
        }
    }
}
