//! A short run under faults, on hosts of its own, and its record under all checkers.

use std::{fs, process::Command};

use chaos_tests::{check, record::Folder};
use nix::unistd::geteuid;

use crate::cluster::program;

const PLAN: &str = "at 2s for 1s kill leader\n\
                    at 5s for 2s cut peers leader\n\
                    at 9s for 1s power node\n";

/// The names of the checkers that find something.
fn violated(record: &chaos_tests::record::Record) -> Vec<String> {
    let all = check::all(record).expect("the record can be understood");
    let wrong = all.into_iter().filter(|one| !one.violations.is_empty());
    wrong.map(|one| format!("{}: {:#?}", one.name, one.violations)).collect()
}

#[test]
fn every_rule_holds_over_real_processes_and_none_is_blind() {
    if !geteuid().is_root() {
        println!("skipped: only root makes hosts of its own");
        return;
    }
    let folder = tempfile::Builder::new().prefix("rafter-chaos-").tempdir().unwrap();
    let plan = folder.path().join("plan");
    fs::write(&plan, PLAN).unwrap();
    let record = Folder::new(folder.path().join("run"));
    let chaos = program("rafter-chaos");
    let programs = chaos.parent().expect("programs are in a folder");
    let mut run = Command::new(&chaos);
    run.arg("run").arg("--plan").arg(&plan).arg("--out").arg(record.path());
    run.arg("--programs").arg(programs).args(["--nodes", "2", "--rate", "10"]);
    let ran = run.output().unwrap();
    let (said, cried) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}\n{cried}");

    let good = record.read().unwrap();
    for checked in check::all(&good).unwrap() {
        assert!(checked.violations.is_empty(), "{checked:#?}");
        assert!(checked.counted > 0, "{} looked at nothing", checked.name);
    }
    assert!(good.faults.iter().any(|fault| fault.leader), "{:?}", good.faults);
    assert!(record.path().join("report.html").is_file());

    // The end of the log is lost: whoever was acknowledged there misses something.
    let mut cut = good.clone();
    for log in cut.logs.values_mut() {
        log.truncate(log.len() / 2);
    }
    assert!(violated(&cut).iter().any(|one| one.starts_with("acknowledged")));
    // A witness is lost: something completed that never ran.
    let mut blind = good;
    blind.witnesses.values_mut().for_each(Vec::clear);
    assert!(violated(&blind).iter().any(|one| one.starts_with("runs")));
}
