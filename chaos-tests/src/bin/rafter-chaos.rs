//! `rafter-chaos`: a cluster of real processes under faults, and what is to be thought of it.
//! `cargo xtask chaos` runs it.

use std::{
    io::{IsTerminal as _, stdout},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use chaos_tests::{
    chaos,
    check::{self, Checked},
    figures::{Figures, quantile},
    gate,
    record::{Folder, Nanos, Record},
    report,
};
use clap::{Parser, Subcommand};

/// How many violations of one rule are shown.
const SHOWN: usize = 12;

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
    /// Plant known bugs, one after the other, and see that each is noticed
    Gate(gate::Options),
    /// Check the record of a run again
    Check {
        /// The run's folder
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    let Door { verb } = Door::parse();
    let done = match verb {
        Verb::Run(options) => run(*options),
        Verb::Gate(options) => gate::run(&options),
        Verb::Check { folder } => judge(&Folder::new(folder)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rafter-chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: chaos::Options) -> Result<bool> {
    let outcome = chaos::run(options)?;
    for skipped in &outcome.skipped {
        eprintln!("skipped: {skipped}");
    }
    let good = judge(&outcome.record)?;
    println!("record: {}", outcome.record.path().display());
    println!("again:  {}", outcome.command);
    Ok(good)
}

/// Says what the checkers say. True where they found nothing.
fn judge(folder: &Folder) -> Result<bool> {
    let record = folder.read().context("the record can't be read")?;
    let checked = check::all(&record).map_err(|why| anyhow!("the record proves nothing: {why}"))?;
    let colour = stdout().is_terminal();
    for one in &checked {
        show(one, colour);
    }
    println!("{}", counts(&record));
    let figures = Figures::of(&record);
    for (kind, times) in figures.waits() {
        let what = format!("next acknowledged submission after {kind} of the leader");
        println!("{}", distribution(&what, &times));
    }
    for (kind, times) in figures.beside() {
        println!("{}", distribution(&format!("submissions beside {kind}"), times));
    }
    let page = folder.path().join("report.html");
    report::write(&record, &checked, &page).context("the report can't be written")?;
    println!("report: {}", page.display());
    Ok(checked.iter().all(|one| one.violations.is_empty()))
}

fn show(checked: &Checked, colour: bool) {
    let Checked { name, rule, counted, unit, violations } = checked;
    let (word, code) = match (violations.len(), counted) {
        (0, 0) => ("NOTHING".to_owned(), 33),
        (0, _) => ("holds".to_owned(), 32),
        (count, _) => (format!("VIOLATED {count} times"), 31),
    };
    let word = if colour { format!("\x1b[{code}m{word}\x1b[0m") } else { word };
    println!("{word}: {name}: {rule} ({counted} {unit})");
    for violation in violations.iter().take(SHOWN) {
        println!("    {}", violation.text);
    }
    if violations.len() > SHOWN {
        println!("    and {} more", violations.len() - SHOWN);
    }
}

/// How long something took, of times that are in order.
fn distribution(what: &str, times: &[Nanos]) -> String {
    let at = |share| {
        let time = quantile(times, share).unwrap_or_default();
        Duration::from_nanos(time).as_secs_f64()
    };
    let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(at);
    format!(
        "{what}: {} times, p50 {p50:.3} s, p90 {p90:.3} s, p99 {p99:.3} s, at most {max:.3} s",
        times.len()
    )
}

fn counts(record: &Record) -> String {
    let runs: usize = record.witnesses.values().map(Vec::len).sum();
    let entries = record.logs.values().map(Vec::len).max().unwrap_or_default();
    format!(
        "{} operations, {} faults, {entries} entries, {runs} lines of witnesses",
        record.operations.len(),
        record.faults.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_need_be_said() {
        for words in ["", "--minutes 1", "--seed 7 --minutes 1", "--seed 7 --leader-faults 9"] {
            let words = ["rafter-chaos", "run", "--programs", "bin"]
                .into_iter()
                .chain(words.split_whitespace());
            let door = Door::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
            assert!(matches!(door.verb, Verb::Run(_)));
        }
    }
}
