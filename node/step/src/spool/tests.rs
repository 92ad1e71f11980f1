use proptest::prelude::*;

use super::*;
use crate::manifest::Limit;

fn manifest() -> Manifest {
    Manifest {
        version: VERSION,
        boot: boot_id().unwrap(),
        cluster: "c".to_owned(),
        node: "n1".to_owned(),
        job: 7,
        attempt: 2,
        term: 9,
        uid: 1000,
        gid: 1000,
        groups: vec![4, 24],
        user_name: "alice".to_owned(),
        arguments: vec!["a 1".to_owned()],
        work_dir: "/home/alice".to_owned(),
        umask: 0o22,
        limits: vec![Limit { resource: 7, soft: 1024, hard: u64::MAX }],
        std_in: None,
        std_out: "/home/alice/slurm-7.out".to_owned(),
        std_err: None,
        append: true,
        cpus: 2,
        bound_to: vec![0, 4],
        memory_mib: Some(100),
    }
}

fn ended() -> Ended {
    Ended { at_ms: 5, exit_code: 3, signal: 0, out_of_memory: false, launch_failure: None }
}

fn prepared(root: &Path) -> Folder {
    let folder = Spool::open(root).unwrap().folder(7, 2);
    folder.prepare(&manifest(), b"#!/bin/sh\n", b"A=1\0B=x=y\0junk\0=z\0\0C=\xFF").unwrap();
    folder
}

#[test]
fn what_was_prepared_is_read_back() {
    let root = tempfile::tempdir().unwrap();
    let folder = prepared(root.path());
    assert_eq!(folder.manifest().unwrap(), manifest());
    assert_eq!(folder.environment().unwrap(), [&b"A=1"[..], b"B=x=y", b"C=\xFF"]);
    assert_eq!(fs::read(folder.script()).unwrap(), b"#!/bin/sh\n");
    let listed = Spool::open(root.path()).unwrap().folders().unwrap();
    assert_eq!(listed, std::slice::from_ref(&folder));
    let again = folder.prepare(&manifest(), b"", b"").unwrap_err();
    assert!(matches!(again, SpoolError::Io { action: "make", .. }), "{again}");
}

#[test]
fn a_folder_tells_how_far_its_run_has_come() {
    let root = tempfile::tempdir().unwrap();
    let unprepared = Spool::open(root.path()).unwrap().folder(8, 1);
    assert_eq!(unprepared.found().unwrap(), Found::Unprepared);
    let folder = prepared(root.path());
    assert_eq!(folder.found().unwrap(), Found::NotStarted);

    let lock = folder.lock().unwrap().unwrap();
    assert!(folder.lock().unwrap().is_none());
    assert_eq!(folder.found().unwrap(), Found::Running(None));
    // Asking does not take it away from one that comes.
    drop(lock);
    assert_eq!(folder.found().unwrap(), Found::NotStarted);

    let lock = folder.lock().unwrap().unwrap();
    folder.write_begun(&Begun { boot: boot_id().unwrap(), cgroups: vec![] }).unwrap();
    let started = Started {
        at_ms: 4,
        pid: 1,
        start_ticks: 2,
        tracking: Tracking::Subreaper,
        memory_limited: false,
    };
    folder.write_started(&started).unwrap();
    assert_eq!(folder.found().unwrap(), Found::Running(Some(started)));
    drop(lock);
    assert_eq!(folder.found().unwrap(), Found::Orphaned);

    folder.write_ended(&ended()).unwrap();
    assert_eq!(folder.found().unwrap(), Found::Ended(ended()));
    folder.remove().unwrap();
    assert_eq!(folder.found().unwrap(), Found::Unprepared);
    folder.remove().unwrap();
}

/// A power cut may leave any part of a file.
#[test]
fn half_an_end_is_none() {
    let root = tempfile::tempdir().unwrap();
    let folder = prepared(root.path());
    folder.write_begun(&Begun { boot: boot_id().unwrap(), cgroups: vec![] }).unwrap();
    folder.write_ended(&ended()).unwrap();
    let path = folder.path().join("ended.json");
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(folder.found().unwrap(), Found::Orphaned, "{length} bytes");
    }
    fs::write(&path, vec![0; whole.len()]).unwrap();
    assert_eq!(folder.found().unwrap(), Found::Orphaned);
    // That of the beginning says all that it has to by being there.
    fs::write(&path, &whole).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(folder.path().join("begun.json"), "").unwrap();
    assert_eq!(folder.found().unwrap(), Found::Orphaned);
}

#[test]
fn a_manifest_of_another_release_is_named() {
    let root = tempfile::tempdir().unwrap();
    let folder = prepared(root.path());
    let path = folder.path().join("manifest.json");
    fs::write(&path, "{\"version\":2}").unwrap();
    let error = folder.manifest().unwrap_err().to_string();
    assert_eq!(error, format!("{} is of version 2, and this release knows 1", path.display()));
    // It may have been run by the release that wrote it.
    assert_eq!(folder.found().unwrap(), Found::Orphaned);
}

#[test]
fn only_runs_are_listed() {
    let root = tempfile::tempdir().unwrap();
    let spool = Spool::open(root.path()).unwrap();
    for name in ["7.1", "x", "7", "7.x", "+7.1", "7.1.1", "-1.2", "99999999999.1"] {
        fs::create_dir(root.path().join("jobs").join(name)).unwrap();
    }
    assert_eq!(spool.folders().unwrap(), [spool.folder(7, 1)]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_file_are_read_or_not(
        name in prop::sample::select(vec![
            "manifest.json", "begun.json", "started.json", "ended.json", "environment",
        ]),
        content in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let root = tempfile::tempdir().unwrap();
        let folder = prepared(root.path());
        fs::write(folder.path().join(name), content).unwrap();
        let _ = (folder.manifest(), folder.environment(), folder.begun(), folder.started());
        prop_assert!(folder.found().is_ok());
    }
}
