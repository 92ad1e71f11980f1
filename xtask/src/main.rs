//! `cargo xtask`: the one door to building, testing and trying Rafter.
//!
//! Each verb gathers what it lacks (system packages, RocksDB's archive), says so, and runs the
//! ordinary tools. It depends on very little, so that the door itself opens in seconds.

mod bench;
mod chaos;
mod ci;
mod cluster;
mod gate;
mod packages;
mod progress;
mod rocksdb;
mod scenarios;
mod sim;
mod slurm;
mod soak;
mod steps;
mod test;
mod wait;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The one door to building, testing and trying Rafter.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Door {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a whole cluster on this machine, and its first job
    Cluster(cluster::Options),
    /// Run a cluster of real processes under faults, and check what came of it
    Chaos(chaos::Options),
    /// Measure what Rafter can do on this machine
    Bench(bench::Options),
    /// Run many jobs through a cluster, and see whether its memory or disk grows
    Soak(soak::Options),
    /// Run everything that a change must pass: format, lints, layers, licences, tests, documents
    Ci(ci::Options),
    /// Run the tests
    Test(test::Options),
    /// Run the seeded simulator of a cluster
    Sim(sim::Options),
}

fn main() -> ExitCode {
    let done = match Door::parse().verb {
        Verb::Cluster(options) => cluster::run_one(&options),
        Verb::Chaos(options) => chaos::run_one(&options),
        Verb::Bench(options) => bench::run_parts(&options),
        Verb::Soak(options) => soak::run_one(&options),
        Verb::Ci(options) => ci::run_all(&options),
        Verb::Test(options) => test::run_alone(&options),
        Verb::Sim(options) => sim::run_seeds(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
