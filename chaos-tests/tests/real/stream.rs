//! A stream of submissions, and what its jobs witness.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::cluster::Cluster;

/// Users who submit one job after the other, until they are told to stop.
pub(crate) struct Stream {
    stop: Arc<AtomicBool>,
    users: Vec<JoinHandle<(Vec<u32>, Vec<String>)>>,
    marks: PathBuf,
}

impl Stream {
    /// Each job appends its id to a file, by one write.
    pub(crate) fn start(cluster: &Cluster, users: usize) -> Self {
        let marks = cluster.path("jobs").join("marks");
        let stop = Arc::new(AtomicBool::new(false));
        let wrap = format!("--wrap=echo $SLURM_JOB_ID >> {}", marks.display());
        let user = |_| {
            let stop = Arc::clone(&stop);
            let mut sbatch = cluster.command("sbatch");
            sbatch.args(["--parsable", "-n", "1", "-o", "/dev/null", &wrap]);
            thread::spawn(move || {
                let (mut acknowledged, mut failures) = (Vec::new(), Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let output = sbatch.output().expect("sbatch can be started");
                    // A failure is no acknowledgement: the job may be there or not.
                    if output.status.success() {
                        let text = String::from_utf8_lossy(&output.stdout);
                        acknowledged.push(text.trim().parse().expect("an id"));
                    } else {
                        failures.push(String::from_utf8_lossy(&output.stderr).into_owned());
                    }
                }
                (acknowledged, failures)
            })
        };
        let users = (0..users).map(user).collect();
        Self { stop, users, marks }
    }

    /// Ends the stream, waits for its jobs, and holds what they did against what was acknowledged:
    /// each ran once. Returns how many were acknowledged.
    pub(crate) fn check(self, cluster: &Cluster) -> usize {
        self.end(cluster).0
    }

    /// As [`Self::check`], and no submission failed either.
    pub(crate) fn check_without_failure(self, cluster: &Cluster) -> usize {
        let (acknowledged, failures) = self.end(cluster);
        assert!(failures.is_empty(), "submissions failed: {failures:#?}{}", cluster.logs());
        acknowledged
    }

    /// No submission failed. What becomes of the jobs is not looked at.
    pub(crate) fn check_without_failure_of_submission(self, cluster: &Cluster) {
        self.stop.store(true, Ordering::Relaxed);
        for user in self.users {
            let (_, failures) = user.join().expect("a user did not panic");
            assert!(failures.is_empty(), "submissions failed: {failures:#?}{}", cluster.logs());
        }
    }

    fn end(self, cluster: &Cluster) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut acknowledged, mut failures) = (Vec::new(), Vec::new());
        for user in self.users {
            let (succeeded, failed) = user.join().expect("a user did not panic");
            acknowledged.extend(succeeded);
            failures.extend(failed);
        }
        cluster.until_empty();
        let text = fs::read_to_string(&self.marks).expect("some job has run");
        let mut runs: BTreeMap<u32, u32> = BTreeMap::new();
        for line in text.lines() {
            *runs.entry(line.trim().parse().expect("a job's id")).or_default() += 1;
        }
        let twice: Vec<_> = runs.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "jobs ran more than once: {twice:?}");
        let mut ids = acknowledged.clone();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), acknowledged.len(), "an id was acknowledged twice");
        let lost: Vec<_> = ids.iter().filter(|id| !runs.contains_key(id)).collect();
        assert!(lost.is_empty(), "acknowledged jobs did not run: {lost:?}{}", cluster.logs());
        (ids.len(), failures)
    }
}
