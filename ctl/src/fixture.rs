//! A small cluster without a network, for the tests of what is pure.

use std::sync::Arc;

use bytes::Bytes;
use common::{
    config::{Config, NodeConf, PartitionConf},
    id::{Attempt, ClusterId, GroupId, Incarnation, JobId, NodeName, RequestId, Term, UserId},
    job::{ExitStatus, JobSpec, Layout, Place},
    machine::{Allocation, Answer, By, Command, Report, State, Submission},
    node::Inventory,
    resources::Resources,
    time::Timestamp,
};

use crate::head::Head;

pub(crate) const ALICE: UserId = UserId(1001);

pub(crate) struct Cluster {
    head: Head,
    pub(crate) now: Timestamp,
    requests: u128,
}

impl Cluster {
    /// Nodes `n1` to `nN` in partition `cpu`, registered, with 4 CPUs each.
    pub(crate) fn new(nodes: usize) -> Self {
        let head = Head::new(State::default(), Term(1));
        let mut cluster = Self { head, now: Timestamp(1_000_000), requests: 0 };
        let config = Arc::new(config(nodes));
        let operator = UserId(500);
        cluster.send(Command::Form { cluster: ClusterId([7; 16]), operator, config });
        for n in 1..=nodes {
            let node = NodeName::from(format!("n{n}"));
            let inventory = Box::new(inventory(1));
            cluster.send(Command::Register { node, address: String::new(), inventory });
        }
        cluster
    }

    pub(crate) fn state(&self) -> State {
        self.head.state().clone()
    }

    pub(crate) fn send(&mut self, command: Command) -> Answer {
        self.head.propose(command, self.now).answer.expect("not refused")
    }

    pub(crate) fn by(&mut self, user: UserId) -> By {
        self.requests += 1;
        By { user, request: RequestId(self.requests.to_be_bytes()) }
    }

    pub(crate) fn submit(&mut self, cpus: u32) -> JobId {
        self.submit_to(cpus, |_| {})
    }

    pub(crate) fn submit_to(&mut self, cpus: u32, change: impl FnOnce(&mut JobSpec)) -> JobId {
        let mut spec = spec(cpus);
        change(&mut spec);
        let submission = Submission {
            by: self.by(ALICE),
            spec,
            components: vec![],
            script: Bytes::from_static(b"#!/bin/sh\n"),
            environment: Bytes::new(),
        };
        match self.send(Command::Submit(Box::new(submission))) {
            Answer::Job(job) => job,
            Answer::Done | Answer::Reservation(_) => panic!("a submission is answered with a job"),
        }
    }

    pub(crate) fn allocate(&mut self, job: JobId, node: &str, cpus: u32) {
        let held = Resources { cpus, memory_mib: 0 };
        let places = vec![Place::of(NodeName::from(node), held, 1)];
        let allocation = Allocation::of(&self.head.state().jobs[&job], places);
        self.send(Command::Allocate(allocation));
    }

    pub(crate) fn report(&mut self, node: &str, job: JobId, report: Report) {
        let attempt = self.head.state().jobs[&job].attempt;
        self.send(Command::Report { node: NodeName::from(node), job, attempt, report });
    }

    pub(crate) fn ends(&mut self, node: &str, job: JobId) {
        let exit = ExitStatus::default();
        self.report(node, job, Report::Ended { at: self.now, exit, out_of_memory: false });
    }

    pub(crate) fn cancel(&mut self, job: JobId) {
        let by = self.by(ALICE);
        self.send(Command::Cancel { by, job, signal: None });
    }
}

/// A run of a job's first attempt.
pub(crate) fn run(job: JobId) -> (JobId, Attempt) {
    (job, Attempt::FIRST)
}

pub(crate) fn config(nodes: usize) -> Config {
    let names: Vec<String> = (1..=nodes).map(|n| format!("n{n}")).collect();
    let node = |name: &String| NodeConf { cpus: 4, ..NodeConf::defaults(name) };
    let partition = PartitionConf {
        nodes: names.clone(),
        nodes_text: names.join(","),
        default: true,
        ..PartitionConf::defaults("cpu")
    };
    Config {
        select_memory: false,
        nodes: names.iter().map(node).collect(),
        partitions: vec![partition],
        ..Config::defaults("test")
    }
}

pub(crate) fn inventory(incarnation: u64) -> Inventory {
    Inventory {
        cpus: 4,
        boards: 1,
        sockets: 1,
        cores_per_socket: 4,
        threads_per_core: 1,
        memory_mib: 1_000,
        tmp_disk_mib: 0,
        architecture: "x86_64".into(),
        operating_system: "Linux".into(),
        version: "0".into(),
        booted: Timestamp(0),
        daemon_started: Timestamp(0),
        incarnation: Incarnation(incarnation),
        gres: None,
    }
}

pub(crate) fn spec(cpus: u32) -> JobSpec {
    JobSpec {
        user: ALICE,
        user_name: "alice".into(),
        group: GroupId(100),
        group_name: "users".into(),
        layout: Layout { cpus_per_task: Some(cpus), ..Layout::SINGLE },
        ..JobSpec::plain()
    }
}
