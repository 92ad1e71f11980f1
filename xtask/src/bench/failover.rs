//! The leader is killed, again and again, while jobs come in: how long until the next submission
//! is acknowledged, and whether anything was lost or done twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{
    bed::Beds,
    report::{Sorted, ms, table},
    subject::Subject,
};
use crate::{cluster::Cluster, progress::Progress};

const NODES: usize = 2;

/// The stream of submissions beside the kills.
const STREAMS: usize = 2;
const PAUSE: Duration = Duration::from_millis(20);

/// Each run of a job leaves a line of its own.
const SCRIPT: &str = "#!/bin/sh\necho \"$SLURM_JOB_ID $SLURM_RESTART_COUNT\" >>ran/$SLURM_JOB_ID\n";

const BOUND: Duration = Duration::from_secs(60);

/// What the kills and the stream saw.
#[derive(Default)]
struct Seen {
    acknowledged: Mutex<BTreeSet<u32>>,
    /// Submissions of the stream that failed, though there was a leader soon enough.
    failed: Mutex<Vec<String>>,
    over: AtomicBool,
}

pub(super) fn measure(beds: &Beds, kills: usize) -> Result<()> {
    ensure!(kills > 0, "--kills: at least one");
    beds.with(NODES, 8, &[], |cluster| {
        let subject = Subject::rafter(cluster)?;
        fs::create_dir(subject.folder().join("ran"))?;
        fs::write(subject.folder().join("job.sh"), SCRIPT)?;
        let seen = Seen::default();
        let gaps = thread::scope(|scope| {
            for _ in 0..STREAMS {
                scope.spawn(|| stream(&subject, &seen));
            }
            let gaps = kill_leaders(beds, cluster, &subject, &seen, kills);
            seen.over.store(true, Ordering::Relaxed);
            gaps
        })?;
        subject.drained(&beds.interrupt, Duration::from_secs(600))?;
        judge(cluster, &subject, &seen, gaps)
    })
}

fn stream(subject: &Subject, seen: &Seen) {
    while !seen.over.load(Ordering::Relaxed) {
        match subject.ask("sbatch", &["--parsable", "-o", "/dev/null", "job.sh"]) {
            Ok(said) => seen.acknowledge(&said),
            Err(error) => {
                seen.failed.lock().expect("no holder panics").push(format!("{error:#}"));
            }
        }
        thread::sleep(PAUSE);
    }
}

impl Seen {
    fn acknowledge(&self, said: &str) {
        let job = said.trim().split(';').next().and_then(|word| word.parse().ok());
        let job = job.unwrap_or_else(|| panic!("sbatch --parsable printed {said:?}"));
        let fresh = self.acknowledged.lock().expect("no holder panics").insert(job);
        assert!(fresh, "two submissions were given the number {job}");
    }
}

/// Kills the leader so often, and says how long each gap was.
fn kill_leaders(
    beds: &Beds,
    cluster: &Cluster,
    subject: &Subject,
    seen: &Seen,
    kills: usize,
) -> Result<Vec<Duration>> {
    let progress = Progress::new("killing leaders", kills as u64);
    let mut gaps = Vec::new();
    for _ in 0..kills {
        let leader = settled(beds, cluster)?;
        let process = cluster.folder.process(&leader).context("a leader lives")?;
        process.signal(Signal::SIGKILL)?;
        let killed = Instant::now();
        let said = loop {
            match subject.ask("sbatch", &["--parsable", "-o", "/dev/null", "job.sh"]) {
                Ok(said) => break said,
                Err(error) if killed.elapsed() > BOUND => return Err(error),
                Err(_) => beds.interrupt.check()?,
            }
        };
        gaps.push(killed.elapsed());
        seen.acknowledge(&said);
        cluster.folder.start(&leader, &[])?;
        progress.advance();
    }
    settled(beds, cluster)?;
    Ok(gaps)
}

