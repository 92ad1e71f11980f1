//! The simulator: seeds of one's choice, and the gate that it must pass itself. And logs of real
//! machines, played again under the planner.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{
    gate, packages, rocksdb, scenarios,
    workspace::{cargo, run, target},
};

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    instead: Option<Instead>,
    /// Try this seed, as a failure printed it
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Try so many seeds
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first of them
    #[arg(long, value_name = "N", requires = "seeds")]
    from: Option<u64>,
    /// Plant known bugs, one after the other: each must be caught
    #[arg(long, conflicts_with_all = ["seed", "seeds"])]
    gate: bool,
    /// Plant this one alone
    #[arg(long, value_name = "NAME", requires = "gate")]
    bug: Option<String>,
}

#[derive(clap::Subcommand)]
enum Instead {
    /// Play a log in the Standard Workload Format again under the planner; see `--help` behind it
    #[command(disable_help_flag = true)]
    Trace {
        /// The log, `--policy fcfs|easy|conservative`, `--json`, `--plot FILE.svg`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "LOG [OPTIONS]")]
        words: Vec<OsString>,
    },
    /// Play the scheduler's scenarios on the real Slurm, where its `slurmctld` is installed
    Scenarios(scenarios::Options),
}

/// The planner alone is built for it, and neither the log's store nor a daemon.
fn trace(words: &[OsString]) -> Result<()> {
    run(&mut trials())?;
    run(Command::new(target()?.join("release/rafter-trace")).args(words))
}

/// Builds the programs that put the scheduler on trial.
pub(crate) fn trials() -> Command {
    cargo(&["build", "--release", "--locked", "--quiet", "--package", "trials", "--bins"])
}

/// `cargo xtask sim`: optimised, as it is computation and nothing else.
///
/// # Errors
/// Where an invariant does not hold, whose seed was printed; or where a planted bug is not caught.
pub(crate) fn run_seeds(options: &Options) -> Result<()> {
    match &options.instead {
        Some(Instead::Trace { words }) => return trace(words),
        Some(Instead::Scenarios(options)) => return scenarios::compare(options),
        None => {}
    }
    packages::for_building()?;
    let prebuilt = rocksdb::prebuilt()?;
    if options.gate {
        return gate::simulated(&prebuilt, gate::Build::Fast, options.bug.as_deref());
    }
    let mut simulator = cargo(&["test", "--profile", "sim", "--locked", "-p", "chaos-tests"]);
    simulator.args(["--test", "sim", "--", "--nocapture"]);
    for (name, value) in [("SEED", options.seed), ("SEEDS", options.seeds), ("FROM", options.from)]
    {
        if let Some(value) = value {
            simulator.env(name, value.to_string());
        }
    }
    run(prebuilt.apply(&mut simulator))
}
