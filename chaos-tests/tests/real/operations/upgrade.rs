//! `docs/operations/upgrade.md`, with a release that has one kind of event more.

use std::fs;

use super::{runbook::Runbook, words};
use crate::{
    cluster::{BOUND, Cluster},
    stream::Stream,
    wait::until,
};

const NEXT: &str = "rafterctld-next";
const CURRENT: &str = "rafterctld";

/// Installs a release on a controller, and restarts it as the page says.
fn install(cluster: &Cluster, name: &str, program: &str) {
    cluster.use_program(name, program);
    cluster.stop(name);
    cluster.start(name);
    cluster.joined(&["ctl1", "ctl2", "ctl3"]);
}

/// Up, host by host; back down before the format rises; up again; and no way down afterwards. All
/// of it under load.
#[test]
fn a_release_comes_host_by_host_and_can_go_again() {
    let cluster = Cluster::raise(3, 1, &[]);
    cluster.add_program(NEXT);
    let page = Runbook::open("upgrade");
    let stream = Stream::start(&cluster, 1);
    let raised = || {
        let shown = cluster.ask("rafter", &words(&page.line("rafter events", &[])));
        shown.contains("understand events of format 3")
    };
    for name in ["ctl2", "ctl3"] {
        install(&cluster, name, NEXT);
    }
    // One of the next release leads, and asks the others what they understand.
    cluster.ask("scontrol", &["takeover", "1"]);
    let log = cluster.path("log/ctl2.log");
    until("the leader to have asked", BOUND, || {
        let text = fs::read_to_string(&log).ok()?;
        text.contains("not every controller understands").then_some(())
    });
    assert!(!raised(), "one of the three could not read it");
    // Back down, and up again.
    install(&cluster, "ctl2", CURRENT);
    install(&cluster, "ctl2", NEXT);
    install(&cluster, "ctl1", NEXT);
    until("the format to rise", BOUND, || raised().then_some(()));
    let shown = cluster.ask("rafter", &["events"]);
    assert!(shown.contains("what only the next release says"), "{shown}");
    cluster.joined(&["ctl1", "ctl2", "ctl3"]);

    // An older release refuses the log, and damages nothing.
    let log = cluster.path("log/ctl1.log");
    let told = fs::read_to_string(&log).expect("it ran").len();
    cluster.use_program("ctl1", CURRENT);
    cluster.stop("ctl1");
    let _ = cluster.run("start", &["ctl1"]);
    let words = "the log is of format 3, and this release understands no more than format 2";
    page.quotes(words);
    until("it to refuse", BOUND, || {
        let text = fs::read_to_string(&log).ok()?;
        text.get(told..)?.contains(words).then_some(())
    });
    cluster.until_gone("ctl1");
    cluster.use_program("ctl1", NEXT);
    cluster.start("ctl1");
    cluster.joined(&["ctl1", "ctl2", "ctl3"]);
    stream.check_without_failure(&cluster);
}
