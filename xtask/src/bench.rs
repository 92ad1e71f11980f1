//! `cargo xtask bench`: what Rafter can do on this machine, beside the disk's own limit and, where
//! asked for, beside the real Slurm in the same run.
//!
//! Each part raises a fresh cluster on loopback, measures, prints a table, and stops it. All
//! controllers and all clients share the machine.

mod bed;
mod clients;
mod commands;
mod disk;
mod failover;
mod jobs;
pub(crate) mod machine;
mod queue;
mod report;
mod sched;
mod subject;
mod throughput;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;

use self::{bed::Beds, subject::Subject};
use crate::{
    cluster, sim,
    wait::Interrupt,
    workspace::{run, target},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these parts
    #[arg(value_name = "PART", value_delimiter = ',')]
    parts: Vec<Part>,
    /// The same
    #[arg(long, value_name = "PART", value_delimiter = ',', hide = true)]
    only: Vec<Part>,
    /// Measure this one, too. Its commands must be on the PATH, and its cluster must run; but for
    /// the scheduler's part, which raises a controller of it
    #[arg(long, value_name = "RIVAL")]
    against: Option<Rival>,
    /// How long each stream of submissions lasts
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    seconds: f64,
    /// How often the leader is killed
    #[arg(long, value_name = "N", default_value_t = 50)]
    kills: usize,
    /// How many jobs the state holds, in the part of that name
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
    jobs: Vec<u32>,
    /// How many jobs wait, in the part of the scheduler
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_values_t = [1_000, 10_000, 100_000, 1_000_000]
    )]
    pending: Vec<u32>,
    /// Print what the scheduler's part measured as lines of JSON, too
    #[arg(long)]
    json: bool,
    /// Put the clusters' disks here [default: the target folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Use the programs in this folder and build none
    #[arg(long, value_name = "FOLDER", hide = true)]
    programs: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Acknowledged submissions over 1, 16 and 256 connections, beside the disk's own fdatasync
    Submissions,
    /// Whole `sbatch` processes, in a row and 8 at a time
    Sbatch,
    /// From the call of `sbatch` to the first line of the script
    Start,
    /// Jobs that do nothing, on 8 nodes, from submission to recorded end
    Throughput,
    /// Whole `squeue` processes with an empty and a long queue, and what a queue costs others
    Queue,
    /// From the kill of the leader to the next acknowledged submission; and that nothing was lost
    Failover,
    /// How fast the log is applied; writing and reading a snapshot
    State,
    /// What planning a long queue on 10,000 nodes costs
    Sched,
}

/// Whom to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rival {
    Slurm,
}

/// `cargo xtask bench`.
///
/// # Errors
/// Where something can't be measured, or a job was lost.
pub(crate) fn run_parts(options: &Options) -> Result<()> {
    let only = [options.parts.as_slice(), &options.only].concat();
    let built = match &options.programs {
        Some(folder) => std::path::absolute(folder)?,
        // The planner needs no cluster.
        None if only == [Part::Sched] => {
            run(&mut sim::trials())?;
            target()?.join("release")
        }
        None => cluster::build(&["ctl", "node", "step", "cli", "chaos-tests", "trials"])?,
    };
    let interrupt = Interrupt::listen()?;
    let folder = match &options.dir {
        Some(dir) => std::path::absolute(dir)?,
        None => target()?.join("bench"),
    };
    std::fs::create_dir_all(&folder)?;
    let wanted = |part: Part| only.is_empty() || only.contains(&part);
    let rival = match options.against {
        // For the scheduler's part one is raised.
        Some(Rival::Slurm) if only != [Part::Sched] => Some(Subject::slurm()?),
        Some(Rival::Slurm) | None => None,
    };
    let against = rival.as_ref().map(Subject::version).transpose()?;
    machine::print(&folder, against.as_deref());
    let beds = Beds { folder, built, interrupt };
    let mut failed = Vec::new();
    for part in Part::value_variants().iter().copied().filter(|part| wanted(*part)) {
        beds.interrupt.check()?;
        eprintln!("\n=== {part:?}");
        let done = match part {
            Part::Submissions => clients::measure(&beds, options.seconds, rival.as_ref()),
            Part::Sbatch => commands::measure(&beds, rival.as_ref()),
            Part::Start => jobs::measure(&beds, rival.as_ref()),
            Part::Throughput => throughput::measure(&beds, rival.as_ref()),
            Part::Queue => queue::measure(&beds, options.seconds, rival.as_ref()),
            Part::Failover => failover::measure(&beds, options.kills),
            Part::State => clients::state(&beds, &options.jobs),
            Part::Sched => {
                let rival = options.against == Some(Rival::Slurm);
                sched::measure(&beds, &options.pending, rival, options.json)
            }
        };
        if let Err(error) = done {
            eprintln!("{part:?}: {error:#}");
            failed.push(format!("{part:?}"));
        }
    }
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    Ok(())
}
