//! A soak: a cluster of real controllers under load for long, to see that what they use of memory
//! and disk has a bound, and that in the end each job has ended once. `rafter-soak` is the program;
//! `cargo xtask soak` raises the cluster for it, whose nodes are `rafter-fleet`'s.
//!
//! The folder that it leaves:
//!
//! | file | holds |
//! |---|---|
//! | `samples.jsonl` | a [`Sample`] a line |
//! | `soak.svg` | the same as a plot |
//! | `summary.json` | a [`Summary`] |

mod drive;
mod ends;
mod judge;
mod plot;
mod sample;
mod summary;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use self::{drive::Driven, ends::Ends};
pub use self::{
    judge::{Judged, What, judge},
    plot::plot,
    sample::{Premises, Sample, Usage},
    summary::{Latency, Summary},
};

/// How long the controllers may take to have applied the same. Until `MinJobAge` after the last
/// end, jobs go on leaving the live state.
const SETTLING: Duration = Duration::from_secs(300);

/// What is to be done.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The folder of the cluster, as `cargo xtask cluster --dir` makes it. Nobody else may use it
    #[arg(long, value_name = "DIR")]
    pub cluster: PathBuf,
    /// How many jobs
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub jobs: u64,
    /// How many connections submit, each one job at a time
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub connections: usize,
    /// How many jobs may be submitted and not ended
    #[arg(long, value_name = "N", default_value_t = 4_000)]
    pub window: usize,
    /// At most so many submissions a second. What is live at a time is then even
    #[arg(long, value_name = "N", value_parser = positive)]
    pub rate: Option<f64>,
    /// Between two samples
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = positive)]
    pub every: f64,
    /// By how much the last third of the run may exceed the middle one in what it takes
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0)]
    pub growth: f64,
    /// Leave samples, plot and summary here
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Print the summary as an object in one line, too
    #[arg(long)]
    pub json: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && f64::is_finite(number) => Ok(number),
        Ok(_) | Err(_) => Err("not a number above 0".to_owned()),
    }
}

/// Runs it, and says whether all is as it should be.
///
/// # Errors
/// Where it can't be run to its end.
pub fn run(options: &Options) -> Result<bool> {
    fs::create_dir_all(&options.out).with_context(|| options.out.display().to_string())?;
    let premises = Premises::open(&options.cluster)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let driven = runtime.block_on(drive::drive(options, &premises))?;
    fs::write(options.out.join("soak.svg"), plot(&driven.samples))?;
    let complaints = complaints(&premises, &driven)?;
    let judged = judge(&driven.samples, options.growth / 100.0);
    let summary = Summary::of(&driven, judged, complaints);
    fs::write(options.out.join("summary.json"), serde_json::to_vec_pretty(&summary)?)?;
    print!("{}", summary.text());
    println!("kept in {}: samples.jsonl, soak.svg, summary.json", shown(&options.out));
    if options.json {
        println!("{}", serde_json::to_string(&summary)?);
    }
    Ok(summary.passed)
}

fn shown(folder: &Path) -> String {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()).display().to_string()
}

/// What is wrong with what the cluster says of it, when all is over.
fn complaints(premises: &Premises, driven: &Driven) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    if let Some(error) = &driven.seen.first_error {
        complaints.push(format!("{} submissions failed, first: {error}", driven.seen.errors));
    }
    eprintln!("waiting for the controllers to have applied the same");
    complaints.extend(digests(premises)?);
    for controller in &premises.controllers {
        eprintln!("reading the history of {controller}");
        let wrong = Ends::read(premises, controller)?.complaints(&driven.seen.jobs);
        complaints.extend(wrong.into_iter().map(|text| format!("{controller}: {text}")));
    }
    Ok(complaints)
}

/// One of `rafter digest --json`.
#[derive(Deserialize)]
struct Digest {
    controller: String,
    index: Option<u64>,
    digest: Option<String>,
}

/// Waits until all controllers have applied the same, and says where their states differ.
fn digests(premises: &Premises) -> Result<Option<String>> {
    let started = Instant::now();
    loop {
        let said = premises.command("rafter").args(["digest", "--json"]).output()?;
        let digests: Vec<Digest> =
            serde_json::from_slice(&said.stdout).context("rafter digest --json")?;
        let first = digests.first().context("no controller")?;
        if first.index.is_some() && digests.iter().all(|one| one.index == first.index) {
            let other = digests.iter().find(|one| one.digest != first.digest);
            return Ok(other.map(|other| {
                format!("{} and {} have different states", first.controller, other.controller)
            }));
        }
        if started.elapsed() >= SETTLING {
            return Ok(Some("the controllers have not applied the same".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
