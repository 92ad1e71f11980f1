//! Whom the node obeys, while leaders come and go.

use crate::{cluster::Cluster, host::Host};

#[test]
fn a_node_follows_the_leadership_and_no_leader_of_the_past() {
    let mut cluster = Cluster::new(2);
    let mut host = Host::join(&cluster);
    let first = cluster.attached(0);

    // The leadership moves. The old leader hangs up.
    cluster.controllers[0].conduct().term = None;
    cluster.controllers[1].conduct().term = Some(6);
    drop(first);
    let second = cluster.attached(1);

    // The new leader is gone, and the old one takes itself for the leader, still.
    cluster.controllers[1].conduct().term = None;
    cluster.controllers[0].conduct().term = Some(5);
    drop(second);
    cluster.shunned(0);

    // Not even a restart of the daemon makes it obedient to the past.
    host.kill();
    cluster.forget(0);
    host.start(None);
    cluster.shunned(0);
    cluster.controllers[1].conduct().term = Some(7);
    cluster.attached(1);
}

#[test]
fn a_silent_leader_is_left() {
    let mut cluster = Cluster::new(2);
    let _host = Host::join(&cluster);
    let silent = cluster.attached(0);
    silent.hush();
    cluster.controllers[0].conduct().term = None;
    cluster.controllers[1].conduct().term = Some(6);
    cluster.attached(1);
}

#[test]
fn a_second_daemon_on_a_spool_says_what_is_wrong() {
    let mut cluster = Cluster::new(1);
    let host = Host::join(&cluster);
    cluster.attached(0);
    let output = host.command(None).output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("another rafterd uses the spool"), "{said}");
}

#[test]
fn a_host_that_never_joined_says_how_to() {
    let cluster = Cluster::new(1);
    let host = Host::new(&cluster);
    let output = host.command(None).output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("rafterd --join TOKEN"), "{said}");
}

#[test]
fn a_token_is_not_needed_twice() {
    let mut cluster = Cluster::new(1);
    let mut host = Host::join(&cluster);
    cluster.attached(0);
    host.stop();
    let output = host.command(Some(&cluster.token())).output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("start rafterd without --join"), "{said}");
}
