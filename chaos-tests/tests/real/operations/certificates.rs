//! `docs/operations/certificates.md`.

use std::{fs, time::Duration};

use super::runbook::Runbook;
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
