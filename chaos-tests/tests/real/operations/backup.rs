//! `docs/operations/backup.md`.

use std::fs;

use super::{runbook::Runbook, words};
use crate::{cluster::Cluster, stream::Stream};

/// Everything is lost but a backup that was taken under load; a new cluster goes on from it.
#[test]
fn a_cluster_is_restored_from_a_backup() {
    let cluster = Cluster::raise(3, 1, &["MinJobAge=300"]);
    let page = Runbook::open("backup");
    let runs = cluster.path("jobs/runs");
    let script = format!("echo $SLURM_JOB_ID >> {}; sleep 300", runs.display());
    let running = cluster.submit(&script, &[]);
    cluster.until_job(running, &["RUNNING"]);
    let done = cluster.submit("true", &[]);
    cluster.until_job(done, &["COMPLETED"]);
    let held = cluster.submit("true", &["--hold"]);
    let marks = cluster.path("jobs/ran");
    let waits = cluster.submit(&format!("echo ran >> {}", marks.display()), &["-n", "8"]);
    let stream = Stream::start(&cluster, 2);
    let file = cluster.path("backup");
    let file = file.to_str().expect("a text");
    let said = cluster.ask("rafter", &words(&page.line("rafter backup FILE", &[("FILE", file)])));
    assert!(said.contains("up to entry ") && said.contains("digest "), "{said}");
    let again = cluster.run("rafter", &["backup", file]);
    assert_eq!(again.status.code(), Some(1), "it overwrites nothing");
    stream.check_without_failure_of_submission(&cluster);
    let later = cluster.submit("true", &[]);

    let old = cluster.ask("rafter", &["status"]);
    for name in ["ctl1", "ctl2", "ctl3", "n1"] {
        cluster.kill(name);
    }
    cluster.end_jobs();
    for folder in ["state", "spool"] {
        fs::remove_dir_all(cluster.path(folder)).expect("it is there");
        fs::create_dir(cluster.path(folder)).expect("made");
    }
    damaged(&cluster, file);
    let restore = page.line("rafter restore FILE", &[("FILE", file)]);
    let made = cluster.ask("rafter", &words(&[restore, cluster.options("ctl1")].concat()));
    assert!(made.contains("goes on from entry "), "{made}");
    cluster.start("ctl1");
    cluster.leader(None);
    let status = cluster.ask("rafter", &["status"]);
    assert_ne!(old.lines().next(), status.lines().next(), "it is another cluster");
    let token =
        cluster.ask("rafter", &words(&page.line("rafter node token NODE", &[("NODE", "n1")])));
    let address = cluster.address("ctl1");
    let join = page.line(
        "rafterd --join TOKEN --controller HOST:PORT",
        &[("TOKEN", &token), ("HOST:PORT", &address)],
    );
    cluster.start_with("n1", &words(&join));
    cluster.until_node("n1", &["idle"]);

    let state = |job| cluster.job_state(job);
    assert_eq!(state(done).as_deref(), Some("COMPLETED"));
    assert_eq!(state(running).as_deref(), Some("NODE_FAIL"));
    for job in [held, waits] {
        assert_eq!(state(job).as_deref(), Some("PENDING"), "{job}");
    }
    let shown = cluster.ask("scontrol", &["show", "job", &waits.to_string()]);
    assert!(shown.contains("Reason=JobHeldAdmin"), "{shown}");
    assert!(!marks.exists(), "nothing runs before it is released");
    cluster.ask("scontrol", &["release", &waits.to_string()]);
    cluster.until_job(waits, &["COMPLETED"]);
    assert!(marks.exists(), "its script came with the backup");
    let next = cluster.submit("true", &[]);
    assert!(next > later + 50_000, "{next}: an id is given once");
    cluster.until_job(next, &["COMPLETED"]);
    let lines = fs::read_to_string(&runs).expect("it ran");
    assert_eq!(lines.lines().count(), 1, "what ran is not run again");
    let events = cluster.ask("rafter", &["events"]);
    assert!(events.contains("was restored from a backup of cluster"), "{events}");
    assert!(events.contains(&format!("job {done} ")), "the history came with it");
}

/// A file that lost a bit is refused, and nothing is made.
fn damaged(cluster: &Cluster, file: &str) {
    let mut bytes = fs::read(file).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let wrong = format!("{file}.wrong");
    fs::write(&wrong, &bytes).expect("written");
    let line = [vec!["restore".to_owned(), wrong], cluster.options("ctl1")].concat();
    let refused = cluster.run("rafter", &words(&line));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("is damaged, or no backup"), "{said}");
    assert!(!cluster.path("state/ctl1/identity").exists());
    Runbook::open("backup").quotes("is damaged, or no backup of Rafter's");
}
