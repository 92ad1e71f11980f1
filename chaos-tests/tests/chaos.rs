//! A short run of the driver: real processes on hosts of their own, each kind of fault once, and
//! all checkers after it.
//!
//! It needs root, as namespaces and mounts do. Without it nothing can be tried; where tests are run
//! for a change (`CI` is set) that is a failure.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Overlapping, and each kind on whom it can hurt most. The last ones are on nodes.
const PLAN: &str = "\
at 3s for 1s kill leader
at 6s for 3s cut peers leader
at 7s for 4s cut all n1
at 12s for 2.5s pause leader
at 13s for 6s clock +600 follower
at 17s for 2s power leader
at 18s for 4s cut mute n2
at 22s for 2s eio leader
at 23s for 5s stall 150 n3
at 27s for 3s cut bridge leader
at 28s for 2s kill node
at 32s for 2s full leader
at 33s for 3s power n4
at 37s for 3s cut minority leader
at 42s for 1s replace follower
at 44s for 3s slow leader
at 47s for 2s memory follower
at 50s for 1s takeover leader
at 52s for 1s restart controllers
at 55s for 3s expiry leader
";

/// The folder that cargo puts programs into.
fn programs() -> PathBuf {
    let own = Path::new(env!("CARGO_BIN_EXE_rafter-chaos"));
    own.parent().expect("a program is in a folder").to_owned()
}

#[test]
fn a_cluster_under_each_kind_of_fault_keeps_its_word() {
    if !nix::unistd::geteuid().is_root() {
        assert!(env::var_os("CI").is_none(), "hosts in namespaces need root");
        eprintln!("NOTHING WAS TRIED: hosts in namespaces need root");
        return;
    }
    let scratch = tempfile::Builder::new().prefix("rafter-chaos-").tempdir().expect("a folder");
    let (plan, out) = (scratch.path().join("plan"), scratch.path().join("record"));
    fs::write(&plan, PLAN).expect("written");
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_rafter-chaos"));
    chaos.args(["run", "--nodes", "4", "--people", "3", "--rate", "4", "--plan"]).arg(&plan);
    chaos.arg("--out").arg(&out).arg("--programs").arg(programs());
    let ran = chaos.stdin(Stdio::null()).output().expect("rafter-chaos can be started");
    let said = String::from_utf8_lossy(&ran.stdout);
    eprintln!("{said}{}", String::from_utf8_lossy(&ran.stderr));
    if !ran.status.success() {
        let kept = scratch.keep();
        panic!("the run failed; its record is kept in {}", kept.display());
    }
    // A run that broke nothing, or in which nothing happened, proves nothing.
    let faults = fs::read_to_string(out.join("faults.jsonl")).expect("there is a record");
    assert!(faults.lines().count() >= 14, "too few faults:\n{faults}");
    let operations = fs::read_to_string(out.join("operations.jsonl")).expect("there is a record");
    assert!(operations.matches("\"submitted\"").count() >= 30, "too few submissions");
}