/// Waits until a leader is there and all controllers follow it closely; and says who leads.
fn settled(beds: &Beds, cluster: &Cluster) -> Result<String> {
    beds.interrupt.until("waiting for the controllers to catch up", BOUND, || {
        let Ok(said) = cluster.ask("rafter", &["status", "--json"]) else { return Ok(None) };
        let status: Value = serde_json::from_str(&said).context("no JSON")?;
        let controllers = status["controllers"].as_array().context("no controllers")?;
        let near = |one: &Value| {
            let role = one["role"].as_str().unwrap_or_default();
            matches!(role, "leader" | "follower") && one["lag"].as_u64().is_some_and(|lag| lag < 50)
        };
        let all = controllers.len() == cluster.controllers() && controllers.iter().all(near);
        Ok(status["leader"].as_str().filter(|_| all).map(str::to_owned))
    })
}

fn judge(cluster: &Cluster, subject: &Subject, seen: &Seen, gaps: Vec<Duration>) -> Result<()> {
    let acknowledged = seen.acknowledged.lock().expect("no holder panics");
    let failed = seen.failed.lock().expect("no holder panics");
    let runs = runs(&subject.folder().join("ran"))?;
    let lost: Vec<u32> =
        acknowledged.iter().copied().filter(|job| !runs.contains_key(job)).collect();
    let twice: Vec<u32> =
        runs.iter().filter(|(_, runs)| **runs != 1).map(|(job, _)| *job).collect();
    let down = down(cluster)?;
    let sorted = Sorted::of(gaps);
    let at = [50, 99, 100].map(|hundredths| ms(sorted.at(hundredths)));
    table(
        "Failover: from `kill -9` of the leader to the first acknowledged submission by `sbatch`",
        &["", "kills", "p50", "p99", "max"],
        &[[vec!["Rafter".to_owned(), sorted.len().to_string()], at.to_vec()].concat()],
    );
    let count = |count: usize| count.to_string();
    let rows = vec![
        vec!["jobs acknowledged".to_owned(), count(acknowledged.len())],
        vec!["of these lost".to_owned(), count(lost.len())],
        vec!["jobs that ran more than once".to_owned(), count(twice.len())],
        vec!["nodes that were called down".to_owned(), count(down.len())],
        vec!["submissions that failed".to_owned(), count(failed.len())],
    ];
    table("What the kills left behind", &["", "count"], &rows);
    if let Some(first) = failed.first() {
        eprintln!("the first that failed: {first}");
    }
    if !(lost.is_empty() && twice.is_empty() && down.is_empty()) {
        bail!("lost: {lost:?}; ran more than once: {twice:?}; down: {down:?}");
    }
    Ok(())
}

/// How often each job ran: the lines of its file.
fn runs(folder: &Path) -> Result<BTreeMap<u32, usize>> {
    let mut runs = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let job = name.parse().with_context(|| format!("{name} is no job"))?;
        runs.insert(job, fs::read_to_string(&path)?.lines().count());
    }
    Ok(runs)
}

/// The nodes that the log ever called down or lost, and those that are not idle now.
fn down(cluster: &Cluster) -> Result<Vec<String>> {
    let mut down = Vec::new();
    for line in cluster.ask("rafter", &["events", "--json"])?.lines() {
        let event: Value = serde_json::from_str(line).context("rafter events --json: a line")?;
        let text = event["text"].as_str().unwrap_or_default().to_ascii_lowercase();
        let of_node = event["kind"].as_str().is_some_and(|kind| kind.contains("node"));
        if of_node && ["down", "lost", "not responding"].iter().any(|word| text.contains(word)) {
            down.push(text);
        }
    }
    let shown = cluster.ask("sinfo", &["-h", "-N", "-o", "%N %T"])?;
    down.extend(shown.lines().filter(|line| !line.ends_with(" idle")).map(str::to_owned));
    Ok(down)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_counted_by_lines() {
        let scratch = tempfile::tempdir().expect("a folder");
        fs::write(scratch.path().join("7"), "7 0\n").expect("written");
        fs::write(scratch.path().join("8"), "8 0\n8 1\n").expect("written");
        let runs = runs(scratch.path()).expect("read");
        assert_eq!(runs, BTreeMap::from([(7, 1), (8, 2)]));
    }
}
