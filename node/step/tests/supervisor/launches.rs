//! What the script finds, and launches that fail.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::Path,
};

use nix::{sys::resource::Resource, unistd::geteuid};
use step::{
    manifest::{Limit, Manifest},
    spool::Found,
};

use crate::bench::{Bench, let_go};

/// The script, and what it starts, run on the CPUs of the job.
#[test]
fn the_script_is_bound_to_its_cpus() {
    let bench = Bench::new();
    let usable = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).unwrap();
    let last = (0..1024_u32).rev().find(|cpu| usable.is_set(*cpu as usize).unwrap()).unwrap();
    let script = "#!/bin/bash\ngrep -h Cpus_allowed_list /proc/self/status /proc/$$/status\n";
    let manifest = Manifest { bound_to: vec![last], ..bench.manifest() };
    let (run, ended) = bench.run(&manifest, script);
    assert_eq!((ended.exit_code, ended.signal), (0, 0));
    assert_eq!(run.file("out"), format!("Cpus_allowed_list:\t{last}\n").repeat(2));
    // One that there is not binds to nothing.
    let manifest = Manifest { job: 8, bound_to: vec![last, 1023], ..bench.manifest() };
    let (_, ended) = bench.run(&manifest, script);
    assert_eq!((ended.exit_code, ended.signal), (0, 0));
}

