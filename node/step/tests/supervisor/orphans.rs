//! Supervisors that die, and daemons that die.

use std::{fs, path::Path, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use step::{
    orphans,
    spool::{Found, Tracking},
};

use crate::bench::{Bench, PATIENCE, Run, level, lives};

/// The supervisor of a run, and its child that has not executed the script yet, if there is one.
fn supervisor(run: &Run) -> (Pid, Option<Pid>) {
    let path = run.folder.path().to_str().expect("a plain path");
    let numbers = fs::read_dir("/proc")
        .expect("proc(5)")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let ours = |pid: &i32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("rafterstepd\0") && line.contains(path)
    };
    let parent = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let (_, fields) = stat.rsplit_once(") ")?;
        fields.split(' ').nth(1)?.parse::<i32>().ok()
    };
    let ours: Vec<i32> = numbers.filter(ours).collect();
    let is_child = |pid: &&i32| parent(**pid).is_some_and(|parent| ours.contains(&parent));
    let child = ours.iter().find(is_child).copied();
    let supervisor = ours.iter().find(|pid| !is_child(pid)).copied();
    (Pid::from_raw(supervisor.expect("it lives")), child.map(Pid::from_raw))
}

/// One daemon with the job's environment, and one process without it in the script's session.
const DAEMON: &str = "#!/bin/bash\n\
    setsid sh -c 'echo $$ > daemon; while :; do sleep 100; done' &\n\
    env -i sh -c 'echo $$ > bare; while :; do sleep 100; done' &\n\
    echo $$ > script; wait\n";

#[test]
fn a_killed_supervisor_leaves_an_orphan_that_can_be_reaped() {
    let bench = Bench::new();
    let run = bench.start(&bench.manifest(), DAEMON);
    let (script, daemon, bare) = (run.line("script"), run.line("daemon"), run.line("bare"));
    kill(supervisor(&run).0, Signal::SIGKILL).unwrap();
    level(|| (run.found() == Found::Orphaned && !lives(&script)).then_some(()));
    assert!(lives(&daemon) && lives(&bare));

    // What was run may still run: it is not run again.
    assert!(!run.try_supervise().status.success());
    assert_eq!(run.found(), Found::Orphaned);

    let cgroups = run.folder.begun().unwrap().unwrap().cgroups;
    orphans::reap(&run.folder, PATIENCE).unwrap();
    assert!(!lives(&daemon) && !lives(&bare));
    assert!(cgroups.iter().all(|cgroup| !cgroup.exists()), "{cgroups:?}");
}

/// Without cgroups it goes by the session and the environment.
#[test]
fn orphans_are_known_without_cgroups() {
    let bench = Bench::new();
    let run = bench.start(&bench.manifest(), DAEMON);
    let (daemon, bare) = (run.line("daemon"), run.line("bare"));
    kill(supervisor(&run).0, Signal::SIGKILL).unwrap();
    level(|| (run.found() == Found::Orphaned).then_some(()));
    let mut begun = run.folder.begun().unwrap().unwrap();
    let cgroups = std::mem::take(&mut begun.cgroups);
    run.folder.write_begun(&begun).unwrap();

    orphans::reap(&run.folder, PATIENCE).unwrap();
    assert!(!lives(&daemon) && !lives(&bare));
    for cgroup in cgroups {
        level(|| fs::remove_dir(&cgroup).ok());
    }
}

/// A child that waits for a file must neither pass for a supervisor nor start the script later.
#[test]
fn a_supervisor_that_is_killed_before_the_script_starts_takes_it_along() {
    let bench = Bench::new();
    bench.pipe("out");
    let run = bench.start(&bench.manifest(), "#!/bin/sh\ntouch ran\n");
    let (supervisor, child) = level(|| match supervisor(&run) {
        (supervisor, Some(child)) => {
            // It sleeps nowhere but in open(2), of a pipe that nobody reads.
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
            stat.contains(") S ").then_some((supervisor, child))
        }
        (_, None) => None,
    });
    kill(supervisor, Signal::SIGKILL).unwrap();
    level(|| (run.found() == Found::Orphaned && !lives(&child.to_string())).then_some(()));
    assert!(!bench.work().join("ran").exists());
}

#[test]
fn orphans_of_another_boot_are_left_alone() {
    let bench = Bench::new();
    let run = bench.start(&bench.manifest(), DAEMON);
    let script = run.line("script");
    let mut begun = run.folder.begun().unwrap().unwrap();
    let real = begun.clone();
    begun.boot = "earlier".to_owned();
    run.folder.write_begun(&begun).unwrap();
    orphans::reap(&run.folder, Duration::ZERO).unwrap();
    assert!(lives(&script));

    run.folder.write_begun(&real).unwrap();
    run.terminate(step::control::Cause::Stale, 0);
    run.ended();
}

/// As when the host goes down: no end is recorded, for the run is lost.
#[test]
fn a_supervisor_that_is_told_to_stop_takes_the_job_along() {
    let bench = Bench::new();
    let run = bench.start(&bench.manifest(), DAEMON);
    let (script, daemon) = (run.line("script"), run.line("daemon"));
    kill(supervisor(&run).0, Signal::SIGTERM).unwrap();
    level(|| (run.found() == Found::Orphaned).then_some(()));
    assert!(!lives(&script) && !lives(&daemon));
    assert!(run.output().contains("DUE TO NODE FAILURE"), "{}", run.output());
}

#[test]
fn the_supervisor_is_on_its_own() {
    let bench = Bench::new();
    let run = bench.start(&bench.manifest(), DAEMON);
    run.line("script");
    let (supervisor, _) = supervisor(&run);
    let proc = format!("/proc/{supervisor}");
    let stat = fs::read_to_string(format!("{proc}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    assert_ne!(fields[1].parse(), Ok(std::process::id()), "its parent is not the one that started");
    assert_eq!((fields[2], fields[3]), (supervisor.to_string().as_str(), fields[2]));
    assert_eq!(fs::read_link(format!("{proc}/cwd")).unwrap(), Path::new("/"));
    assert_eq!(fs::read_link(format!("{proc}/fd/0")).unwrap(), Path::new("/dev/null"));
    let may = "echo -1000 > /proc/self/oom_score_adj";
    if std::process::Command::new("sh").args(["-c", may]).status().unwrap().success() {
        assert_eq!(fs::read_to_string(format!("{proc}/oom_score_adj")).unwrap(), "-1000\n");
    }
    let (_, started) = run.started();
    println!("tracked by {:?}", started.tracking);
    if started.tracking != Tracking::Subreaper {
        assert!(!run.folder.begun().unwrap().unwrap().cgroups.is_empty());
    }
    run.terminate(step::control::Cause::Stale, 0);
    run.ended();
}

/// A disk on which `ended.json` can't be written: a folder stands in its way.
#[test]
fn an_end_that_cannot_be_written_is_kept_until_it_can() {
    let bench = Bench::new();
    let run = bench.prepare(&bench.manifest(), "#!/bin/sh\nexit 3\n");
    let way = run.folder.path().join("ended.json.new");
    fs::create_dir(&way).unwrap();
    run.supervise();
    let log = run.folder.path().join("log");
    level(|| fs::read_to_string(&log).unwrap().contains("ended.json.new").then_some(()));
    assert!(matches!(run.found(), Found::Running(_)));
    let mut client = run.client();
    client.send(&step::control::Request::Watch {}).unwrap();
    assert!(matches!(client.notice().unwrap(), Some(step::control::Notice::Started(_))));
    fs::remove_dir(&way).unwrap();
    assert_eq!(run.ended().exit_code, 3);
}
