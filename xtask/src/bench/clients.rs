//! Programs that keep a connection open and submit, and what follows the log.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    bed::Beds,
    disk,
    report::{grouped, ms, rate, table},
    subject::Subject,
};
use crate::{
    cluster::Cluster,
    workspace::{output, succeeds},
};

const CONNECTIONS: [usize; 3] = [1, 16, 256];

/// What `rafter-load` or its like measured.
pub(super) struct Load {
    pub(super) jobs: u64,
    pub(super) took: Duration,
    p50: Duration,
    p99: Duration,
    max: Duration,
    errors: u64,
}

impl Load {
    /// Runs a program that prints what it measured.
    pub(super) fn run(command: &mut Command) -> Result<Self> {
        let said = output(command)?;
        let read: Value = serde_json::from_str(&said).context("no JSON came of it")?;
        let number = |key: &str| read[key].as_u64().with_context(|| format!("no {key} in {said}"));
        let micros = |key: &str| Ok::<_, anyhow::Error>(Duration::from_micros(number(key)?));
        let errors = number("errors")?;
        if errors > 0 {
            eprintln!("{errors} errors, the first: {}", read["first_error"]);
        }
        Ok(Self {
            jobs: number("jobs")?,
            took: Duration::from_secs_f64(read["seconds"].as_f64().context("no seconds")?),
            p50: micros("p50_us")?,
            p99: micros("p99_us")?,
            max: micros("max_us")?,
            errors,
        })
    }

    pub(super) fn rate(&self) -> Result<String> {
        Ok(rate(usize::try_from(self.jobs)?, self.took))
    }

    pub(super) fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
        let jobs = self.jobs as f64;
        jobs / self.took.as_secs_f64()
    }

    fn row(&self, who: String) -> Result<Vec<String>> {
        let mut row = vec![who, self.rate()?, ms(self.p50), ms(self.p99), ms(self.max)];
        if self.errors > 0 {
            row[0].push_str(&format!(" ({} errors)", self.errors));
        }
        Ok(row)
    }
}

/// A stream of submissions that stay in the queue.
pub(super) fn stream(
    beds: &Beds,
    cluster: &Cluster,
    connections: usize,
    seconds: f64,
) -> Result<Load> {
    let mut load = beds.program("rafter-load", cluster);
    load.args(["--connections", &connections.to_string(), "--seconds", &seconds.to_string()]);
    Load::run(&mut load)
}

pub(super) fn measure(beds: &Beds, seconds: f64, rival: Option<&Subject>) -> Result<()> {
    let mut rows = vec![disk::row(&beds.folder, seconds.min(3.0))?];
    for connections in CONNECTIONS {
        // Fresh each time: what one stream left in the queue is not to weigh on the next.
        let load = beds.with(1, 1, &[], |cluster| {
            Subject::rafter(cluster)?.occupy(1, &beds.interrupt)?;
            stream(beds, cluster, connections, seconds)
        })?;
        rows.push(load.row(format!("Rafter, {connections} connections"))?);
    }
    if let Some(rival) = rival {
        match submitter(&beds.folder) {
            Some(program) => {
                for threads in CONNECTIONS {
                    let mut submit = Command::new(&program);
                    submit.args([threads.to_string(), seconds.to_string()]);
                    let load = Load::run(&mut submit)?;
                    rows.push(load.row(format!("{}, {threads} threads", rival.name))?);
                    rival.clear(&beds.interrupt)?;
                }
            }
            None => eprintln!("Slurm's library has no header here: its own calls are not measured"),
        }
    }
    table(
        "Acknowledged submissions: jobs that wait in the queue, each on the disks of a majority",
        &["", "rate", "p50", "p99", "max"],
        &rows,
    );
    Ok(())
}

/// Compiles the program that submits through Slurm's library, where that and its header are.
fn submitter(folder: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bench/slurm_submit.c");
    let program = folder.join("slurm_submit");
    let mut compile = Command::new("cc");
    compile.args(["-O2", "-pthread", "-o"]).arg(&program).arg(source).arg("-lslurm");
    succeeds(&mut compile).then_some(program)
}

/// The state by itself: no network, one thread.
pub(super) fn state(beds: &Beds, sizes: &[u32]) -> Result<()> {
    let (mut rows, mut beside) = (Vec::new(), Vec::new());
    for jobs in sizes {
        beds.interrupt.check()?;
        let mut program = Command::new(beds.built.join("rafter-state"));
        let said = output(program.arg(jobs.to_string()).arg(&beds.folder))?;
        let read: Value = serde_json::from_str(&said).context("no JSON came of it")?;
        let number = |key: &str| read[key].as_f64().with_context(|| format!("no {key} in {said}"));
        let seconds = |key| Ok::<_, anyhow::Error>(ms(Duration::from_secs_f64(number(key)?)));
        rows.push(vec![
            grouped(f64::from(*jobs)),
            format!("{}/s", grouped(number("entries")? / number("apply_s")?)),
            seconds("clone_s")?,
            seconds("write_s")?,
            seconds("read_s")?,
            format!("{} MB", grouped(number("bytes")? / 1e6)),
        ]);
        for (key, when) in [("before", "before"), ("during", "while it is written")] {
            let part = &read[key];
            let number =
                |key: &str| part[key].as_f64().with_context(|| format!("no {key}: {said}"));
            let seconds = |key| Ok::<_, anyhow::Error>(ms(Duration::from_secs_f64(number(key)?)));
            let who = format!("{}, {when}", grouped(f64::from(*jobs)));
            let [p50, p99, max] = [seconds("p50_s")?, seconds("p99_s")?, seconds("max_s")?];
            beside.push(vec![who, grouped(number("appends")?), p50, p99, max]);
        }
    }
    table(
        "State: entries applied (submitted, allocated, launching, running, ended), and snapshots",
        &["jobs", "applied", "frozen in", "written in", "restored in", "snapshot"],
        &rows,
    );
    let heads = ["jobs in the snapshot", "appends", "p50", "p99", "max"];
    table(
        "Appends to one controller's log, one after the other, beside a snapshot",
        &heads,
        &beside,
    );
    Ok(())
}
