//! The gate over real processes: known bugs are planted in the daemons, and the checkers must
//! notice.
//!
//! The seeded simulator has its own gate, for all bugs. Here are those that show themselves in real
//! processes better than there, or there only by grace of the simulation: what is on a disk, and
//! what clients and nodes do by themselves. Each has a plan that gives it a chance every few
//! seconds, and so many minutes.
//!
//! The daemons take the bug from `RAFTER_PLANTED`; this process, whose reference model judges them,
//! has none.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use common::planted::Bug;

use crate::{
    check::{self, Checked},
    record::Folder,
};

/// Holds the checkers against known bugs.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Programs that were built with the bugs
    #[arg(long, value_name = "DIR")]
    pub programs: PathBuf,
    /// What raises a cluster [default: xtask, beside the programs]
    #[arg(long, value_name = "FILE", hide = true)]
    pub xtask: Option<PathBuf>,
    /// Where the records are kept
    #[arg(long, value_name = "DIR", default_value = "chaos-gate")]
    pub out: PathBuf,
    /// This bug alone
    #[arg(long, value_name = "NAME")]
    pub bug: Option<String>,
    /// No bug at all, under the same plans: nothing may be found
    #[arg(long, conflicts_with = "bug")]
    pub none: bool,
}

/// A bug, and what gives it a chance.
struct Trial {
    bug: Bug,
    /// Must be caught within so many minutes.
    minutes: u64,
    /// What is done to whom, each at its moment; for so many seconds.
    plan: &'static str,
    /// One such part every so many seconds, so often.
    every: u64,
    times: u64,
}

const TRIALS: &[Trial] = &[
    Trial {
        bug: Bug::SkipFsync,
        minutes: 4,
        plan: "for 1s power controllers",
        every: 14,
        times: 2,
    },
    Trial {
        bug: Bug::AcknowledgeBeforeCommit,
        minutes: 4,
        plan: "for 3s cut peers leader",
        every: 7,
        times: 6,
    },
    Trial { bug: Bug::StaleReads, minutes: 8, plan: "for 1s kill leader", every: 4, times: 12 },
    Trial { bug: Bug::DropCompletion, minutes: 6, plan: "for 4s pause leader", every: 8, times: 6 },
    Trial {
        bug: Bug::LaunchBeforeIntent,
        minutes: 4,
        plan: "for 3s cut peers leader",
        every: 7,
        times: 6,
    },
    Trial { bug: Bug::NoGrace, minutes: 4, plan: "for 2s kill leader", every: 8, times: 4 },
    Trial { bug: Bug::ForgetRequests, minutes: 8, plan: "for 1s kill leader", every: 4, times: 12 },
];

/// How a bug was caught.
struct Caught {
    after: Duration,
    runs: u32,
    by: Vec<String>,
    first: String,
}

/// Plants each bug, until a checker notices or its time is over.
///
/// # Errors
/// Where a bug is unknown here, or nothing can be run.
///
/// The answer is whether all were caught.
pub fn run(options: &Options) -> Result<bool> {
    let known = |name: &String| TRIALS.iter().any(|trial| trial.bug.name() == name);
    if let Some(name) = options.bug.as_ref().filter(|name| !known(name)) {
        let names: Vec<&str> = TRIALS.iter().map(|trial| trial.bug.name()).collect();
        bail!("`{name}` is none of {}", names.join(", "));
    }
    let mut table = String::from(
        "| bug | caught by | within | runs | what was seen |\n|---|---|---|---|---|\n",
    );
    let mut all = true;
    for trial in TRIALS {
        let name = trial.bug.name();
        if options.bug.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let caught = catch(options, trial)?;
        match &caught {
            Some(Caught { after, runs, by, first }) => {
                let (after, by) = (after.as_secs(), by.join(", "));
                let _ = writeln!(table, "| `{name}` | {by} | {after} s | {runs} | {first} |");
            }
            None => {
                let _ = writeln!(table, "| `{name}` | nothing | {} min | | |", trial.minutes);
            }
        }
        all &= caught.is_some() != options.none;
    }
    print!("{table}");
    Ok(all)
}

fn catch(options: &Options, trial: &Trial) -> Result<Option<Caught>> {
    let (name, began) = (trial.bug.name(), Instant::now());
    let bound = Duration::from_secs(60 * trial.minutes);
    let mut runs = 0;
    while began.elapsed() < bound {
        runs += 1;
        let out = options.out.join(format!("{name}-{runs}"));
        eprintln!("{name}, run {runs}: {}", out.display());
        let checked = run_once(options, trial, &out)?;
        let violated: Vec<&Checked> =
            checked.iter().filter(|one| !one.violations.is_empty()).collect();
        if let Some(first) = violated.first() {
            let by = violated.iter().map(|one| one.name.clone()).collect();
            let first = first.violations[0].text.replace('\n', " ").replace('|', "\\|");
            return Ok(Some(Caught { after: began.elapsed(), runs, by, first }));
        }
        // Nothing was found in it: it is only large.
        fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
        if options.none {
            break;
        }
    }
    Ok(None)
}

/// One run with the bug in the daemons, and what the checkers say of it.
fn run_once(options: &Options, trial: &Trial, out: &Path) -> Result<Vec<Checked>> {
    fs::create_dir_all(&options.out)?;
    let plan = out.with_extension("plan");
    fs::write(&plan, trial.text())?;
    let mut driver = Command::new(options.programs.join("rafter-chaos"));
    driver.arg("run").arg("--plan").arg(&plan).arg("--out").arg(out);
    driver.arg("--programs").arg(&options.programs);
    if let Some(xtask) = &options.xtask {
        driver.arg("--xtask").arg(xtask);
    }
    driver.args(["--people", "6", "--rate", "16"]);
    driver.env_remove("RAFTER_PLANTED");
    if !options.none {
        driver.env("RAFTER_PLANTED", trial.bug.name());
    }
    // What it says of violations is what it was run for, and is read from the record below.
    let log = fs::File::create(out.with_extension("log"))?;
    let errors = log.try_clone()?;
    let ended = driver.stdin(Stdio::null()).stdout(log).stderr(errors).status()?;
    let record = Folder::new(out).read().with_context(|| {
        format!("{} ended ({ended}) without a record; see its log beside it", out.display())
    })?;
    check::all(&record).map_err(anyhow::Error::msg)
}

impl Trial {
    fn text(&self) -> String {
        let step = |number| {
            let at = 5 + number * self.every;
            format!("at {at}s {}\n", self.plan)
        };
        (0..self.times).map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_gives_a_bug_its_chance_again_and_again() {
        let trial = TRIALS.iter().find(|trial| trial.bug == Bug::SkipFsync).unwrap();
        let lines = "at 5s for 1s power controllers\nat 19s for 1s power controllers\n";
        assert_eq!(trial.text(), lines);
    }

    #[test]
    fn each_bug_is_tried_once() {
        let bugs: std::collections::BTreeSet<Bug> = TRIALS.iter().map(|trial| trial.bug).collect();
        assert_eq!(bugs.len(), TRIALS.len());
    }
}
