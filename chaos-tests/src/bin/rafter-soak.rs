//! `rafter-soak`: many jobs through a cluster that runs, and whether its controllers grow by it.
//! `cargo xtask soak` runs it.

use std::process::ExitCode;

use chaos_tests::soak;
use clap::Parser;

/// As the controllers have it: they are what is measured, and the clients share their processors.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs many jobs through a cluster, and sees whether its controllers' memory or disk grows.
#[derive(Parser)]
#[command(name = "rafter-soak")]
struct Door {
    #[command(flatten)]
    options: soak::Options,
}

fn main() -> ExitCode {
    match soak::run(&Door::parse().options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rafter-soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}
