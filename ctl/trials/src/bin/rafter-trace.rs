//! `rafter-trace LOG`: plays a log in the Standard Workload Format again under Rafter's planner,
//! and says what its users would have noticed. `cargo xtask sim trace` runs it.

use std::{
    fs::{self, File},
    io::{BufReader, Read as _},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use flate2::bufread::MultiGzDecoder;
use trials::{
    plot::plot,
    replay::{self, Figures, Order},
    swf,
};

#[derive(Parser)]
struct Options {
    /// The log, as it is or compressed by gzip
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// Who may start before whom; several, separated by commas
    #[arg(long, value_name = "POLICY", value_delimiter = ',', default_value = "conservative")]
    policy: Vec<Policy>,
    /// Print the figures of each policy as a line of JSON, too
    #[arg(long)]
    json: bool,
    /// Draw how full the machine was and how long the queue, under the last policy
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Policy {
    Fcfs,
    Easy,
    Conservative,
}

impl Policy {
    fn order(self) -> (&'static str, Order) {
        match self {
            Self::Fcfs => ("fcfs", Order::Fcfs),
            Self::Easy => ("easy", Order::Easy),
            Self::Conservative => ("conservative", Order::Conservative),
        }
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    let text = read(&options.log).with_context(|| format!("reading {}", options.log.display()))?;
    let log = swf::parse(&text).with_context(|| format!("{}", options.log.display()))?;
    println!(
        "{} jobs on {} processors; {} lines tell too little to be played",
        log.jobs.len(),
        log.processors,
        log.skipped
    );
    println!(
        "{:<13} {:>12} {:>12} {:>17} {:>11} {:>9}",
        "policy", "mean wait s", "mean flow s", "bounded slowdown", "utilised %", "played s"
    );
    let mut lines = Vec::new();
    for policy in &options.policy {
        let (name, order) = policy.order();
        let began = Instant::now();
        let played = replay::play(&log, order);
        let took = began.elapsed().as_secs_f64();
        let figures = replay::figures(&log, &played);
        let Figures { mean_wait, mean_flow, mean_bounded_slowdown, utilisation, jobs } = figures;
        println!(
            "{name:<13} {mean_wait:>12.1} {mean_flow:>12.1} {mean_bounded_slowdown:>17.3} \
             {:>11.2} {took:>9.2}",
            utilisation * 100.0
        );
        if let Some(path) = &options.plot {
            let log_name = options.log.file_name().unwrap_or_default().to_string_lossy();
            let picture = plot(&format!("{log_name}, {name}"), log.processors, &played.samples);
            fs::write(path, picture).with_context(|| format!("writing {}", path.display()))?;
        }
        lines.push(serde_json::json!({
            "policy": name,
            "jobs": jobs,
            "mean_wait": mean_wait,
            "mean_flow": mean_flow,
            "mean_bounded_slowdown": mean_bounded_slowdown,
            "utilisation": utilisation,
            "seconds": took,
        }));
    }
    if options.json {
        lines.iter().for_each(|line| println!("{line}"));
    }
    Ok(())
}

/// The log's text. Not all of its header need be UTF-8.
fn read(path: &Path) -> Result<String> {
    let mut file = BufReader::new(File::open(path)?);
    let mut bytes = Vec::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(file).read_to_end(&mut bytes)?;
    } else {
        file.read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
