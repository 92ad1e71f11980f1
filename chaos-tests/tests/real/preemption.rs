//! Jobs that make way for others, from the submission of the other to the ends of both.

use std::fs;

use crate::{
    cluster::{BOUND, Cluster},
    wait::until,
};

const SETTINGS: [&str; 5] = [
    "PreemptType=preempt/partition_prio",
    "PreemptMode=REQUEUE",
    "KillWait=1",
    "PartitionName=spare Nodes=ALL PreemptMode=CANCEL GraceTime=600",
    "PartitionName=urgent Nodes=ALL PriorityTier=9",
];

/// Waits for a file in the folder of the jobs.
fn wait_for(cluster: &Cluster, name: &str) -> String {
    until(&format!("file {name}"), BOUND, || {
        let text = fs::read_to_string(cluster.path(&format!("jobs/{name}"))).ok()?;
        text.ends_with('\n').then_some(text)
    })
}

fn make(cluster: &Cluster, name: &str) {
    fs::write(cluster.path(&format!("jobs/{name}")), "\n").expect("it is written");
}

#[test]
fn a_job_of_a_high_tier_takes_the_place_of_one_of_a_low_tier_and_both_finish() {
    let cluster = Cluster::raise(1, 1, &SETTINGS);
    let script = "echo ${SLURM_RESTART_COUNT:-none} >> marks
        test \"$SLURM_RESTART_COUNT\" = 1 || exec sleep 600";
    let low = cluster.submit(script, &["-n8"]);
    assert_eq!(wait_for(&cluster, "marks"), "none\n");

    let script = "echo urgent >> marks; while [ ! -e leave ]; do sleep 0.1; done";
    let high = cluster.submit(script, &["-n8", "-p", "urgent"]);
    cluster.until_job(high, &["RUNNING"]);
    let shown = cluster.ask("scontrol", &["show", "job", "-o", &low.to_string()]);
    for word in ["JobState=PENDING", "Reason=BeginTime", "Restarts=1"] {
        assert!(shown.contains(word), "{word} is not in {shown}");
    }
    make(&cluster, "leave");
    cluster.until_job(high, &["COMPLETED"]);
    // It comes back after a while by itself; whoever can't wait says so.
    cluster.ask("scontrol", &["update", &format!("JobId={low}"), "StartTime=now"]);
    cluster.until_job(low, &["COMPLETED"]);
    assert_eq!(wait_for(&cluster, "marks"), "none\nurgent\n1\n", "each ran when it should");
}

#[test]
fn a_job_with_grace_is_told_and_who_waits_for_it_is_told_so() {
    let cluster = Cluster::raise(1, 1, &SETTINGS);
    let script = "trap 'echo told > told' TERM
        echo runs > runs
        while [ ! -e leave ]; do sleep 0.1; done
        exit 3";
    let low = cluster.submit(script, &["-n8", "-p", "spare"]);
    wait_for(&cluster, "runs");
    let high = cluster.submit("true", &["-n8", "-p", "urgent"]);
    wait_for(&cluster, "told");
    let state = |job: u32| cluster.job_state(job);
    assert_eq!(state(low).as_deref(), Some("RUNNING"), "it has ten minutes");
    let why = cluster.ask("rafter", &["why", &high.to_string()]);
    let its = |line: &&str| line.trim_start().starts_with(&format!("{low}  makes way"));
    assert!(why.lines().any(|line| its(&line)), "{why}");

    make(&cluster, "leave");
    cluster.until_job(high, &["COMPLETED"]);
    assert_eq!(state(low).as_deref(), Some("PREEMPTED"));
    let listed = cluster.ask("squeue", &["-h", "-t", "PREEMPTED", "-o", "%i %t %T"]);
    assert_eq!(listed, format!("{low} PR PREEMPTED"));
    let json = cluster.ask("squeue", &["--json", "-t", "all"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    let jobs = json["jobs"].as_array().expect("a list of jobs");
    let own = jobs.iter().find(|job| job["job_id"] == low).expect("it is listed");
    assert!(own["job_state"].to_string().contains("PREEMPTED"), "{own}");
}
