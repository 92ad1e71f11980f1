//! `cargo xtask chaos`: real processes under faults, in namespaces of their own.

use std::{env, ffi::OsString, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{cluster, gate, packages, rocksdb, workspace::run};

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Use the programs in this folder and build none
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Plant known bugs, one after the other: each must be caught
    #[arg(long)]
    gate: bool,
    /// Plant this one alone
    #[arg(long, value_name = "NAME", requires = "gate")]
    bug: Option<String>,
    /// For rafter-chaos: --seed N, --plan FILE, --minutes M, ...; --help shows them all
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Builds what is needed, optimised, and runs the driver; or, with known bugs in it, the gate.
///
/// # Errors
/// Where something can't be built, or the driver finds something wrong.
pub(crate) fn run_one(options: &Options) -> Result<()> {
    let programs = match &options.programs {
        Some(folder) => std::path::absolute(folder)?,
        None if options.gate => {
            packages::for_chaos()?;
            packages::for_building()?;
            gate::programs(&rocksdb::prebuilt()?)?
        }
        None => {
            packages::for_chaos()?;
            cluster::build(&["ctl", "node", "step", "cli", "chaos-tests"])?
        }
    };
    let mut chaos = Command::new(programs.join("rafter-chaos"));
    let verb = options.words.first().is_some_and(|word| word == "check");
    let first = if options.gate { "gate" } else { "run" };
    chaos.args((!verb).then_some(first)).args(&options.words);
    if let Some(bug) = &options.bug {
        chaos.args(["--bug", bug]);
    }
    if !verb {
        let own = env::current_exe().context("this program's own file")?;
        chaos.arg("--programs").arg(&programs).arg("--xtask").arg(own);
    }
    run(&mut chaos)
}
