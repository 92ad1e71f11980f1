//! How jobs end.

use std::time::{Duration, Instant};

use step::{
    control::Cause,
    spool::{Ended, Found},
};

use crate::bench::{Bench, let_go, level, lives};

fn exited(code: u8) -> impl Fn(&Ended) -> bool {
    move |ended| {
        ended.exit_code == code
            && ended.signal == 0
            && !ended.out_of_memory
            && ended.launch_failure.is_none()
    }
}

fn killed(signal: u8) -> impl Fn(&Ended) -> bool {
    move |ended| ended.exit_code == 0 && ended.signal == signal && ended.launch_failure.is_none()
}

#[test]
fn a_script_runs_and_its_end_is_recorded() {
    let bench = Bench::new();
    let run = bench.prepare(&bench.manifest(), "#!/bin/sh\necho hello\n");
    assert_eq!(run.found(), Found::NotStarted);
    run.supervise();
    let ended = run.ended();
    assert!(exited(0)(&ended), "{ended:?}");
    assert_eq!(run.found(), Found::Ended(ended));
    assert_eq!(run.output(), "hello\n");
    run.folder.remove().unwrap();
    assert!(!run.folder.path().exists());
}

#[test]
fn exit_codes_and_signals_are_told_apart() {
    let bench = Bench::new();
    let end = |job, script: &str| {
        let (_, ended) = bench.run(&step::manifest::Manifest { job, ..bench.manifest() }, script);
        ended
    };
    assert!(exited(3)(&end(1, "#!/bin/sh\nexit 3\n")));
    assert!(exited(255)(&end(2, "#!/bin/sh\nexit 255\n")));
    assert!(killed(9)(&end(3, "#!/bin/sh\nkill -9 $$\n")));
    assert!(killed(11)(&end(4, "#!/bin/sh\nkill -SEGV $$\n")));
    assert!(killed(37)(&end(5, "#!/bin/bash\nkill -37 $$\n")));
}

#[test]
fn a_job_is_over_with_its_script_and_takes_its_daemons_along() {
    let bench = Bench::new();
    let script = "#!/bin/bash\n\
        setsid sh -c 'trap \"\" TERM HUP; echo $$ > daemon; while :; do sleep 100; done' &\n\
        until [ -s daemon ]; do sleep 0.01; done\nexit 4\n";
    let (run, ended) = bench.run(&bench.manifest(), script);
    assert!(exited(4)(&ended), "{ended:?}");
    assert!(!lives(run.line("daemon").trim()));
}

#[test]
fn a_cancelled_job_gets_sigterm_and_says_so() {
    let bench = Bench::new();
    let script = "#!/bin/bash\ntrap 'echo term >> note; exit 5' TERM\n\
        sleep 100 & echo $! > child; wait\n";
    let run = bench.start(&bench.manifest(), script);
    let child = run.line("child");
    run.terminate(Cause::Cancelled, 30);
    let ended = run.ended();
    assert!(exited(5)(&ended), "{ended:?}");
    assert_eq!(run.file("note"), "term\n");
    assert!(!lives(&child));
    let expected = "[] error: *** JOB 7 ON n1 CANCELLED AT T DUE to SIGNAL Terminated ***\n";
    assert_eq!(without_time(&run.output()), expected);
}

fn without_time(output: &str) -> String {
    let Some((head, tail)) = output.split_once(" AT ") else { return output.to_owned() };
    let (at, tail) = tail.split_at("2026-11-23T23:09:57".len());
    assert!(at.parse::<jiff::civil::DateTime>().is_ok(), "{at}");
    format!("{head} AT T{tail}")
}

