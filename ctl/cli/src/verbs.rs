//! `rafter VERB`: what Slurm has no command for.

mod status;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::{COMMANDS, invocation, invocation::Invocation, options::SLURM_VERSION, say};

pub(crate) const COMMAND: invocation::Command =
    invocation::Command { name: "rafter", about: "What Slurm has no command for", misuse: 2, run };

/// Rafter: a cluster manager and batch scheduler
#[derive(Parser)]
#[command(name = "rafter", subcommand_required = true, arg_required_else_help = true)]
struct Rafter {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show the controllers, who leads, and how the nodes are
    Status(status::Args),
}

fn run(invocation: &Invocation) -> u8 {
    let words = std::iter::once(invocation.name()).map(str::to_owned);
    let words = words.chain(invocation.arguments().iter().cloned());
    let command = Rafter::command().version(VERSION).after_help(commands());
    let matches = match command.try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => {
            // Nothing can be done where not even that can be said.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(invocation.misuse());
        }
    };
    let Rafter { verb } = match Rafter::from_arg_matches(&matches) {
        Ok(rafter) => rafter,
        Err(error) => {
            say::error(&error.to_string());
            return invocation.misuse();
        }
    };
    match verb {
        Verb::Status(args) => status::run(&args),
    }
}

/// The release of Rafter.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commands that this executable is when it is called by their names.
fn commands() -> String {
    let lines =
        COMMANDS.iter().map(|command| format!("  {:<8}  {}\n", command.name, command.about));
    let lines: String = lines.collect();
    format!("Commands of {SLURM_VERSION}, by their own names or as `rafter NAME`:\n{lines}")
}
