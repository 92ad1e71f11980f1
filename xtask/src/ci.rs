//! What a change must pass. Machines and people run the same steps.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::{
    gate, packages, rocksdb,
    steps::{Outcome, Steps},
    test,
    workspace::{cargo, root, run, succeeds},
};

#[derive(clap::Args)]
pub(crate) struct Options {}

/// Runs all steps, and prints what became of each and how long it took.
///
/// # Errors
/// Where a step fails, or what all of them need can't be had.
pub(crate) fn run_all(_: &Options) -> Result<()> {
    packages::linters()?;
    packages::for_building()?;
    packages::nextest()?;
    let mut steps = Steps::default();
    let passed = |()| Outcome::Passed;

    steps.run("format", || run(&mut cargo(&["fmt", "--all", "--check"])).map(passed));
    steps.run("tidy", || {
        run(&mut cargo(&["test", "--quiet", "--locked", "-p", "xtask", "--test", "tidy"]))
            .map(passed)
    });
    steps.run("licences", || denied(&["licenses", "bans", "sources"]));
    steps.run("advisories", advisories);
    steps.run("units", units);

    let mut prebuilt = None;
    steps.run("rocksdb", || {
        prebuilt = Some(rocksdb::prebuilt()?);
        Ok(Outcome::Passed)
    });
    let Some(prebuilt) = prebuilt else { return steps.close() };

    steps.run("clippy", || {
        let mut clippy = cargo(&["clippy", "--workspace", "--all-targets", "--locked"]);
        run(prebuilt.apply(clippy.args(["--", "-D", "warnings"]))).map(passed)
    });
    steps.run("tests", || test::run_with(&test::Options::default(), &prebuilt).map(passed));
    steps.run("gate", || gate::simulated(&prebuilt, gate::Build::Test, None).map(passed));
    steps.run("documents", || {
        let mut documents = cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
        documents.arg("--document-private-items").env("RUSTDOCFLAGS", "-D warnings");
        run(prebuilt.apply(&mut documents)).map(passed)
    });
    steps.close()
}

/// cargo-deny's judgement on `checks`, as `deny.toml` has it.
fn denied(checks: &[&str]) -> Result<Outcome> {
    if !succeeds(&mut cargo(&["deny", "--version"])) {
        return Ok(Outcome::Skipped("cargo-deny is not installed".to_owned()));
    }
    run(cargo(&["deny", "--locked", "check"]).args(checks))?;
    Ok(Outcome::Passed)
}

/// Known vulnerabilities, if the list of them can be had: a machine without a way out must be able
/// to run everything else.
fn advisories() -> Result<Outcome> {
    if succeeds(&mut cargo(&["deny", "--version"])) && !succeeds(&mut cargo(&["deny", "fetch"])) {
        return Ok(Outcome::Skipped("the list of advisories can't be reached".to_owned()));
    }
    denied(&["advisories"])
}

/// systemd's judgement on the units of `deploy/systemd`.
fn units() -> Result<Outcome> {
    if !succeeds(Command::new("systemd-analyze").arg("--version")) {
        return Ok(Outcome::Skipped("systemd-analyze is not installed".to_owned()));
    }
    let scratch = tempfile::tempdir()?;
    let mut copies = Vec::new();
    for entry in fs::read_dir(root().join("deploy/systemd"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "service") {
            copies.push(installed(&path, scratch.path())?);
        }
    }
    if copies.is_empty() {
        bail!("deploy/systemd holds no unit");
    }
    let mut verify = Command::new("systemd-analyze");
    verify.arg("verify").arg("--man=no").args(&copies);
    let output = verify.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    // It succeeds with a word on each line that it does not understand.
    if !output.status.success() || !said.trim().is_empty() {
        bail!("systemd-analyze verify:\n{}", said.trim_end());
    }
    Ok(Outcome::Passed)
}

/// A copy of the unit in `folder` whose programs exist, as systemd-analyze looks for them.
fn installed(unit: &PathBuf, folder: &std::path::Path) -> Result<PathBuf> {
    let text = fs::read_to_string(unit)?;
    let program = |line: &str| match line.strip_prefix("ExecStart=") {
        Some(words) => {
            let rest = words.split_once(' ').map_or("", |(_, rest)| rest);
            format!("ExecStart=/bin/true {rest}\n")
        }
        None => format!("{line}\n"),
    };
    let copy = folder.join(unit.file_name().unwrap_or_default());
    fs::write(&copy, text.lines().map(program).collect::<String>())?;
    Ok(copy)
}
