//! What a long queue costs those who look at it, and those who submit.

use std::time::Duration;

use anyhow::Result;

use super::{
    bed::Beds,
    clients::{Load, stream},
    report::{Sorted, ms, table},
    subject::Subject,
};
use crate::cluster::Cluster;

/// Pending jobs at which is looked.
const LENGTHS: [u64; 3] = [0, 10_000, 50_000];
const LOOKS: usize = 21;

pub(super) fn measure(beds: &Beds, seconds: f64, rival: Option<&Subject>) -> Result<()> {
    let mut rows = beds.with(1, 1, &[], |cluster| {
        let subject = Subject::rafter(cluster)?;
        let mut rows = vec![looked(&subject, 0)?];
        subject.occupy(1, &beds.interrupt)?;
        let mut there = 0;
        for length in LENGTHS {
            fill(beds, cluster, length - there)?;
            there = length;
            if length > 0 {
                rows.push(looked(&subject, length)?);
            }
        }
        Ok(rows)
    })?;
    if let Some(rival) = rival {
        rows.push(looked(rival, 0)?);
        let pending = &["-H", "-o", "/dev/null", "--wrap", "true"];
        for _ in 0..LENGTHS[1] {
            beds.interrupt.check()?;
            rival.time("sbatch", pending)?;
        }
        rows.push(looked(rival, LENGTHS[1])?);
        rival.clear(&beds.interrupt)?;
    }
    let heads = ["", "pending", "p50", "max", "one job, p50", "sinfo, p50"];
    table("Whole `squeue` processes (all jobs; one job by -j), and `sinfo`", &heads, &rows);

    let mut rows = Vec::new();
    for length in [LENGTHS[0], LENGTHS[2]] {
        let load = beds.with(1, 1, &[], |cluster| {
            Subject::rafter(cluster)?.occupy(1, &beds.interrupt)?;
            fill(beds, cluster, length)?;
            stream(beds, cluster, 16, seconds)
        })?;
        rows.push((length, load));
    }
    let first = rows[0].1.per_second();
    let shown = rows.iter().map(|(length, load)| {
        let share = load.per_second() / first * 100.0;
        Ok(vec![length.to_string(), load.rate()?, format!("{share:.0} %")])
    });
    let shown = shown.collect::<Result<Vec<_>>>()?;
    table("Submissions over 16 connections", &["pending", "rate", "of the first"], &shown);
    Ok(())
}

/// More jobs that wait.
fn fill(beds: &Beds, cluster: &Cluster, jobs: u64) -> Result<()> {
    if jobs > 0 {
        let mut load = beds.program("rafter-load", cluster);
        Load::run(load.args(["--connections", "64", "--jobs", &jobs.to_string()]))?;
    }
    Ok(())
}

fn looked(subject: &Subject, pending: u64) -> Result<Vec<String>> {
    let any = subject.ask("squeue", &["-h", "-o", "%i"])?;
    let job = any.lines().next().unwrap_or_default().trim().to_owned();
    let times = |name: &str, arguments: &[&str]| {
        let times = (0..LOOKS).map(|_| subject.time(name, arguments));
        let times = times.collect::<Result<Vec<Duration>>>()?;
        Ok::<_, anyhow::Error>(Sorted::of(times))
    };
    let all = times("squeue", &[])?;
    let one = match job.as_str() {
        "" => String::new(),
        job => ms(times("squeue", &["-j", job])?.at(50)),
    };
    let sinfo = ms(times("sinfo", &[])?.at(50));
    let (p50, max) = (ms(all.at(50)), ms(all.at(100)));
    Ok(vec![subject.name.to_owned(), pending.to_string(), p50, max, one, sinfo])
}
