//! `rafter VERB`: what Slurm has no command for.

mod acct;
mod authority;
mod backup;
mod conf;
mod digest;
mod events;
mod init;
mod member;
mod page;
mod sched;
mod status;
mod what_if;
mod why;

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::{COMMANDS, invocation, invocation::Invocation, options::SLURM_VERSION, say};

pub(crate) const COMMAND: invocation::Command =
    invocation::Command { name: "rafter", about: "What Slurm has no command for", misuse: 2, run };

/// The release of Rafter, and what it is.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (a cluster manager and batch scheduler, with the commands of Slurm 26.05)"
);

/// Rafter: a cluster manager and batch scheduler
#[derive(Parser)]
#[command(name = "rafter", version = VERSION, arg_required_else_help = true)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
struct Rafter {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Found a cluster, with this host as its first controller
    #[command(disable_help_flag = true)]
    Init {
        /// For rafterctld --init
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Show the controllers, who leads, and how the nodes are
    Status(status::Args),
    /// Show what happened, as the log has it
    Events(events::Args),
    /// Show whether the controllers agree on what the cluster is
    Digest(digest::Args),
    /// Show why a job waits, until when, and what would let it start sooner
    Why(why::Args),
    /// Show how waits would change, were the cluster or its queue otherwise
    WhatIf(what_if::Args),
    /// The scheduler: save what a plan is made of, and make that plan anywhere
    #[command(subcommand)]
    Sched(sched::Sched),
    /// Nodes: let one join
    #[command(subcommand)]
    Node(member::Node),
    /// Controllers: add one, or remove one
    #[command(subcommand)]
    Controller(member::Controller),
    /// Accounts, users and QOS: load them, or show them and what they have
    #[command(subcommand)]
    Acct(acct::Acct),
    /// The authority whose signatures count: show it, or let another one take its place
    #[command(subcommand)]
    Authority(authority::Authority),
    /// Write a backup of all that the cluster knows, while it goes on
    Backup(backup::Args),
    /// Make a new cluster from a backup, with this host as its first controller
    #[command(disable_help_flag = true)]
    Restore {
        /// For rafterctld --restore
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Configuration files: see what becomes of each key
    #[command(subcommand)]
    Conf(conf::Conf),
}

fn run(invocation: &Invocation) -> u8 {
    let words = std::iter::once(invocation.name()).map(str::to_owned);
    let words = words.chain(invocation.arguments().iter().cloned());
    let read = |words| {
        let matches = Rafter::command().after_help(commands()).try_get_matches_from(words)?;
        Rafter::from_arg_matches(&matches)
    };
    let Rafter { verb } = match read(words) {
        Ok(rafter) => rafter,
        Err(error) => {
            // Nothing can be done where not even that can be said.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(invocation.misuse());
        }
    };
    match verb {
        Verb::Init { arguments } => init::run("--init", arguments),
        Verb::Restore { arguments } => init::run("--restore", arguments),
        Verb::Acct(acct) => acct::run(&acct),
        Verb::Authority(authority) => authority::run(&authority),
        Verb::Backup(args) => backup::run(&args),
        Verb::Status(args) => status::run(&args),
        Verb::Events(args) => events::run(&args),
        Verb::Digest(args) => digest::run(&args),
        Verb::Why(args) => why::run(&args),
        Verb::WhatIf(args) => what_if::run(&args),
        Verb::Sched(sched) => sched::run(&sched),
        Verb::Node(node) => member::node(&node),
        Verb::Controller(member::Controller::Recover { arguments }) => {
            init::run("--recover", arguments)
        }
        Verb::Controller(controller) => member::controller(&controller),
        Verb::Conf(conf) => conf::run(&conf),
    }
}

/// The commands that this executable is when it is called by their names.
fn commands() -> String {
    let line = |command: &invocation::Command| {
        let invocation::Command { name, about, .. } = command;
        format!("  {name:<10}  {about}\n")
    };
    let lines: String = COMMANDS.iter().map(line).collect();
    format!("Commands of {SLURM_VERSION}, by their own names or as `rafter NAME`:\n{lines}")
}

/// Says why a verb failed, and returns the exit code.
fn failed(verb: &str, trouble: &crate::trouble::Trouble) -> u8 {
    trouble.report_error(verb);
    1
}

/// A JSON value as a line of its own.
fn print_json(value: &serde_json::Value) {
    say::out(&format!("{value:#}\n"));
}