#[test]
fn each_cause_has_its_words() {
    let bench = Bench::new();
    let causes = [
        (Cause::TimeLimit, " DUE TO TIME LIMIT"),
        (Cause::Requeue, " DUE TO JOB REQUEUE"),
        (Cause::Preempted, " DUE TO PREEMPTION"),
        (Cause::NodeFailure, " DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS"),
        (Cause::Stale, ""),
    ];
    for (job, (cause, words)) in (1..).zip(causes) {
        let manifest = step::manifest::Manifest { job, ..bench.manifest() };
        let run = bench.start(&manifest, "#!/bin/sh\nexec sleep 100\n");
        run.started();
        run.terminate(cause, 30);
        let ended = run.ended();
        assert!(killed(15)(&ended), "{ended:?}");
        let expected = format!("[] error: *** JOB {job} ON n1 CANCELLED AT T{words} ***\n");
        assert_eq!(without_time(&run.output()), expected);
    }
}

#[test]
fn what_ignores_sigterm_is_killed_in_the_end() {
    let bench = Bench::new();
    let script = "#!/bin/bash\ntrap '' TERM\n\
        sh -c 'trap \"\" TERM; echo $$ > child; while :; do sleep 100; done' & wait\n";
    let run = bench.start(&bench.manifest(), script);
    let child = run.line("child");
    let before = Instant::now();
    run.terminate(Cause::TimeLimit, 1);
    // A later order may be more patient: the job is not.
    run.terminate(Cause::Cancelled, 1000);
    let ended = run.ended();
    assert!(before.elapsed() >= Duration::from_millis(990));
    assert!(killed(9)(&ended), "{ended:?}");
    assert!(!lives(&child));
    assert_eq!(run.output().lines().count(), 1, "{}", run.output());
}

#[test]
fn a_stopped_job_can_be_terminated() {
    let bench = Bench::new();
    let run = bench.start(&bench.manifest(), "#!/bin/sh\nkill -STOP $$\nsleep 100\n");
    let (_, started) = run.started();
    level(|| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", started.pid)).ok()?;
        stat.contains(") T ").then_some(())
    });
    run.terminate(Cause::Cancelled, 100);
    let ended = run.ended();
    assert!(killed(15)(&ended), "{ended:?}");
}

#[test]
fn a_fork_bomb_is_put_out() {
    let bench = Bench::new();
    let script = "#!/bin/bash\nb() { setsid bash -c 'for i in 1 2 3 4 5 6 7 8; do \
        setsid sh -c \"while :; do (sleep 0.01; :) & wait; done\" & done; wait' & }\n\
        b; b; echo on > note; wait\n";
    let run = bench.start(&bench.manifest(), script);
    run.line("note");
    run.terminate(Cause::Cancelled, 0);
    let ended = run.ended();
    assert!(ended.launch_failure.is_none(), "{ended:?}");
}

#[test]
fn a_job_that_uses_up_its_memory_is_told_from_others() {
    let bench = Bench::new();
    let manifest = step::manifest::Manifest { memory_mib: Some(32), ..bench.manifest() };
    // A shell that grows by doubling a text.
    let script = "#!/bin/bash\nread < go\nx=0123456789abcdef\nwhile :; do x=$x$x; done\n";
    let go = bench.pipe("go");
    let run = bench.start(&manifest, script);
    let (_, started) = run.started();
    if !started.memory_limited {
        println!("skipped: no cgroup limits memory here");
        run.terminate(Cause::Stale, 0);
        run.ended();
        return;
    }
    let_go(&go);
    let ended = run.ended();
    assert!(ended.out_of_memory, "{ended:?}");
    assert_eq!((ended.exit_code, ended.signal), (0, 125));
    let expected = "[] error: Detected 1 oom_kill event in StepId=7.batch. \
        Some of the step tasks have been OOM Killed.\n";
    assert!(run.output().ends_with(expected), "{}", run.output());
}

#[test]
fn memory_is_not_used_up_by_a_job_that_stays_below() {
    let bench = Bench::new();
    let manifest = step::manifest::Manifest { memory_mib: Some(64), ..bench.manifest() };
    let (_, ended) = bench.run(&manifest, "#!/bin/sh\nexit 6\n");
    assert!(exited(6)(&ended), "{ended:?}");
}
