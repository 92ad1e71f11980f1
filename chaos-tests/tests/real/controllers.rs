//! Controllers die, freeze, come back, and lose their disks.

use std::fs;

use nix::sys::signal::Signal;

use crate::{
    cluster::{BOUND, Cluster},
    stream::Stream,
    wait::until,
};

/// Lets a stream go on for a while: a fault in an idle cluster finds nothing to break.
fn let_flow(cluster: &Cluster, jobs: u32) {
    let next = || -> u32 {
        let text = cluster.ask("scontrol", &["show", "config"]);
        let line = text.lines().find(|line| line.starts_with("NEXT_JOB_ID")).expect("it is there");
        line.rsplit(' ').next().and_then(|word| word.parse().ok()).expect("a number")
    };
    let goal = next() + jobs;
    until("more submissions", BOUND, || (next() >= goal).then_some(()));
}

/// `kill -9` of the leader, again and again, under load.
#[test]
fn no_acknowledged_job_is_lost_or_runs_twice_when_leaders_die() {
    let cluster = Cluster::raise(3, 2, &["MinJobAge=300"]);
    let stream = Stream::start(&cluster, 3);
    for _ in 0..3 {
        let_flow(&cluster, 10);
        let leader = cluster.leader(None);
        cluster.kill(&leader);
        let_flow(&cluster, 10);
        cluster.start(&leader);
        cluster.joined(&["ctl1", "ctl2", "ctl3"]);
    }
    let acknowledged = stream.check(&cluster);
    assert!(acknowledged > 60, "{acknowledged} are too few to prove anything");
    for (node, state) in cluster.node_states() {
        assert_eq!(state, "idle", "{node} was called down, or holds what nobody has");
    }
}

/// A leader that freezes and thaws finds another in its place, and does nothing more.
#[test]
fn a_leader_that_was_frozen_neither_acknowledges_nor_orders() {
    let cluster = Cluster::raise(3, 2, &[]);
    let stream = Stream::start(&cluster, 2);
    let_flow(&cluster, 5);
    let old = cluster.leader(None);
    cluster.signal(&old, Signal::SIGSTOP);
    let new = cluster.leader(Some(&old));
    let_flow(&cluster, 20);
    cluster.signal(&old, Signal::SIGCONT);
    let_flow(&cluster, 20);
    cluster.joined(&["ctl1", "ctl2", "ctl3"]);
    assert_eq!(cluster.leader(Some(&old)), new, "who thaws does not depose who leads");
    stream.check(&cluster);
    for (node, state) in cluster.node_states() {
        assert_eq!(state, "idle", "{node}");
    }
}

/// All controllers at once: what was acknowledged is on their disks.
#[test]
fn nothing_is_lost_when_all_controllers_die_at_once() {
    let cluster = Cluster::raise(3, 2, &[]);
    let all = ["ctl1", "ctl2", "ctl3"];
    let goes_on = cluster.path("jobs").join("goes-on");
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done", goes_on.display());
    let running = cluster.submit(&script, &[]);
    cluster.until_job(running, &["RUNNING"]);
    let pending = cluster.submit("true", &["--hold"]);
    let stream = Stream::start(&cluster, 2);
    let_flow(&cluster, 20);
    for name in all {
        cluster.kill(name);
    }
    fs::write(&goes_on, "").expect("written");
    for name in all {
        cluster.start(name);
    }
    cluster.joined(&all);
    let_flow(&cluster, 5);
    assert_eq!(cluster.job_state(pending).as_deref(), Some("PENDING"));
    cluster.until_job(running, &["COMPLETED"]);
    cluster.ask("scancel", &[&pending.to_string()]);
    stream.check(&cluster);
}

/// A follower whose store is gone must not vote with an empty memory.
#[test]
fn a_controller_without_its_store_is_refused_until_it_is_added_anew() {
    let cluster = Cluster::raise(3, 1, &[]);
    let leader = cluster.leader(None);
    let names = ["ctl1", "ctl2", "ctl3"];
    let victim = *names.iter().find(|name| **name != leader).expect("two of three follow");
    let before = cluster.submit("true", &[]);
    cluster.until_job(before, &["COMPLETED"]);
    cluster.kill(victim);
    let state = cluster.path("state").join(victim);
    fs::remove_dir_all(state.join("store")).expect("its store is there");
    let log = cluster.path(&format!("log/{victim}.log"));
    let told_before = fs::read_to_string(&log).unwrap_or_default().len();
    // Whether it starts for a moment or not at all: it must end, and say what to do.
    let _ = cluster.run("start", &[victim]);
    let said = until("the controller to refuse", BOUND, || {
        let text = fs::read_to_string(&log).ok()?;
        let text = text.get(told_before..)?.to_owned();
        text.contains("rafter controller remove").then_some(text)
    });
    assert!(said.contains(victim), "{said}");
    // The other two go on, and take it in anew.
    cluster.ask("rafter", &["controller", "remove", victim]);
    fs::remove_dir_all(&state).expect("what is left of it");
    let token = cluster.ask("rafter", &["controller", "token", victim]);
    let address = cluster.address(&leader);
    cluster.start_with(victim, &["--join", &token, "--controller", &address]);
    cluster.joined(&names);
    let after = cluster.submit("true", &[]);
    cluster.until_job(after, &["COMPLETED"]);
    assert!(after > before, "an id is given once");
}

/// One controller is a cluster of one; and the whole of it stops cleanly.
#[test]
fn a_cluster_of_one_runs_jobs_and_survives_its_controller() {
    let cluster = Cluster::raise(1, 1, &[]);
    let first = cluster.submit("true", &[]);
    cluster.until_job(first, &["COMPLETED"]);
    cluster.kill("ctl1");
    cluster.start("ctl1");
    let second = cluster.submit("true", &[]);
    cluster.until_job(second, &["COMPLETED"]);
    assert_eq!(second, first + 1);
    cluster.signal("ctl1", Signal::SIGTERM);
    cluster.until_gone("ctl1");
}
