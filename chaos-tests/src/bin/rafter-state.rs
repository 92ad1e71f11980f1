//! `rafter-state JOBS FOLDER`: how fast a replica follows the log, and how long a snapshot of its
//! state takes. `cargo xtask bench` runs it; it prints one JSON object.
//!
//! The log is the one that a leader would make of so many jobs, each submitted, allocated,
//! launched, run and ended. Only the replica's side is timed.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use common::{
    config::{Config, NodeConf, PartitionConf},
    id::{
        Attempt, ClusterId, ContentHash, GroupId, Incarnation, JobId, NodeName, PartitionName,
        RequestId, Term, UserId,
    },
    job::{ExitStatus, JobSpec, Layout, MemoryRequest, Place},
    machine::{Allocation, Answer, By, Command, Entry, Report, State, Submission},
    node::Inventory,
    resources::Resources,
    time::{Span, Timestamp},
};
use ctl::head::Head;

const NODES: usize = 64;

/// Jobs whose entries are made before they are applied, so that both fit into memory.
const CHUNK: u32 = 5_000;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [jobs, folder] = words.as_slice() else { bail!("usage: rafter-state JOBS FOLDER") };
    let (jobs, folder): (u32, _) = (jobs.parse().context("JOBS")?, PathBuf::from(folder));

    let mut leader = Leader::new()?;
    let mut replica = State::default();
    let (mut apply, mut entries) = (Duration::ZERO, 0);
    let mut follow = |log: Vec<Entry>, timed: bool| {
        let started = Instant::now();
        for entry in &log {
            replica.apply(entry);
        }
        if timed {
            apply += started.elapsed();
            entries += log.len();
        }
    };
    follow(std::mem::take(&mut leader.log), false);
    for from in (0..jobs).step_by(CHUNK as usize) {
        for job in from..jobs.min(from + CHUNK) {
            leader.live(job)?;
        }
        follow(std::mem::take(&mut leader.log), true);
    }

    let started = Instant::now();
    let frozen = replica.clone();
    let clone = started.elapsed();
    let snapshot = raft_store::try_snapshot(&folder, &frozen)?;
    let result = serde_json::json!({
        "jobs": jobs,
        "entries": entries,
        "apply_s": apply.as_secs_f64(),
        "clone_s": clone.as_secs_f64(),
        "write_s": snapshot.written.as_secs_f64(),
        "read_s": snapshot.read.as_secs_f64(),
        "bytes": snapshot.bytes,
    });
    println!("{result}");
    Ok(())
}

/// Makes the log.
struct Leader {
    head: Head,
    log: Vec<Entry>,
    now: Timestamp,
    requests: u128,
}

impl Leader {
    fn new() -> Result<Self> {
        let mut leader = Self {
            head: Head::new(State::default(), Term(1)),
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
        let proposed = self.head.propose(command, self.now)?;
        self.log.extend(proposed.entry);
        Ok(proposed.answer)
    }

    /// One job's whole life.
    fn live(&mut self, number: u32) -> Result<()> {
        self.requests += 1;
        let by = By { user: UserId(1000), request: RequestId(self.requests.to_be_bytes()) };
        let submission = Submission {
            by,
            spec: spec(number),
            script: Bytes::from_static(b"#!/bin/sh\ntrue\n"),
            environment: Bytes::from_static(b"PATH=/usr/bin:/bin\0"),
        };
        let Answer::Job(job) = self.send(Command::Submit(Box::new(submission)))? else {
            bail!("a submission is answered with a job");
        };
        let (node, attempt) = (name(number as usize % NODES), Attempt::FIRST);
        let held = Resources { cpus: 1, memory_mib: 0 };
        let places = vec![Place { node: node.clone(), held, tasks: 1 }];
        self.send(Command::Allocate(Allocation { job, attempt, places }))?;
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
    }
}

fn spec(number: u32) -> JobSpec {
    JobSpec {
        name: format!("sample-{number}"),
        user: UserId(1000),
        user_name: "alice".to_owned(),
        group: GroupId(1000),
        group_name: "alice".to_owned(),
        partition: PartitionName::from(""),
        account: None,
        layout: Layout::SINGLE,
        memory: MemoryRequest::Default,
        time_limit: None,
        required_nodes: vec![],
        excluded_nodes: vec![],
        exclusive: false,
        hold: false,
        begin: None,
        requeue: None,
        nice: 0,
        warn_signal: None,
        comment: None,
        script: ContentHash::default(),
        environment: ContentHash::default(),
        arguments: vec![number.to_string()],
        command: Some("/home/alice/project/run.sh".to_owned()),
        work_dir: "/home/alice/project".to_owned(),
        std_in: None,
        std_out: Some("out/%j.txt".to_owned()),
        std_err: None,
        open_mode: None,
        export: None,
        submit_line: format!("sbatch -o out/%j.txt run.sh {number}"),
        submit_host: "login1".to_owned(),
        session: 4711,
        umask: 0o022,
        limits: vec![],
        trace: None,
    }
}
