//! `docs/operations/accounts.md`.

use std::fs;

use super::{runbook::Runbook, words};
use crate::{cluster::BOUND, cluster::Cluster, wait::until};

const TABLE: &str = "\
QOS - 'few':MaxJobsPerUser=1
Cluster - 'loopback':QOS='normal,few'
Parent - 'root'
Account - 'physics':GrpSubmitJobs=2:MaxWallDurationPerJob=60
User - 'root':DefaultAccount='physics'
Parent - 'physics'
User - 'root':DefaultAccount='physics'
";

/// A table that is loaded limits at once, and still does under the next leader.
#[test]
fn a_table_is_loaded_and_limits_what_enters_and_what_starts() {
    let cluster = Cluster::raise(3, 1, &[]);
    let page = Runbook::open("accounts");
    let file = cluster.path("accounts");
    let name = file.display().to_string();
    let load = page.line("rafter acct load FILE", &[("FILE", &name)]);
    fs::write(&file, TABLE.replace("MaxJobsPerUser", "MaxJobsPerHouse")).expect("it is written");
    let output = cluster.run("rafter", &words(&load));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let wrong = "accounts:1: MaxJobsPerHouse is no option that is known here\n";
    assert!(said.ends_with(wrong), "{said}");
    fs::write(&file, TABLE).expect("it is written");
    cluster.ask("rafter", &words(&page.line("rafter acct load --check FILE", &[("FILE", &name)])));
    let show = page.line("rafter acct show", &[]);
    let none = cluster.ask("rafter", &words(&show));
    assert!(none.contains("No accounts were loaded"), "it was only looked at: {none}");
    cluster.ask("rafter", &words(&load));

    page.quotes("Load the table before that is set");
    let conf = cluster.path("slurm.conf");
    let text = fs::read_to_string(&conf).expect("it is there");
    let enforce = "AccountingStorageEnforce=associations,limits,qos";
    fs::write(&conf, format!("{text}{enforce}\n")).expect("it is written");
    cluster.ask("scontrol", &["reconfigure"]);
    let refused = |arguments: &[&str]| {
        let output = cluster.run("sbatch", &[&["--wrap=sleep 600"], arguments].concat());
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let invalid = "Invalid account or account/partition combination specified";
    assert!(refused(&["-A", "nosuch"]).contains(invalid));
    let sleep = |more: &[&str]| cluster.submit("exec sleep 600", more);
    let (runs, waits) = (sleep(&["-q", "few"]), sleep(&["--qos=few"]));
    assert!(refused(&[]).contains("AssocGrpSubmitJobsLimit"), "physics has two");
    assert!(refused(&["-A", "root", "-q", "nosuch"]).contains("Invalid qos specification"));

    let leader = cluster.leader(None);
    cluster.kill(&leader);
    cluster.leader(Some(&leader));
    let shown = |job: u32, format: &str| {
        cluster.ask("squeue", &["-h", "-j", &job.to_string(), "-o", format])
    };
    until("one of the QOS to run", BOUND, || (shown(runs, "%t") == "R").then_some(()));
    until("the other to wait for it", BOUND, || {
        (shown(waits, "%t %a %q %r") == "PD physics few QOSMaxJobsPerUserLimit").then_some(())
    });
    let show = cluster.ask("rafter", &words(&show));
    assert!(show.contains("Enforced: associations, limits, qos"), "{show}");
    let physics: Vec<_> = show.lines().filter(|line| line.starts_with("  physics")).collect();
    let [physics] = physics[..] else { panic!("{show}") };
    let counts: Vec<&str> = physics.split_whitespace().skip(1).take(2).collect();
    assert_eq!(counts, ["1", "2"], "{show}");
    let dump = cluster.ask("rafter", &words(&page.line("rafter acct dump", &[])));
    assert!(dump.contains("Account - 'physics':Fairshare=1:GrpSubmitJobs=2"), "{dump}");

    cluster.ask("scancel", &[&runs.to_string()]);
    until("the other to run", BOUND, || (shown(waits, "%t") == "R").then_some(()));
    cluster.ask("scancel", &[&waits.to_string()]);
    cluster.end_jobs();
}
