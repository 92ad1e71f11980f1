//! The simulator: seeds of one's choice, and the gate that it must pass itself.

use anyhow::Result;

use crate::{
    gate, packages, rocksdb,
    workspace::{cargo, run},
};

#[derive(clap::Args)]
pub(crate) struct Options {
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

/// `cargo xtask sim`: optimised, as it is computation and nothing else.
///
/// # Errors
/// Where an invariant does not hold, whose seed was printed; or where a planted bug is not caught.
pub(crate) fn run_seeds(options: &Options) -> Result<()> {
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
