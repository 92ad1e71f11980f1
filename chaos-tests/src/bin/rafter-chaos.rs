//! `rafter-chaos`: a cluster of real processes under faults. `cargo xtask chaos` runs it.

use std::process::ExitCode;

use anyhow::Result;
use chaos_tests::chaos;
use clap::{Parser, Subcommand};

/// A cluster of real processes under faults.
#[derive(Parser)]
#[command(name = "rafter-chaos", disable_help_subcommand = true)]
struct Door {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a cluster under faults, heal it, and check what came of it
    Run(Box<chaos::Options>),
}

fn main() -> ExitCode {
    let Door { verb } = Door::parse();
    let done = match verb {
        Verb::Run(options) => run(*options),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rafter-chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: chaos::Options) -> Result<ExitCode> {
    let outcome = chaos::run(options)?;
    for skipped in &outcome.skipped {
        eprintln!("skipped: {skipped}");
    }
    println!("record: {}", outcome.record.path().display());
    println!("again:  {}", outcome.command);
    Ok(ExitCode::SUCCESS)
}
