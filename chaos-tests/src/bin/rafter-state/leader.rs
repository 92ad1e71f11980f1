//! The leader that makes the log: it decides, and keeps the entries.

use std::sync::Arc;

use anyhow::{Result, bail};
use bytes::Bytes;
use common::{
    config::{Config, NodeConf, PartitionConf},
    id::{Attempt, ClusterId, GroupId, Incarnation, JobId, NodeName, RequestId, Term, UserId},
    job::{ExitStatus, JobSpec, Place},
    machine::{Allocation, Answer, By, Command, Entry, Report, State, Submission},
    node::Inventory,
    resources::Resources,
    time::{Span, Timestamp},
};
use ctl::head::Head;

const NODES: usize = 64;

/// Makes the log.
pub(crate) struct Leader {
    head: Head,
    pub(crate) log: Vec<Entry>,
    now: Timestamp,
    requests: u128,
}

impl Leader {
    /// A leader of a cluster that is just formed, its nodes registered.
    pub(crate) fn new(term: Term) -> Result<Self> {
        let mut leader = Self {
            head: Head::new(State::default(), term),
            log: Vec::new(),
            now: Timestamp::from_seconds(1_800_000_000),
            requests: 0,
        };
        let config = Arc::new(config());
        leader.send(Command::Form {
            cluster: ClusterId([7; 16]),
            operator: UserId(1000),
            config,
        })?;
        for number in 0..NODES {
            let (node, inventory) = (name(number), Box::new(inventory()));
            leader.send(Command::Register { node, address: "n:6818".to_owned(), inventory })?;
        }
        Ok(leader)
    }

    fn send(&mut self, command: Command) -> Result<Answer> {
        self.now = self.now + Span(1);
        let proposed = self.head.propose(command, self.now);
        self.log.extend(proposed.entry);
        Ok(proposed.answer?)
    }

    /// A job that waits.
    pub(crate) fn submit(&mut self, number: u32) -> Result<JobId> {
        self.requests += 1;
        let by = By { user: UserId(1000), request: RequestId(self.requests.to_be_bytes()) };
        let submission = Submission {
            by,
            spec: spec(number),
            components: vec![],
            script: Bytes::from_static(b"#!/bin/sh\ntrue\n"),
            environment: Bytes::from_static(b"PATH=/usr/bin:/bin\0"),
        };
        match self.send(Command::Submit(Box::new(submission)))? {
            Answer::Job(job) => Ok(job),
            Answer::Done | Answer::Reservation(_) => bail!("a submission is answered with a job"),
        }
    }

    /// One job's whole life.
    pub(crate) fn live(&mut self, number: u32) -> Result<()> {
        let job = self.submit(number)?;
        let node = name(number as usize % NODES);
        let held = Resources { cpus: 1, memory_mib: 0 };
        let places = vec![Place::of(node.clone(), held, 1)];
        let allocation = Allocation::of(&self.head.state().jobs[&job], places);
        self.send(Command::Allocate(allocation))?;
        let exit = ExitStatus { code: 0, signal: 0 };
        let ended = Report::Ended { at: self.now, exit, out_of_memory: false };
        for report in [Report::Launching, Report::Running, ended] {
            self.report(&node, job, report)?;
        }
        Ok(())
    }

    fn report(&mut self, node: &NodeName, job: JobId, report: Report) -> Result<()> {
        let (node, attempt) = (node.clone(), Attempt::FIRST);
        self.send(Command::Report { node, job, attempt, report })?;
        Ok(())
    }
}

fn name(number: usize) -> NodeName {
    NodeName::from(format!("n{number}").as_str())
}

fn config() -> Config {
    let nodes: Vec<String> = (0..NODES).map(|number| name(number).to_string()).collect();
    let node = |name: &String| NodeConf { cpus: 64, ..NodeConf::defaults(name) };
    let partition = PartitionConf {
        nodes: nodes.clone(),
        nodes_text: format!("n[0-{}]", NODES - 1),
        default: true,
        ..PartitionConf::defaults("main")
    };
    Config {
        select_memory: false,
        max_job_count: u32::MAX,
        nodes: nodes.iter().map(node).collect(),
        partitions: vec![partition],
        ..Config::defaults("bench")
    }
}

fn inventory() -> Inventory {
    Inventory {
        cpus: 64,
        boards: 1,
        sockets: 2,
        cores_per_socket: 16,
        threads_per_core: 2,
        memory_mib: 256_000,
        tmp_disk_mib: 100_000,
        architecture: "x86_64".to_owned(),
        operating_system: "Linux".to_owned(),
        version: "0".to_owned(),
        booted: Timestamp(0),
        daemon_started: Timestamp(0),
        incarnation: Incarnation(1),
        gres: None,
    }
}

fn spec(number: u32) -> JobSpec {
    JobSpec {
        name: format!("sample-{number}"),
        user: UserId(1000),
        user_name: "alice".to_owned(),
        group: GroupId(1000),
        group_name: "alice".to_owned(),
        arguments: vec![number.to_string()],
        command: Some("/home/alice/project/run.sh".to_owned()),
        work_dir: "/home/alice/project".to_owned(),
        std_out: Some("out/%j.txt".to_owned()),
        submit_line: format!("sbatch -o out/%j.txt run.sh {number}"),
        submit_host: "login1".to_owned(),
        session: 4711,
        ..JobSpec::plain()
    }
}
