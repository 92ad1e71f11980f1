//! The tests.

use anyhow::Result;

use crate::{
    packages,
    rocksdb::{self, Prebuilt},
    workspace::{cargo, run},
};

#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Only the tests that this nextest expression or part of a name chooses
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Only the tests of this package
    #[arg(long, short, value_name = "NAME")]
    package: Vec<String>,
}

/// Runs the tests of all packages, or those chosen.
///
/// # Errors
/// Where one fails, or what is needed to run them can't be had.
pub(crate) fn run_with(options: &Options, prebuilt: &Prebuilt) -> Result<()> {
    let mut packages = vec!["--workspace"];
    if !options.package.is_empty() {
        packages = options.package.iter().flat_map(|name| ["--package", name]).collect();
    }
    // Tests of real daemons start the programs of other packages.
    run(prebuilt.apply(&mut cargo(&["build", "--workspace", "--bins", "--locked"])))?;

    // A release with one kind of event more, to which a test upgrades.
    let next = ["build", "-p", "ctl", "--bin", "rafterctld-next", "--features", "next-event"];
    run(prebuilt.apply(cargo(&next).arg("--locked")))?;

    let mut tests = cargo(&["nextest", "run", "--locked"]);
    tests.args(&packages);
    for filter in &options.filter {
        // A name is the common case; an expression has parentheses.
        match filter.contains('(') {
            true => tests.arg("--filterset").arg(filter),
            false => tests.arg(filter),
        };
    }
    run(prebuilt.apply(&mut tests))?;

    if options.filter.is_empty() {
        let mut documents = cargo(&["test", "--doc", "--quiet", "--locked"]);
        run(prebuilt.apply(documents.args(&packages)))?;
    }
    Ok(())
}

/// `cargo xtask test`.
///
/// # Errors
/// As [`run_with`].
pub(crate) fn run_alone(options: &Options) -> Result<()> {
    packages::for_building()?;
    packages::nextest()?;
    run_with(options, &rocksdb::prebuilt()?)
}