#[test]
fn the_script_finds_what_the_manifest_says() {
    let bench = Bench::new();
    let (_, hard) = nix::sys::resource::getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // Less than can be had, so that it shows where it is left as it is.
    nix::sys::resource::setrlimit(Resource::RLIMIT_NOFILE, hard / 2, hard).unwrap();
    let files = nix::libc::RLIMIT_NOFILE;
    let size = nix::libc::RLIMIT_FSIZE;
    let manifest = Manifest {
        arguments: vec!["a1".to_owned(), "a 2".to_owned()],
        umask: 0o27,
        limits: vec![
            Limit { resource: size, soft: 77 * 1024, hard: 88 * 1024 },
            // More than can be had here.
            Limit { resource: files, soft: u64::MAX - 1, hard: u64::MAX },
        ],
        std_in: Some("in".to_owned()),
        std_err: Some("err".to_owned()),
        ..bench.manifest()
    };
    fs::write(bench.work().join("in"), "typed\n").unwrap();
    let script = "#!/bin/bash\necho \"$0\"; for i; do echo \"<$i>\"; done; pwd; umask\n\
        ulimit -Sf; ulimit -Sn; cat; echo to stderr >&2\n\
        [ $SLURM_TASK_PID = $$ ] && echo task\n\
        [ $(ps -o sid= -p $$) = $$ ] && echo session\n\
        [ $(ps -o pgid= -p $$) = $$ ] && echo group\n\
        ls /proc/self/fd | tr '\\n' ' '; cat /proc/self/oom_score_adj; trap -p\n";
    let (run, ended) = bench.run(&manifest, script);
    assert_eq!((ended.exit_code, ended.signal), (0, 0), "{}", run.file("err"));
    let expected = format!(
        "{}\n<a1>\n<a 2>\n{}\n0027\n77\n{hard}\ntyped\ntask\nsession\ngroup\n0 1 2 3 {}",
        run.folder.script().display(),
        manifest.work_dir,
        fs::read_to_string("/proc/self/oom_score_adj").unwrap(),
    );
    assert_eq!(run.file("out"), expected);
    assert_eq!(run.file("err"), "to stderr\n");
    let mode = fs::metadata(bench.work().join("out")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(run.folder.script().ends_with("jobs/7.1/slurm_script"));
}

/// A program finds signals as it would after a login, whatever the daemon did with them.
#[test]
fn no_signal_is_blocked_or_ignored() {
    let bench = Bench::new();
    let (run, _) = bench.run(&bench.manifest(), "#!/bin/cat /proc/self/status\n");
    let mask = |name: &str| {
        let text = run.file("out");
        let mask = text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
        u64::from_str_radix(mask, 16).unwrap()
    };
    assert_eq!(mask("SigBlk:"), 0);
    // The C library keeps 32 and 33 for itself, and lets nobody change them.
    assert_eq!(mask("SigIgn:") & !(0b11 << 31), 0);
}

#[test]
fn outputs_are_truncated_or_appended_to() {
    let bench = Bench::new();
    let run = |job, append| {
        fs::write(bench.work().join("out"), "before\n").unwrap();
        let manifest = Manifest { job, append, ..bench.manifest() };
        bench.run(&manifest, "#!/bin/sh\necho a; echo b >&2\n").0.file("out")
    };
    assert_eq!(run(1, false), "a\nb\n");
    assert_eq!(run(2, true), "before\na\nb\n");
}

#[test]
fn one_file_for_both_outputs_loses_nothing() {
    let bench = Bench::new();
    let out = bench.work().join("out").to_str().unwrap().to_owned();
    let manifest = Manifest { std_err: Some(out), ..bench.manifest() };
    let (run, _) = bench.run(&manifest, "#!/bin/sh\necho a; echo b >&2; echo c\n");
    assert_eq!(run.file("out"), "a\nb\nc\n");
}

#[test]
fn a_missing_work_folder_is_replaced_by_tmp() {
    let bench = Bench::new();
    let manifest = Manifest {
        work_dir: "/nonexistent".to_owned(),
        std_out: bench.work().join("out").to_str().unwrap().to_owned(),
        ..bench.manifest()
    };
    let (run, ended) = bench.run(&manifest, "#!/bin/sh\npwd\n");
    assert_eq!((ended.exit_code, ended.signal), (0, 0));
    let line = "[] error: couldn't chdir to `/nonexistent': No such file or directory: \
        going to /tmp instead\n";
    assert_eq!(run.output(), format!("{line}{line}/tmp\n"));
}

/// As `sbatch -D /nonexistent --wrap pwd` ends: 0:53.
#[test]
fn an_output_that_cannot_be_opened_ends_the_job() {
    let bench = Bench::new();
    let manifest = Manifest { work_dir: "/nonexistent".to_owned(), ..bench.manifest() };
    let script = format!("#!/bin/sh\ntouch {}/ran\n", bench.work().display());
    let (run, ended) = bench.run(&manifest, &script);
    assert_eq!((ended.exit_code, ended.signal, &ended.launch_failure), (0, 53, &None));
    assert!(!bench.work().join("ran").exists());
    assert_eq!(run.folder.started().unwrap(), None);

    let manifest = Manifest { job: 8, std_in: Some("absent".to_owned()), ..bench.manifest() };
    let (_, ended) = bench.run(&manifest, &script);
    assert_eq!((ended.exit_code, ended.signal), (0, 53));
}

/// As `sbatch -o nodir/x.out -e 'a/../err'` ends: 0:0.
#[test]
fn folders_of_outputs_are_made() {
    let bench = Bench::new();
    let manifest = Manifest {
        std_out: "new/deep/out".to_owned(),
        std_err: Some("a/../err".to_owned()),
        ..bench.manifest()
    };
    let (run, ended) = bench.run(&manifest, "#!/bin/sh\necho o; echo e >&2\n");
    assert_eq!((ended.exit_code, ended.signal), (0, 0));
    assert_eq!((run.file("new/deep/out"), run.file("err")), ("o\n".to_owned(), "e\n".to_owned()));
}

/// As `badinterp.sh` ends: 2:0.
#[test]
fn a_script_that_cannot_be_executed_says_why() {
    let bench = Bench::new();
    let (run, ended) = bench.run(&bench.manifest(), "#!/no/such/interp -x\necho x\n");
    assert_eq!((ended.exit_code, ended.signal), (2, 0));
    assert_eq!(
        run.output(),
        "[] error: execve(): bad interpreter(/no/such/interp -x): No such file or directory\n"
    );
    assert_eq!(run.folder.started().unwrap(), None);

    let manifest = Manifest { job: 8, ..bench.manifest() };
    let (run, ended) = bench.run(&manifest, "echo x\n");
    assert_eq!((ended.exit_code, ended.signal), (8, 0));
    let script = run.folder.script();
    let expected = format!("[] error: execve(): {}: Exec format error\n", script.display());
    assert_eq!(run.output(), expected);
}

#[test]
fn a_script_runs_as_its_user() {
    if !geteuid().is_root() {
        println!("skipped: only root runs jobs of others");
        return;
    }
    let bench = Bench::new();
    let manifest = Manifest {
        uid: 61_234,
        gid: 61_235,
        groups: vec![61_235, 61_236, 61_237],
        ..bench.manifest()
    };
    let script = "#!/bin/bash\nid -ru; id -u; id -rg; id -G; cat \"$0\" | tail -1\n\
        cat ${0%/*}/environment ${0%/*}/manifest.json 2>&1 | grep -c denied\n\
        ls ${0%/*} 2>&1 | grep -c denied\n\
        grep CapEff /proc/self/status # last\n";
    let (run, ended) = bench.run(&manifest, script);
    assert_eq!((ended.exit_code, ended.signal), (0, 0));
    assert_eq!(
        run.output(),
        "61234\n61234\n61235\n61235 61236 61237\ngrep CapEff /proc/self/status # last\n2\n1\n\
         CapEff:\t0000000000000000\n"
    );
    let out = fs::metadata(bench.work().join("out")).unwrap();
    assert_eq!((out.uid(), out.gid()), (61_234, 61_235));
}

/// The files are opened as the user: root's rights on them don't count.
#[test]
fn a_user_writes_no_file_that_is_not_theirs() {
    if !geteuid().is_root() {
        println!("skipped: only root runs jobs of others");
        return;
    }
    let bench = Bench::new();
    let path = bench.work().join("out");
    fs::write(&path, "root's\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let manifest = Manifest { uid: 61_234, gid: 61_235, ..bench.manifest() };
    let (run, ended) = bench.run(&manifest, "#!/bin/sh\necho mine\n");
    assert_eq!((ended.exit_code, ended.signal), (0, 53));
    assert_eq!(run.file("out"), "root's\n");
}

/// Of an ordinary user, as when the whole cluster is one's own.
#[test]
fn a_supervisor_without_root_runs_jobs_of_its_own_user_only() {
    if !geteuid().is_root() {
        println!("skipped: only root can be another user");
        return;
    }
    let bench = Bench::new();
    let run_as_other = |manifest: &Manifest| {
        let run = bench.prepare(manifest, "#!/bin/sh\nid -u\n");
        // The spool is theirs, too, or no end could be made durable.
        let spool = run.folder.path().parent().unwrap().to_owned();
        for path in [spool, run.folder.path().to_owned()]
            .into_iter()
            .chain(fs::read_dir(run.folder.path()).unwrap().map(|entry| entry.unwrap().path()))
        {
            std::os::unix::fs::chown(path, Some(61_234), Some(61_235)).unwrap();
        }
        let mut command = run.folder.supervisor(Path::new(env!("CARGO_BIN_EXE_rafterstepd")));
        assert!(command.uid(61_234).gid(61_235).output().unwrap().status.success());
        let ended = run.ended();
        (run, ended)
    };
    let own = Manifest { uid: 61_234, gid: 61_235, groups: vec![5], ..bench.manifest() };
    let (run, ended) = run_as_other(&own);
    assert_eq!((ended.exit_code, ended.launch_failure), (0, None));
    assert_eq!(run.output(), "61234\n");

    let (_, ended) = run_as_other(&Manifest { job: 8, ..bench.manifest() });
    let failure = ended.launch_failure.unwrap();
    assert!(!failure.node_fault);
    assert_eq!(failure.message, "rafterd runs as uid 61234 and starts no jobs of uid 0");
}

#[test]
fn a_second_supervisor_is_refused() {
    let bench = Bench::new();
    let script = "#!/bin/sh\necho ran >> ran\nread < go\n";
    let go = bench.pipe("go");
    let run = bench.start(&bench.manifest(), script);
    run.line("ran");
    run.started();
    let refused = run.try_supervise();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("another supervisor has"), "{said}");
    assert!(matches!(run.found(), Found::Running(Some(_))));

    let_go(&go);
    let ended = run.ended();
    // The first one may still hold the lock for a moment.
    let said = String::from_utf8_lossy(&run.try_supervise().stderr).into_owned();
    assert!(said.contains("has begun before") || said.contains("another supervisor"), "{said}");
    assert_eq!(run.found(), Found::Ended(ended));
    assert_eq!(run.file("ran"), "ran\n");
}

#[test]
fn a_run_ordered_before_a_restart_of_the_host_is_not_started() {
    let bench = Bench::new();
    let manifest = Manifest { boot: "earlier".to_owned(), ..bench.manifest() };
    let run = bench.prepare(&manifest, "#!/bin/sh\ntouch ran\n");
    assert_eq!(run.found(), Found::Orphaned);
    run.supervise();
    assert!(run.ended().launch_failure.unwrap().node_fault);
    assert!(!bench.work().join("ran").exists());
}

#[test]
fn an_order_that_cannot_be_read_fails_the_launch() {
    let bench = Bench::new();
    let run = bench.prepare(&bench.manifest(), "#!/bin/sh\ntouch ran\n");
    fs::write(run.folder.path().join("manifest.json"), "{\"version\":").unwrap();
    assert_eq!(run.found(), Found::Unprepared);
    run.supervise();
    let failure = run.ended().launch_failure.unwrap();
    assert!(failure.node_fault, "{failure:?}");
    assert!(failure.message.starts_with("can't read the order: "), "{failure:?}");
    assert!(!bench.work().join("ran").exists());
}
