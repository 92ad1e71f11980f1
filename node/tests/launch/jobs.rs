//! Jobs as the leader orders them.

use std::sync::Arc;

use common::{
    config::{Config, MemoryPer},
    id::{Attempt, GroupId, Incarnation, JobId, NodeName, PartitionName, Term, UserId},
    job::{Hold, Job, JobSpec, Layout, MemoryRequest, Phase, Place, Rank, Run, Stage},
    resources::Resources,
    time::{Span, TimeLimit, Timestamp},
};
use node::{account::Account, environment::Host};

/// Slurm's captured job: `sbatch -N2 -n4 -c2 --mem=200 -t 5 -A proj envjob.sh a1 'a 2'`.
pub(crate) fn captured() -> Job {
    let started = Timestamp::from_seconds(1_795_475_749);
    let layout = Layout {
        min_nodes: 2,
        max_nodes: Some(2),
        nodes_given: true,
        tasks: 4,
        tasks_given: true,
        cpus_per_task: Some(2),
        tasks_per_node: None,
        min_cpus_per_node: None,
    };
    let place = |node: &str, cpus, tasks| {
        Place::of(NodeName::from(node), Resources { cpus, memory_mib: 200 }, tasks)
    };
    let run = Run {
        started,
        term: Term(3),
        places: vec![place("n1", 6, 3), place("n2", 2, 1)],
        incarnation: Incarnation(1),
        stage: Stage::Allocated,
        deadline: Some(started + Span::from_minutes(5)),
        warned: false,
        stay: None,
        charge: None,
        time_limit: None,
        preempted: None,
    };
    job(268, spec("envjob", layout, MemoryRequest::PerNode(200)), run)
}

/// A job that asks for nothing: `sbatch -A proj envarr.sh`.
pub(crate) fn plain() -> Job {
    let run = Run {
        started: Timestamp::from_seconds(1_795_475_750),
        term: Term(3),
        places: vec![Place::of(NodeName::from("n1"), Resources { cpus: 1, memory_mib: 100 }, 1)],
        incarnation: Incarnation(1),
        stage: Stage::Allocated,
        deadline: None,
        warned: false,
        stay: None,
        charge: None,
        time_limit: None,
        preempted: None,
    };
    job(273, spec("envarr", Layout::SINGLE, MemoryRequest::Default), run)
}

fn job(id: u32, spec: JobSpec, run: Run) -> Job {
    Job {
        id: JobId(id),
        spec: Arc::new(spec),
        submitted: run.started,
        attempt: Attempt::FIRST,
        priority: 1,
        hold: Hold::None,
        partition: PartitionName::from("cpu"),
        time_limit: TimeLimit::Unlimited,
        begin: None,
        requeue: true,
        restarts: 0,
        phase: Phase::Active(run),
        signals: vec![],
        signals_sent: 0,
        array: None,
        dependency: None,
        rank: Rank::default(),
        preemptor: false,
    }
}

fn spec(name: &str, layout: Layout, memory: MemoryRequest) -> JobSpec {
    JobSpec {
        name: name.to_owned(),
        user: UserId(62_001),
        user_name: "alice".to_owned(),
        group: GroupId(2_003),
        group_name: "alice".to_owned(),
        partition: PartitionName::from("cpu"),
        account: Some("proj".to_owned()),
        layout,
        memory,
        arguments: vec!["a1".to_owned(), "a 2".to_owned()],
        work_dir: "/srv/slurm/jobs".to_owned(),
        submit_host: "ctl1".to_owned(),
        umask: 0o22,
        ..JobSpec::plain()
    }
}

pub(crate) fn config() -> Config {
    Config { def_memory: MemoryPer::Cpu(100), ..Config::defaults("ref") }
}

pub(crate) fn alice() -> Account {
    Account {
        uid: 62_001,
        gid: 2_003,
        name: "alice".to_owned(),
        home: "/home/alice".to_owned(),
        shell: "/bin/bash".to_owned(),
        groups: vec![2_003],
    }
}

pub(crate) fn host() -> Host {
    Host {
        node: "n1".to_owned(),
        conf: Some("/srv/slurm/slurm26/etc/slurm.conf".to_owned()),
        site: None,
    }
}
