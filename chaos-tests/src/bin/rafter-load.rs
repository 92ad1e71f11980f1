//! `rafter-load`: many clients of a cluster, each with a connection of its own, each submitting
//! one job after the other. `cargo xtask bench` runs it; it prints one JSON object.
//!
//! It stands for programs that keep a connection open. What a person types is measured with
//! `sbatch` itself.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use chaos_tests::load::{Last, Load, Seen, plain_job};
use clap::Parser;
use common::job::JobSpec;

/// As the controllers have it: what is measured is them, and the client shares their processors.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long one submission may take, changes of leader included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Submits jobs over many connections at once, and says how fast that went.
#[derive(Parser)]
struct Options {
    /// How many connections, each with one submission at a time
    #[arg(long, value_name = "N", default_value_t = 16)]
    connections: usize,
    /// For how long
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, conflicts_with = "jobs")]
    seconds: f64,
    /// How many jobs, however long that takes
    #[arg(long, value_name = "N")]
    jobs: Option<u64>,
    /// What each job runs
    #[arg(long, value_name = "TEXT", default_value = "#!/bin/sh\ntrue\n")]
    script: String,
    /// Each job's working directory
    #[arg(long, value_name = "DIR", default_value = "/tmp")]
    chdir: String,
    /// Each job's output
    #[arg(long, value_name = "PATTERN", default_value = "/dev/null")]
    output: String,
    /// Submit the jobs held
    #[arg(long)]
    hold: bool,
    /// Write the number of each acknowledged job into this file
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let load = Load {
        connections: options.connections,
        spec: JobSpec {
            hold: options.hold,
            work_dir: options.chdir.clone(),
            std_out: Some(options.output.clone()),
            ..plain_job("rafter-load")?
        },
        script: options.script.clone(),
        distinct: false,
        last: match options.jobs {
            Some(jobs) => Last::Jobs(jobs),
            None => Last::For(Duration::from_secs_f64(options.seconds)),
        },
        patience: PATIENCE,
        room: None,
        rate: None,
        acknowledged: Default::default(),
    };
    report(&options, &mut runtime.block_on(load.run())?)
}

fn report(options: &Options, seen: &mut Seen) -> Result<()> {
    if let Some(path) = &options.ids {
        let mut file = BufWriter::new(File::create(path).context("the file of ids")?);
        for job in &seen.jobs {
            writeln!(file, "{job}")?;
        }
        file.flush()?;
    }
    let Seen { latencies, errors, first_error, took, .. } = seen;
    if latencies.is_empty() {
        bail!("nothing was acknowledged: {}", first_error.as_deref().unwrap_or("no time"));
    }
    latencies.sort_unstable();
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let place = (share * (latencies.len() - 1) as f64) as usize;
        latencies[place]
    };
    let result = serde_json::json!({
        "connections": options.connections,
        "jobs": latencies.len(),
        "seconds": took.as_secs_f64(),
        "p50_us": at(0.5),
        "p99_us": at(0.99),
        "max_us": at(1.0),
        "errors": errors,
        "first_error": first_error,
    });
    println!("{result}");
    Ok(())
}
