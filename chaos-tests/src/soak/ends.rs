//! What the cluster says of the jobs: `rafter events`, followed while they run, and read from its
//! beginning once they are over.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::sample::Premises;

/// A line of `rafter events --json`.
#[derive(Deserialize)]
struct Event<'a> {
    kind: &'a str,
    job: Option<u32>,
    text: &'a str,
}

/// How an end is told that is as it should be.
const COMPLETED: &str = "has ended: COMPLETED, exit 0:0";

/// How many jobs have come how far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) submitted: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) forgotten: AtomicU64,
}

/// Follows the events until it is dropped.
pub(super) struct Follower {
    child: Child,
    reader: Option<JoinHandle<()>>,
}

impl Follower {
    /// Counts in `tally`, and makes room for another job where one has ended.
    pub(super) fn start(
        premises: &Premises,
        tally: &Arc<Tally>,
        room: &Arc<Semaphore>,
    ) -> Result<Self> {
        let mut follow = premises.command("rafter");
        follow.args(["events", "--follow", "--json"]).stdout(Stdio::piped());
        let mut child = follow.spawn().context("rafter events --follow")?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let (tally, room) = (Arc::clone(tally), Arc::clone(room));
        let reader = thread::spawn(move || {
            let told = each_event(output, |event| {
                match event.kind {
                    "JobSubmitted" => &tally.submitted,
                    "JobEnded" => {
                        room.add_permits(1);
                        &tally.ended
                    }
                    "JobForgotten" => &tally.forgotten,
                    _ => return,
                }
                .fetch_add(1, Ordering::Relaxed);
            });
            if let Err(error) = told {
                eprintln!("rafter events --follow: {error:#}");
            }
        });
        Ok(Self { child, reader: Some(reader) })
    }

    /// Whether nothing more will come.
    pub(super) fn is_over(&self) -> bool {
        self.reader.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn each_event(output: ChildStdout, mut tell: impl FnMut(Event<'_>)) -> Result<()> {
    let mut lines = BufReader::with_capacity(1 << 16, output);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        tell(serde_json::from_str(&line).with_context(|| line.clone())?);
        line.clear();
    }
    Ok(())
}

/// What a history tells of the jobs' ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    /// By job: how many ends it has.
    ends: Vec<u8>,
    /// Ends that are not as they should be.
    wrong: Vec<String>,
}

/// How many complaints are told.
const SHOWN: usize = 5;

impl Ends {
    /// Reads the whole history of one controller.
    ///
    /// # Errors
    /// Where the command fails.
    pub(super) fn read(premises: &Premises, controller: &str) -> Result<Self> {
        let mut read = premises.command("rafter");
        read.args(["events", "--json", "--from", controller]).stdout(Stdio::piped());
        let mut child = read.spawn().context("rafter events")?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let mut ends = Self::default();
        let told = each_event(output, |event| ends.note(&event));
        let status = child.wait()?;
        told?;
        if !status.success() {
            bail!("rafter events --from {controller}: {status}");
        }
        Ok(ends)
    }

    fn note(&mut self, event: &Event<'_>) {
        let Some(job) = event.job.filter(|_| event.kind == "JobEnded") else { return };
        let place = usize::try_from(job).expect("a job's number is a place in a list");
        if self.ends.len() <= place {
            self.ends.resize(place + 1, 0);
        }
        self.ends[place] = self.ends[place].saturating_add(1);
        if !event.text.ends_with(COMPLETED) {
            self.wrong.push(event.text.to_owned());
        }
    }

    /// What is wrong with it, where just `jobs` were acknowledged.
    pub(super) fn complaints(&self, jobs: &[u32]) -> Vec<String> {
        let mut left = self.ends.clone();
        let mut complaints = Complaints::default();
        for job in jobs {
            let place = usize::try_from(*job).expect("a job's number is a place in a list");
            match left.get_mut(place) {
                Some(ends @ 1) => *ends = 0,
                Some(0) | None => complaints.add(|| format!("job {job} has no end")),
                Some(many) => complaints.add(|| format!("job {job} has {many} ends")),
            }
        }
        for (job, ends) in left.iter().enumerate().filter(|(_, ends)| **ends == 1) {
            complaints.add(|| format!("job {job} has {ends} end, and nobody was told of it"));
        }
        for text in &self.wrong {
            complaints.add(|| text.clone());
        }
        complaints.told()
    }
}

/// The first of many, and how many there are.
#[derive(Default)]
struct Complaints {
    first: Vec<String>,
    count: usize,
}

impl Complaints {
    fn add(&mut self, text: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(text());
        }
    }

    fn told(mut self) -> Vec<String> {
        if self.count > self.first.len() {
            self.first.push(format!("and {} more", self.count - self.first.len()));
        }
        self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(told: &[(u32, &str)]) -> Ends {
        let mut ends = Ends::default();
        for (job, how) in told {
            let text = format!("job {job} has ended: {how}");
            ends.note(&Event { kind: "JobEnded", job: Some(*job), text: &text });
            ends.note(&Event { kind: "JobForgotten", job: Some(*job), text: "" });
        }
        ends
    }

    const GOOD: &str = "COMPLETED, exit 0:0";

    #[test]
    fn each_job_ends_once_and_well() {
        let good = ends(&[(1, GOOD), (3, GOOD), (2, GOOD)]);
        assert!(good.complaints(&[1, 2, 3]).is_empty());
        let said = |told: &[(u32, &str)], jobs: &[u32]| ends(told).complaints(jobs).join("; ");
        assert_eq!(said(&[(1, GOOD)], &[1, 2]), "job 2 has no end");
        assert_eq!(said(&[(1, GOOD), (1, GOOD)], &[1]), "job 1 has 2 ends");
        let more = "job 2 has 1 end, and nobody was told of it";
        assert_eq!(said(&[(1, GOOD), (2, GOOD)], &[1]), more);
        let failed = "NODE_FAIL, exit 0:0";
        assert_eq!(said(&[(1, failed)], &[1]), format!("job 1 has ended: {failed}"));
        assert_eq!(ends(&[]).complaints(&[1; 9]).len(), SHOWN + 1);
    }
}
