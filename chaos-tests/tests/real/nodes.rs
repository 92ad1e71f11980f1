//! Nodes' daemons die, and nodes are not heard of.

use std::{fs, time::Duration};

use nix::sys::signal::Signal;

use crate::{
    cluster::{BOUND, Cluster},
    wait::until,
};

/// A job that tells that it runs, and goes on until a file appears.
fn script(cluster: &Cluster, name: &str) -> (String, std::path::PathBuf, std::path::PathBuf) {
    let (runs, goes_on) = (
        cluster.path("jobs").join(format!("{name}.runs")),
        cluster.path("jobs").join(format!("{name}.ends")),
    );
    let text = format!(
        "echo $SLURM_JOB_ID >> {}; while [ ! -e {} ]; do sleep 0.05; done; exit 3",
        runs.display(),
        goes_on.display()
    );
    (text, runs, goes_on)
}

fn lines(path: &std::path::Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

/// The job goes on without its daemon, and its end is recorded when the daemon is back.
#[test]
fn a_job_outlives_its_nodes_daemon() {
    let cluster = Cluster::raise(1, 1, &["SlurmdTimeout=300"]);
    let (text, runs, ends) = script(&cluster, "a");
    let during = cluster.submit(&text, &[]);
    cluster.until_job(during, &["RUNNING"]);
    until("the script", BOUND, || (lines(&runs) == 1).then_some(()));
    cluster.kill("n1");
    // It ends while nobody listens.
    fs::write(&ends, "").expect("written");
    cluster.start("n1");
    assert_eq!(cluster.until_job(during, &["FAILED", "COMPLETED", "NODE_FAIL"]), "FAILED");
    let shown = cluster.ask("scontrol", &["show", "job", &during.to_string()]);
    assert!(shown.contains("ExitCode=3:0"), "{shown}");

    // And one that still runs is taken up again.
    let (text, again, ends) = script(&cluster, "b");
    let across = cluster.submit(&text, &[]);
    until("the script", BOUND, || (lines(&again) == 1).then_some(()));
    cluster.kill("n1");
    cluster.start("n1");
    cluster.until_node("n1", &["mixed", "allocated"]);
    assert_eq!(cluster.job_state(across).as_deref(), Some("RUNNING"));
    fs::write(&ends, "").expect("written");
    cluster.until_job(across, &["FAILED"]);
    assert_eq!((lines(&runs), lines(&again)), (1, 1), "no job runs twice");
    cluster.until_node("n1", &["idle"]);
}

/// A node that is not heard of while its job ends, and while the leader changes, loses nothing.
#[test]
fn an_end_that_nobody_could_hear_is_recorded_later() {
    let cluster = Cluster::raise(3, 1, &["SlurmdTimeout=300"]);
    let (text, runs, ends) = script(&cluster, "c");
    let job = cluster.submit(&text, &[]);
    until("the script", BOUND, || (lines(&runs) == 1).then_some(()));
    cluster.until_job(job, &["RUNNING"]);
    cluster.signal("n1", Signal::SIGSTOP);
    fs::write(&ends, "").expect("written");
    let leader = cluster.leader(None);
    cluster.kill(&leader);
    cluster.leader(Some(&leader));
    assert_eq!(cluster.job_state(job).as_deref(), Some("RUNNING"), "nobody can know better");
    cluster.signal("n1", Signal::SIGCONT);
    cluster.until_job(job, &["FAILED"]);
    assert_eq!(lines(&runs), 1);
    cluster.until_node("n1", &["idle"]);
}

/// A node that is silent for too long is down and its job failed; when it returns, what is left of
/// the job ends.
#[test]
fn a_silent_node_is_given_up_and_returns() {
    let cluster = Cluster::raise(1, 1, &["SlurmdTimeout=3", "KillWait=1"]);
    let (text, runs, _ends) = script(&cluster, "d");
    let job = cluster.submit(&text, &["--no-requeue"]);
    until("the script", BOUND, || (lines(&runs) == 1).then_some(()));
    cluster.signal("n1", Signal::SIGSTOP);
    cluster.until_node("n1", &["down"]);
    cluster.until_job(job, &["NODE_FAIL"]);
    cluster.signal("n1", Signal::SIGCONT);
    cluster.until_node("n1", &["idle"]);
    let spool = cluster.path("spool/n1/jobs");
    until("the rest of the job to be cleaned up", Duration::from_secs(60), || {
        let left = fs::read_dir(&spool).map_or(0, Iterator::count);
        (left == 0).then_some(())
    });
    let next = cluster.submit("true", &[]);
    cluster.until_job(next, &["COMPLETED"]);
    assert_eq!(lines(&runs), 1);
}
