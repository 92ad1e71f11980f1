//! Jobs that do nothing: how many a second go from submission to their recorded end.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{
    bed::Beds,
    report::{rate, table},
    subject::Subject,
};
use crate::wait::Interrupt;

const NODES: usize = 8;
const JOBS: usize = 800;
const AT_A_TIME: usize = 8;
const NO_OP: [&str; 4] = ["-o", "/dev/null", "--wrap", "true"];

pub(super) fn measure(beds: &Beds, rival: Option<&Subject>) -> Result<()> {
    let mut rows = Vec::new();
    rows.extend(beds.with(NODES, 8, &[], |cluster| {
        let subject = Subject::rafter(cluster)?;
        let mut load = beds.program("rafter-load", cluster);
        load.args(["--connections", "16", "--jobs", &JOBS.to_string()]);
        let started = Instant::now();
        super::clients::Load::run(&mut load)?;
        subject.drained(&beds.interrupt, BOUND)?;
        let over_connections = row(&subject, "16 connections", started.elapsed());
        Ok(vec![over_connections, by_processes(&subject, &beds.interrupt)?])
    })?);
    if let Some(rival) = rival {
        rows.push(by_processes(rival, &beds.interrupt)?);
    }
    table(
        "Jobs that do nothing, on 8 nodes of 8 CPUs: from the first submission to the last end",
        &["", "jobs", "rate"],
        &rows,
    );
    Ok(())
}

const BOUND: Duration = Duration::from_secs(600);

fn by_processes(subject: &Subject, interrupt: &Interrupt) -> Result<Vec<String>> {
    let started = Instant::now();
    thread::scope(|scope| {
        let calls =
            || (0..JOBS / AT_A_TIME).try_for_each(|_| subject.time("sbatch", &NO_OP).map(|_| ()));
        let threads: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(calls)).collect();
        let mut joined = threads.into_iter().map(|it| it.join().expect("a caller does not panic"));
        joined.try_for_each(|done| done)
    })?;
    subject.drained(interrupt, BOUND)?;
    Ok(row(subject, "8 sbatch at a time", started.elapsed()))
}

fn row(subject: &Subject, how: &str, took: Duration) -> Vec<String> {
    vec![format!("{}, {how}", subject.name), JOBS.to_string(), rate(JOBS, took)]
}
