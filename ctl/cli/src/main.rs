//! `rafter`: one executable, many names.
//!
//! Called `sbatch`, `squeue` and so on it is that command of Slurm's; called `rafter` it takes the
//! command as its first argument, or a verb for what Slurm has no command for.
//!
//! A command reads its options ([`options`]), opens a [`client`], and returns its exit code.

mod client;
mod cluster;
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

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = env::args_os().collect();
    let called = if arguments.is_empty() { "rafter".into() } else { arguments.remove(0) };
    let called = called.to_string_lossy().into_owned();
    let (command, called) = choose(&called, &mut arguments);
    say::begin(command.name);
    let _telemetry = telemetry(command.name);
    match Invocation::new(command, &called, arguments) {
        Ok(invocation) => invocation.run().into(),
        Err(error) => {
            say::error(&error.to_string());
            command.misuse.into()
        }
    }
}

/// The command, and what it calls itself. Where the first argument names it, it is taken away.
fn choose(called: &str, arguments: &mut Vec<OsString>) -> (Command, String) {
    let find = |name: &OsStr| COMMANDS.iter().find(|command| name == command.name).copied();
    let base = Path::new(called).file_name().unwrap_or_default();
    if let Some(command) = find(base) {
        return (command, called.to_owned());
    }
    match arguments.first().and_then(|name| find(name)) {
        Some(command) => {
            arguments.remove(0);
            (command, command.name.to_owned())
        }
        None => (verbs::COMMAND, called.to_owned()),
    }
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
