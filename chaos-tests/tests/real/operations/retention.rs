//! `docs/operations/retention.md`.

use std::fs;

use super::runbook::Runbook;
use crate::{cluster::BOUND, cluster::Cluster, stream::Stream, wait::until};

/// Snapshots replace each other and the log is cut off behind them; a controller that was away for
/// longer than the log reaches back gets what it lacks, and the history is the same everywhere.
#[test]
fn the_log_is_bounded_and_who_was_away_catches_up() {
    let settings = ["RafterSnapshotEvery=64", "RafterLogKeep=16", "MinJobAge=5"];
    let cluster = Cluster::raise(3, 1, &settings);
    let page = Runbook::open("retention");
    for key in ["RafterSnapshotEvery", "RafterLogKeep", "RafterHistoryRetention"] {
        page.quotes(key);
    }
    let leader = cluster.leader(None);
    let away = if leader == "ctl3" { "ctl2" } else { "ctl3" };
    cluster.kill(away);
    let newest = |name: &str| {
        let folder = cluster.path(&format!("state/{name}/store/snapshots"));
        let names = fs::read_dir(folder).ok()?.flatten();
        let names: Vec<String> =
            names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let whole: Vec<u64> = names
            .iter()
            .filter_map(|name| name.strip_prefix("snap-")?.rsplit('-').next()?.parse().ok())
            .collect();
        assert!(whole.len() <= 2, "{name} keeps old snapshots: {names:?}");
        whole.into_iter().max()
    };
    let stream = Stream::start(&cluster, 2);
    until("a second snapshot", BOUND, || newest(&leader).filter(|index| *index > 200));
    let log = cluster.path(&format!("log/{away}.log"));
    let told = fs::read_to_string(&log).expect("it ran").len();
    cluster.start(away);
    until("a snapshot to come in", BOUND, || {
        let text = fs::read_to_string(&log).ok()?;
        text.get(told..)?.contains("a snapshot comes in").then_some(())
    });
    stream.check_without_failure(&cluster);
    cluster.joined(&["ctl1", "ctl2", "ctl3"]);
    // Ended jobs leave the live state, and the history has them.
    until("the first job to be forgotten", BOUND, || {
        let queue = cluster.ask("squeue", &["-h", "-t", "all", "-o", "%i"]);
        (!queue.lines().any(|job| job.trim() == "1")).then_some(())
    });
    let whole = cluster.ask("rafter", &["events"]);
    cluster.kill(&leader);
    cluster.leader(Some(&leader));
    let after = cluster.ask("rafter", &["events"]);
    let begins = after.starts_with(whole.trim_end());
    assert!(begins, "another controller tells another history");
}
