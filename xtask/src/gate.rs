//! Builds with known bugs, each of which must be caught: the one place that turns them on.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    rocksdb::Prebuilt,
    workspace::{cargo, run, target},
};

/// What plants them in real processes.
const FEATURES: &str = "ctl/planted,node/planted,chaos-tests/planted";

/// How the simulator is built for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// As the tests are: there is less to compile.
    Test,
    /// Optimised: there is less to wait for.
    Fast,
}

/// Holds the simulator against all known bugs that it can see, or one.
///
/// # Errors
/// Where one is not caught within its bound of seeds.
pub(crate) fn simulated(prebuilt: &Prebuilt, build: Build, bug: Option<&str>) -> Result<()> {
    let mut gate = cargo(&["test", "--locked", "-p", "chaos-tests", "--features", "planted"]);
    if build == Build::Fast {
        gate.args(["--profile", "sim"]);
    }
    gate.args(["--test", "gate", "--", "--nocapture"]);
    if let Some(bug) = bug {
        gate.env("BUG", bug);
    }
    run(prebuilt.apply(&mut gate))
}

/// Builds all programs with the bugs in them, which wait for `RAFTER_PLANTED`, in a folder of their
/// own: nobody shall take them for others. Says where they are.
///
/// # Errors
/// Where they can't be built.
pub(crate) fn programs(prebuilt: &Prebuilt) -> Result<PathBuf> {
    let folder = target()?.join("planted");
    let mut build = cargo(&["build", "--locked", "--bins", "--features", FEATURES]);
    build.arg("--target-dir").arg(&folder);
    for package in ["ctl", "node", "step", "cli", "chaos-tests"] {
        build.args(["--package", package]);
    }
    run(prebuilt.apply(&mut build))?;
    Ok(folder.join("debug"))
}
