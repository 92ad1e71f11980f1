//! The folder that a supervisor is given.

use std::sync::Arc;

use common::{
    config::{Config, NodeConf},
    cpus::CpuSet,
    id::{GroupId, JobId, Term, UserId},
    job::{ArrayPart, Job, OpenMode, Phase, ResourceLimit},
};
use node::{
    binding::Machine,
    launch::{Ground, LaunchError},
};
use step::{
    manifest::{Limit, Manifest},
    spool::{Found, Spool, boot_id},
};

use crate::jobs::{captured, config, host};

struct Scratch {
    ground: Ground,
    _folder: tempfile::TempDir,
}

fn scratch() -> Scratch {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    let boot = boot_id().expect("a boot");
    Scratch { ground: Ground { spool, boot, host: host(), machine: None }, _folder: folder }
}

/// The captured job, submitted by whoever runs the tests.
fn own_job() -> Job {
    let mut job = captured();
    let spec = Arc::make_mut(&mut job.spec);
    spec.user = UserId(nix::unistd::geteuid().as_raw());
    spec.group = GroupId(nix::unistd::getegid().as_raw());
    job
}

fn manifest(job: &Job) -> Manifest {
    let scratch = scratch();
    let made = scratch.ground.prepare((job, &[]), Term(7), &config(), b"#!/bin/sh\n", b"A=b\0");
    made.expect("prepared");
    let folder = scratch.ground.spool.folder(job.id.0, job.attempt.0);
    assert_eq!(folder.found().expect("read"), Found::NotStarted);
    assert_eq!(std::fs::read(folder.script()).expect("a script"), b"#!/bin/sh\n");
    let environment = folder.environment().expect("an environment");
    assert!(environment.contains(&b"A=b".to_vec()));
    assert!(environment.contains(&b"SLURM_JOB_ID=268".to_vec()));
    folder.manifest().expect("a manifest")
}

#[test]
fn a_manifest_says_what_the_job_asked_for() {
    let mut job = own_job();
    let spec = Arc::make_mut(&mut job.spec);
    spec.limits = vec![ResourceLimit { resource: 7, soft: 1024, hard: u64::MAX }];
    let manifest = manifest(&job);
    assert_eq!((manifest.job, manifest.attempt, manifest.term), (268, 1, 7));
    assert_eq!((manifest.cluster.as_str(), manifest.node.as_str()), ("ref", "n1"));
    assert_eq!(manifest.uid, nix::unistd::geteuid().as_raw());
    assert_eq!(manifest.arguments, ["a1", "a 2"]);
    assert_eq!((manifest.cpus, manifest.memory_mib), (6, Some(200)));
    assert_eq!(manifest.limits, [Limit { resource: 7, soft: 1024, hard: u64::MAX }]);
    assert_eq!((manifest.work_dir.as_str(), manifest.umask), ("/srv/slurm/jobs", 0o22));
    assert_eq!(manifest.std_out, "slurm-268.out");
    assert_eq!((manifest.std_in, manifest.std_err, manifest.append), (None, None, false));
}

/// Where the configuration asks for it, and the machine is the node.
#[test]
fn a_manifest_says_what_the_job_is_bound_to() {
    let mut job = own_job();
    let Phase::Active(run) = &mut job.phase else { panic!("it runs") };
    run.places[0].cpus = CpuSet::first(1);
    let mut config = config();
    config.nodes = vec![NodeConf::defaults("n1")];
    let bound = |config: &Config, machine: Option<Machine>| {
        let mut scratch = scratch();
        scratch.ground.machine = machine;
        let made = scratch.ground.prepare((&job, &[]), Term(7), config, b"#!/bin/sh\n", b"");
        made.expect("prepared");
        let folder = scratch.ground.spool.folder(job.id.0, job.attempt.0);
        !folder.manifest().expect("a manifest").bound_to.is_empty()
    };
    assert!(!bound(&config, Machine::read()), "TaskPlugin says nothing");
    config.settings.insert("TaskPlugin".to_owned(), "task/affinity,task/cgroup".to_owned());
    assert_eq!(bound(&config, Machine::read()), Machine::read().is_some());
    assert!(!bound(&config, None), "it poses as another machine");
}

#[test]
fn patterns_of_files_are_filled_in() {
    let mut job = own_job();
    let spec = Arc::make_mut(&mut job.spec);
    spec.std_in = Some("/in/%x".to_owned());
    spec.std_out = Some("%N/%5j.%t.out".to_owned());
    spec.std_err = Some("/err/%%j".to_owned());
    spec.open_mode = Some(OpenMode::Append);
    let manifest = manifest(&job);
    assert_eq!(manifest.std_in.as_deref(), Some("/in/envjob"));
    assert_eq!(manifest.std_out, "n1/00268.0.out");
    assert_eq!(manifest.std_err.as_deref(), Some("/err/%j"));
    assert!(manifest.append);
}

#[test]
fn a_task_of_an_array_has_files_of_its_own() {
    let mut job = own_job();
    job.array = Some(ArrayPart::Task { array: JobId(265), index: 7 });
    assert_eq!(manifest(&job).std_out, "slurm-265_7.out");
    let spec = Arc::make_mut(&mut job.spec);
    spec.std_out = Some("%A/%3a-%j".to_owned());
    assert_eq!(manifest(&job).std_out, "265/007-268");
}

#[test]
fn memory_that_is_not_counted_is_not_limited() {
    let mut job = own_job();
    let common::job::Phase::Active(run) = &mut job.phase else { panic!("it runs") };
    run.places[0].held.memory_mib = 0;
    assert_eq!(manifest(&job).memory_mib, None);
}

#[test]
fn a_user_whom_the_host_does_not_know_is_no_fault_of_the_node() {
    let mut job = own_job();
    Arc::make_mut(&mut job.spec).user = UserId(3_999_999_999);
    let scratch = scratch();
    let refused = scratch.ground.prepare((&job, &[]), Term(7), &config(), b"", b"");
    let refused = refused.expect_err("a stranger");
    assert!(matches!(refused, LaunchError::Account(_)) && !refused.is_node_fault());
    assert_eq!(scratch.ground.spool.folders().expect("read"), []);
}

#[test]
fn a_spool_that_can_not_be_written_is_a_fault_of_the_node() {
    let scratch = scratch();
    let job = own_job();
    let folder = scratch.ground.spool.folder(job.id.0, job.attempt.0);
    std::fs::write(folder.path(), "in the way").expect("written");
    let refused = scratch.ground.prepare((&job, &[]), Term(7), &config(), b"", b"");
    assert!(refused.expect_err("no folder").is_node_fault());
}
