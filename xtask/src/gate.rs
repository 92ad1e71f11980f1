//! Builds with known bugs, each of which must be caught: the one place that turns them on.

use anyhow::Result;

use crate::{
    rocksdb::Prebuilt,
    workspace::{cargo, run},
};

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
