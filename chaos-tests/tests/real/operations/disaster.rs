//! `docs/operations/disaster.md`.

use std::fs;

use super::{controllers::add, runbook::Runbook, words};
use crate::{
    cluster::{BOUND, Cluster},
    wait::until,
};

/// Two of three controllers are lost. The third one goes on alone, and grows again; the lost ones
/// come back, and are told that they are out.
#[test]
fn one_controller_of_three_goes_on() {
    let cluster = Cluster::raise(3, 1, &["MinJobAge=300"]);
    let page = Runbook::open("disaster");
    let goes_on = cluster.path("jobs/goes-on");
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done", goes_on.display());
    let running = cluster.submit(&script, &[]);
    cluster.until_job(running, &["RUNNING"]);
    let waits = cluster.submit("true", &["-n", "8"]);
    cluster.joined(&["ctl1", "ctl2", "ctl3"]);
    for name in ["ctl1", "ctl2", "ctl3"] {
        cluster.kill(name);
    }
    let typed = |line: &str| [page.line(line, &[]), cluster.options("ctl3")].concat();
    let look = cluster.run("rafter", &words(&typed("rafter controller recover")));
    let said = String::from_utf8_lossy(&look.stderr).into_owned();
    assert!(!look.status.success() && said.contains("nothing was changed"), "{said}");
    assert!(said.contains("1 jobs pending, 1 with nodes") && said.contains("is lost"), "{said}");
    let done = cluster.ask("rafter", &words(&typed("rafter controller recover --accept-loss")));
    assert!(done.contains("ctl3 is the cluster from here on"), "{done}");
    cluster.start("ctl3");
    assert_eq!(cluster.leader(None), "ctl3");

    // What was left behind comes back, both at once.
    for name in ["ctl1", "ctl2"] {
        let log = cluster.path(&format!("log/{name}.log"));
        let before = fs::read_to_string(&log).expect("it ran").len();
        let _ = cluster.run("start", &[name]);
        until(&format!("{name} to be told that it is out"), BOUND, || {
            let text = fs::read_to_string(&log).ok()?;
            text.get(before..)?.contains("is no member of the cluster any more").then_some(())
        });
        cluster.until_gone(name);
        fs::remove_dir_all(cluster.path("state").join(name)).expect("it is there");
    }
    page.quotes("is no member of the cluster any more");
    assert_eq!(cluster.leader(None), "ctl3");

    // The node is the same one, and so is what runs there.
    cluster.until_node("n1", &["mixed", "allocated"]);
    assert_eq!(cluster.job_state(running).as_deref(), Some("RUNNING"));
    fs::write(&goes_on, "").expect("written");
    cluster.until_job(running, &["COMPLETED"]);
    let shown = cluster.ask("scontrol", &["show", "job", &waits.to_string()]);
    assert!(shown.contains("Reason=JobHeldAdmin"), "{shown}");
    cluster.ask("scontrol", &["release", &waits.to_string()]);
    cluster.until_job(waits, &["COMPLETED"]);
    let next = cluster.submit("true", &[]);
    assert!(next > waits + 50_000, "{next}: an id is given once");
    let events = cluster.ask("rafter", &["events"]);
    assert!(events.contains("was recovered from one controller"), "{events}");
    for name in ["ctl1", "ctl2"] {
        add(&cluster, name);
    }
    cluster.joined(&["ctl1", "ctl2", "ctl3"]);
    cluster.until_job(next, &["COMPLETED"]);
}
