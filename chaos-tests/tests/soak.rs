//! A short soak: two thousand jobs through three real controllers and a fleet of nodes. Whether
//! anything grows, only a long one can tell; that each job ends once, this one does, too.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

#[test]
fn each_of_many_jobs_ends_once_and_all_is_measured() {
    let programs = Path::new(env!("CARGO_BIN_EXE_rafter-soak")).parent().expect("in a folder");
    let scratch = tempfile::Builder::new().prefix("rafter-soak-").tempdir().expect("a folder");
    let out = scratch.path().join("out");
    let mut soak = Command::new(programs.join("xtask"));
    soak.args(["soak", "--jobs", "2000", "--nodes", "16", "--programs"]).arg(programs);
    soak.args(["--set", "MinJobAge=2", "--set", "RafterSnapshotEvery=64"]);
    soak.args(["--set", "RafterLogKeep=16", "--dir"]).arg(scratch.path());
    soak.arg("--spools").arg(scratch.path()).arg("--out").arg(&out);
    soak.args(["--", "--window", "200", "--every", "0.1", "--growth", "1000", "--json"]);
    let ran = soak.stdin(Stdio::null()).output().expect("xtask can be started");
    let said = String::from_utf8_lossy(&ran.stdout);
    eprintln!("{said}{}", String::from_utf8_lossy(&ran.stderr));
    if !ran.status.success() {
        panic!("what is left of it is in {}", scratch.keep().display());
    }

    let last = said.lines().last().expect("it said something");
    let summary: Value = serde_json::from_str(last).expect("the last line is an object");
    assert_eq!(summary["passed"], true, "{summary}");
    assert_eq!(summary["jobs"], 2_000);
    assert_eq!(summary["complaints"], serde_json::json!([]));
    let quarters = summary["quarters"].as_array().expect("an array");
    let ended: Vec<u64> = quarters.iter().filter_map(|it| it["ended"].as_u64()).collect();
    assert!(ended.is_sorted() && ended.last() == Some(&2_000), "{ended:?}");
    for controller in ["ctl1", "ctl2", "ctl3"] {
        let usage = &quarters[3]["controllers"][controller];
        for key in ["rss_kib", "anonymous_kib", "log_kib", "snapshots_kib", "history_kib"] {
            assert!(usage[key].as_u64().is_some_and(|kib| kib > 0), "{controller} {key}: {usage}");
        }
    }
    // A folder of nothing else has 4 KiB.
    let snapshots = quarters[3]["controllers"]["ctl1"]["snapshots_kib"].as_u64();
    assert!(snapshots > Some(4), "no snapshot was taken: {quarters:?}");
    let samples = fs::read_to_string(out.join("samples.jsonl")).expect("it is there");
    assert!(samples.lines().count() > 10);
    let plot = fs::read_to_string(out.join("soak.svg")).expect("it is there");
    assert!(plot.starts_with("<svg ") && plot.contains("ctl3"));
}
