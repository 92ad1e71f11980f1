//! What the real Slurm's backfill needs for the same nodes and jobs.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    bench::{
        bed::Beds,
        report::{grouped, ms, table},
    },
    slurm::Slurm,
    wait::Interrupt,
    workspace::output,
};

/// Jobs that wait: those that `bf_max_job_test` lets it look at by default are 500.
const PENDING: usize = 200;

/// Runs that occupy all nodes: whole nodes, so that there are few of them, and ends to look at.
const WIDE: usize = 10;
const RUNS: usize = 1_000;

pub(super) fn measure(beds: &Beds) -> Result<()> {
    let program = beds.built.join("rafter-queue");
    let said = output(Command::new(program).args(["--words", &PENDING.to_string()]))?;
    let read: Value = serde_json::from_str(&said).context("no JSON came of it")?;
    let lines = |name: &str| -> Option<Vec<&str>> {
        read[name].as_array()?.iter().map(Value::as_str).collect()
    };
    let nodes = lines("nodes").context("it names its nodes")?;
    let jobs = lines("jobs").context("it names its jobs")?;

    let folder = TempDir::with_prefix_in("slurm-", &beds.folder)?;
    let nodes: String = nodes.iter().map(|line| format!("{line}\n")).collect();
    let settings = format!(
        "SelectTypeParameters=CR_CPU_Memory\n\
         GresTypes=gpu\n\
         SchedulerParameters=bf_max_job_test=100000,bf_window=10080,bf_max_time=3600,bf_continue,\
         default_queue_depth=20000,max_sched_time=20\n\
         {nodes}\
         PartitionName=all Nodes=ALL Default=YES MaxTime=UNLIMITED\n"
    );
    let rival = Slurm::raise(folder.path(), &settings, &beds.interrupt)?;
    fill(&rival, &beds.interrupt)?;
    for job in jobs {
        rival.submit(&job.split(' ').collect::<Vec<_>>())?;
    }
    let (cycle, took) = cycle(&rival, &beds.interrupt)?;
    let share = took / u32::try_from(cycle).context("some two hundred jobs")?;
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let row = [PENDING as f64, RUNS as f64, cycle as f64].map(grouped);
    let row = [&row[..], &[ms(took), ms(share)]].concat();
    let heads = ["pending", "running", "looked at", "a cycle", "each"];
    let version = output(Command::new("slurmctld").arg("-V"))?;
    let title = format!("The backfill of {}, bf_max_job_test raised, such nodes", version.trim());
    table(&title, &heads, &[row]);
    Ok(())
}

/// Occupies all nodes, for times of half an hour to three days.
fn fill(rival: &Slurm, interrupt: &Interrupt) -> Result<()> {
    const TASKS: usize = 10;
    let (nodes, array) = (format!("--nodes={WIDE}"), format!("--array=1-{TASKS}"));
    for run in 0..RUNS / TASKS {
        let limit = format!("--time={}", 30 + run * 37 % 4_000);
        rival.submit(&[&nodes, &array, "--exclusive", "--mem=0", &limit])?;
    }
    let bound = Duration::from_secs(1_200);
    interrupt.until("waiting for its nodes to be occupied", bound, || {
        let running = output(rival.command("squeue").args(["-h", "-r", "-t", "R,CF"]))?;
        Ok((running.lines().count() >= RUNS).then_some(()))
    })
}

/// The first cycle that begins with all jobs there: how many it looked at, and its length.
fn cycle(rival: &Slurm, interrupt: &Interrupt) -> Result<(usize, Duration)> {
    let bound = Duration::from_secs(1_200);
    interrupt.until("waiting for its backfill to look at all", bound, || {
        let said = output(&mut rival.command("sdiag"))?;
        let Some((_, backfill)) = said.split_once("Backfilling stats") else {
            bail!("sdiag does not speak of backfill:\n{said}");
        };
        let number = |name: &str| -> Option<u64> {
            let rest = backfill.lines().find_map(|line| line.trim().strip_prefix(name))?;
            rest.trim().parse().ok()
        };
        let under_way = backfill.starts_with(" (WARNING");
        let looked = number("Last depth cycle:").and_then(|depth| usize::try_from(depth).ok());
        let took = number("Last cycle:").map(Duration::from_micros);
        Ok(looked.zip(took).filter(|(looked, _)| !under_way && *looked == PENDING))
    })
}
