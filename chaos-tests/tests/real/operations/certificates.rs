//! `docs/operations/certificates.md`.

use std::{fs, time::Duration};

use super::{runbook::Runbook, words};
use crate::{cluster::Cluster, stream::Stream, wait::until};

/// Certificates that count for a few seconds are renewed again and again, and nobody notices: no
/// submission fails, the leader stays, and a job on the node runs on.
#[test]
fn certificates_are_renewed_while_all_goes_on() {
    let cluster = Cluster::raise(3, 1, &["RafterCertificateLifetime=10"]);
    let page = Runbook::open("certificates");
    page.quotes("RafterCertificateLifetime");
    let goes_on = cluster.path("jobs/goes-on");
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done", goes_on.display());
    let running = cluster.submit(&script, &[]);
    cluster.until_job(running, &["RUNNING"]);
    let leader = cluster.leader(None);
    let stream = Stream::start(&cluster, 1);
    let pass = || fs::read_to_string(cluster.path("spool/n1/pass")).expect("it is there");
    let mut kept = pass();
    // Three renewals are longer than two lifetimes of the first certificate.
    for _ in 0..3 {
        kept = until("the node's next certificate", Duration::from_secs(20), || {
            let next = pass();
            (next != kept).then_some(next)
        });
    }
    assert_eq!(cluster.job_state(running).as_deref(), Some("RUNNING"));
    fs::write(&goes_on, "").expect("written");
    cluster.until_job(running, &["COMPLETED"]);
    stream.check_without_failure(&cluster);
    cluster.joined(&["ctl1", "ctl2", "ctl3"]);
    assert_eq!(cluster.leader(None), leader, "a renewal is no reason for another leader");
    for (node, state) in cluster.node_states() {
        assert_eq!(state, "idle", "{node}");
    }
    let fresh = fs::read_to_string(cluster.path("log/ctl2.log")).expect("it runs");
    assert!(fresh.matches("has a fresh certificate").count() >= 2, "{fresh}");
}

/// Another authority takes the place of the first, while all goes on. What the old one signs is
/// good for nothing afterwards: a dismissed controller, which has its key, is shut out.
#[test]
fn another_authority_takes_the_place_of_the_first() {
    let cluster = Cluster::raise(3, 1, &["RafterCertificateLifetime=10"]);
    let page = Runbook::open("certificates");
    let old = cluster.path("old");
    fs::create_dir(&old).expect("made");
    for file in ["authority.crt", "authority.key"] {
        let from = cluster.path("state/ctl3/authority").join(file);
        fs::copy(from, old.join(file)).expect("a dismissed controller has it");
    }
    let goes_on = cluster.path("jobs/goes-on");
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done", goes_on.display());
    let running = cluster.submit(&script, &[]);
    cluster.until_job(running, &["RUNNING"]);
    let stream = Stream::start(&cluster, 1);
    let show = || cluster.ask("rafter", &words(&page.line("rafter authority show", &[])));
    let first = show();
    let begun = cluster.ask("rafter", &words(&page.line("rafter authority roll", &[])));
    assert!(begun.starts_with(&first) && begun.contains("coming "), "{begun}");
    let second = until("another one to sign", Duration::from_secs(60), || {
        let shown = show();
        shown.contains("going ").then_some(shown)
    });
    assert!(!second.starts_with(&first), "{second}");
    let last = until("the old one to be gone", Duration::from_secs(60), || {
        let shown = show();
        (shown.lines().count() == 1).then_some(shown)
    });
    assert!(second.starts_with(&last), "{last}");
    fs::write(&goes_on, "").expect("written");
    cluster.until_job(running, &["COMPLETED"]);
    stream.check_without_failure(&cluster);
    for (node, state) in cluster.node_states() {
        assert_eq!(state, "idle", "{node} came along");
    }
    // A controller that starts again has what it needs.
    cluster.stop("ctl2");
    cluster.start("ctl2");
    cluster.joined(&["ctl1", "ctl2", "ctl3"]);
    shut_out(&cluster, &old);
}

/// Who has the old key makes himself root's certificate with it, and nobody listens.
fn shut_out(cluster: &Cluster, old: &std::path::Path) {
    let site = fs::read_to_string(cluster.path("site/client.conf")).expect("it is there");
    let own = |line: &str| {
        let elsewhere = line.starts_with("authority ") || line.starts_with("socket ");
        (!elsewhere).then(|| format!("{line}\n"))
    };
    let site: String = site.lines().filter_map(own).collect();
    let site = format!("{site}authority {}\n", old.display());
    fs::write(old.join("client.conf"), site).expect("written");
    let mut status = cluster.command("rafter");
    let runtime = old.join("runtime");
    fs::create_dir(&runtime).expect("made");
    status.env("RAFTER_DIR", old).env("XDG_RUNTIME_DIR", runtime).arg("status");
    let refused = status.output().expect("a command can be started");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "the old key still counts");
    assert!(said.contains("Protocol authentication error"), "{said}");
}
