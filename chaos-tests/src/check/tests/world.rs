//! Records of small runs, made with the real machine: commands go in, and what a driver would have
//! written down comes out.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use common::{
    config::{Config, NodeConf, PartitionConf},
    id::{Attempt, ClusterId, Incarnation, JobId, NodeName, RequestId, Term, UserId},
    job::{ExitStatus, JobSpec, Layout, Place},
    machine::{Allocation, Answer, By, Command, Entry, Event, Refusal, Report, State, Submission},
    node::Inventory,
    resources::Resources,
    time::Timestamp,
};
use ctl::head::Head;

use crate::{
    check::facts::SECOND,
    record::{
        Call, Digest, LogLine, Moment, Nanos, NodeShape, Operation, Outcome, Phases, Record, Run,
        Seen, Watched, Witness,
    },
};

/// The wall clock when the monotonic one was at 0, in milliseconds.
const WALL: u64 = 1_700_000_000_000;

/// How long everything takes.
const STEP: Nanos = SECOND / 100;

pub(super) struct World {
    pub(super) now: Nanos,
    pub(super) term: u64,
    pub(super) state: State,
    log: Vec<(u64, Entry)>,
    pub(super) record: Record,
    requests: u128,
}

impl World {
    /// A cluster of two nodes of four CPUs, n1 and n2, whose nodes are up.
    pub(super) fn new() -> Self {
        let mut world = Self {
            now: SECOND,
            term: 1,
            state: State::default(),
            log: vec![],
            record: record(),
            requests: 0,
        };
        let config = Arc::new(config());
        let form = Command::Form { cluster: ClusterId([7; 16]), operator: UserId(0), config };
        world.send(form).expect("a first forming");
        for node in ["n1", "n2"] {
            world.register(node);
        }
        world
    }

    fn pass(&mut self) -> Nanos {
        self.now += STEP;
        self.now
    }

    /// Decides, applies and logs.
    pub(super) fn send(&mut self, command: Command) -> Result<Answer, Refusal> {
        let at = Timestamp(WALL + self.pass() / 1_000_000);
        let proposed = Head::new(self.state.clone(), Term(self.term)).propose(command, at);
        if let Some(entry) = proposed.entry {
            self.put(entry);
        }
        proposed.answer
    }

    /// Applies and logs an entry, and lets the watcher see it.
    pub(super) fn put(&mut self, entry: Entry) {
        self.state.apply(&entry);
        let index = self.log.len() as u64 + 2;
        let seen = self.pass();
        for event in &entry.events {
            if matches!(event, Event::BlobStored { .. }) {
                continue;
            }
            let node = node(event);
            let watched = Watched {
                seen,
                index,
                term: entry.term.0,
                at_ms: entry.at.0,
                kind: event.kind().to_owned(),
                job: event.job().map(|job| job.0),
                node: node.map(ToString::to_string),
            };
            self.record.watches.get_mut("w").expect("a watcher").push(watched);
        }
        self.log.push((index, entry));
    }

    fn register(&mut self, node: &str) {
        let (node, address) = (NodeName::from(node), format!("{node}:6818"));
        let inventory = Box::new(inventory());
        self.send(Command::Register { node, address, inventory }).expect("a known node");
    }

    pub(super) fn by(&mut self) -> (By, String) {
        self.requests += 1;
        let request = RequestId(self.requests.to_be_bytes());
        (By { user: UserId(0), request }, request.to_string())
    }

    fn note(&mut self, request: Option<String>, call: Call, start: Nanos, outcome: Outcome) {
        let (client, end) = ("c1".to_owned(), self.pass());
        self.pass();
        self.record.operations.push(Operation {
            client,
            request,
            user: 0,
            call,
            start,
            end,
            outcome,
        });
    }

    /// A client submits, and is told the number.
    pub(super) fn submit(&mut self, name: &str, cpus: u32) -> u32 {
        let start = self.pass();
        let (by, request) = self.by();
        let submission = Submission {
            by,
            spec: spec(name, cpus),
            components: vec![],
            script: Bytes::from_static(b"#!/bin/sh\ntrue\n"),
            environment: Bytes::from_static(b"PATH=/bin\0"),
        };
        let answer = self.send(Command::Submit(Box::new(submission))).expect("it fits");
        let Answer::Job(JobId(job)) = answer else { panic!("a submission gets a number") };
        let call = Call::Submit { name: name.to_owned(), cpus, hold: false };
        self.note(Some(request), call, start, Outcome::Submitted { job });
        job
    }

    /// A client changes something, and is told what came of it.
    pub(super) fn change(&mut self, call: Call) {
        let start = self.pass();
        let (_, request) = self.by();
        let asked = Operation {
            client: String::new(),
            request: Some(request.clone()),
            user: 0,
            call: call.clone(),
            start,
            end: start,
            outcome: Outcome::Done,
        };
        let command = crate::check::order::model::command(&asked).expect("a change");
        let outcome = match self.send(command) {
            Ok(_) => Outcome::Done,
            Err(refusal) => Outcome::Refused { words: refusal.to_string() },
        };
        self.note(Some(request), call, start, outcome);
    }

    /// A client looks at a job.
    pub(super) fn look(&mut self, job: u32) {
        let start = self.pass();
        let outcome = match self.state.job(JobId(job)) {
            Some(known) => Outcome::Seen(Seen {
                state: crate::check::order::model::word(known).to_owned(),
                restarts: Some(known.restarts),
                comment: Some(known.spec.comment.clone().unwrap_or_default()),
                priority: Some(known.priority),
            }),
            None => Outcome::Refused { words: "Invalid job id specified".to_owned() },
        };
        self.note(None, Call::Query { job }, start, outcome);
    }

    /// A client looks at all jobs.
    pub(super) fn list(&mut self) {
        let start = self.pass();
        let listed =
            |(id, job): (&JobId, &Arc<_>)| (id.0, crate::check::order::model::word(job).to_owned());
        let jobs = self.state.jobs.iter().map(listed).collect();
        self.note(None, Call::List, start, Outcome::Listed { jobs });
    }

    pub(super) fn attempt(&self, job: u32) -> Attempt {
        self.state.jobs[&JobId(job)].attempt
    }

    pub(super) fn allocate(&mut self, job: u32, node: &str, cpus: u32) {
        let held = Resources { cpus, memory_mib: 0 };
        let places = vec![Place::of(NodeName::from(node), held, 1)];
        let allocation = Allocation::of(&self.state.jobs[&JobId(job)], places);
        self.send(Command::Allocate(allocation)).expect("there is room");
    }

    pub(super) fn report(&mut self, node: &str, job: u32, report: Report) {
        let (node, attempt) = (NodeName::from(node), self.attempt(job));
        let job = JobId(job);
        self.send(Command::Report { node, job, attempt, report }).expect("never refused");
    }

    /// The job's own process writes that it begins, or comes to its end.
    pub(super) fn witness(&mut self, node: &str, job: u32, attempt: u32, moment: Moment) {
        let at = self.pass();
        let pid = 1_000 + 10 * job + attempt;
        let cpus = self.state.jobs.get(&JobId(job)).map_or(1, |job| job.spec.layout.cpus());
        let gpus = vec![];
        let witness = Witness { moment, job, attempt, pid, at, cpus, gpus };
        self.record.witnesses.get_mut(node).expect("a node").push(witness);
    }

    /// The job is given its node, and begins there.
    pub(super) fn begin(&mut self, job: u32, node: &str, cpus: u32) {
        self.allocate(job, node, cpus);
        self.report(node, job, Report::Launching);
        let attempt = self.attempt(job).0;
        self.witness(node, job, attempt, Moment::Begin);
        self.report(node, job, Report::Running);
    }

    /// The job's process comes to its end, and its node says so.
    pub(super) fn finish(&mut self, job: u32, node: &str) {
        let attempt = self.attempt(job).0;
        self.witness(node, job, attempt, Moment::End);
        self.end(job, node);
    }

    /// The node says that the run is over.
    pub(super) fn end(&mut self, job: u32, node: &str) {
        let at = self.state.at;
        let exit = ExitStatus { code: 0, signal: 0 };
        self.report(node, job, Report::Ended { at, exit, out_of_memory: false });
    }

    /// Until a requeued job may run again.
    pub(super) fn wait(&mut self) {
        self.now += 130 * SECOND;
    }

    /// Another leader.
    pub(super) fn elect(&mut self) {
        self.term += 1;
    }

    /// The record, as a driver leaves it.
    pub(super) fn record(mut self) -> Record {
        let end = self.pass();
        let ended = self.pass();
        let phases = &mut self.record.run.phases;
        (phases.faults_ended, phases.healed, phases.ended) = (end, end, ended);
        let lines: Vec<LogLine> =
            self.log.iter().map(|(index, entry)| LogLine::of(*index, entry)).collect();
        let index = lines.last().map_or(0, |line| line.index);
        for controller in self.record.run.controllers.clone() {
            self.record.logs.insert(controller.clone(), lines.clone());
            self.record.digests.insert(controller, Digest { index, digest: "ab".into() });
        }
        self.record
    }
}

fn node(event: &Event) -> Option<&NodeName> {
    if let Event::NodeRegistered { node, .. } | Event::NodeChanged { node, .. } = event {
        return Some(node);
    }
    if let Event::JobAllocated { places, .. } = event { Some(&places[0].node) } else { None }
}

fn record() -> Record {
    let phases = Phases {
        began: SECOND,
        faults_began: SECOND,
        faults_ended: SECOND,
        healed: SECOND,
        ended: SECOND,
    };
    let shape = |name: &str| {
        (name.to_owned(), NodeShape { cpus: 4, memory_mib: 1024, gpus: vec!["gpu0".into()] })
    };
    let run = Run {
        seed: 1,
        command: "none".into(),
        planted: None,
        options: BTreeMap::new(),
        versions: BTreeMap::new(),
        controllers: vec!["ctl1".into(), "ctl2".into()],
        nodes: BTreeMap::from(["n1", "n2"].map(shape)),
        slurmd_timeout_s: 10,
        wall_offset: 0,
        phases,
        unsettled: vec![],
        orphans: vec![],
    };
    Record {
        run,
        operations: vec![],
        faults: vec![],
        witnesses: BTreeMap::from(["n1", "n2"].map(|node| (node.to_owned(), vec![]))),
        logs: BTreeMap::new(),
        watches: BTreeMap::from([("w".to_owned(), vec![])]),
        digests: BTreeMap::new(),
    }
}

fn config() -> Config {
    let names = ["n1", "n2"];
    let node = |name: &&str| NodeConf { cpus: 4, cores_per_socket: 4, ..NodeConf::defaults(name) };
    let partition = PartitionConf {
        nodes: names.map(str::to_owned).to_vec(),
        nodes_text: names.join(","),
        default: true,
        ..PartitionConf::defaults("cpu")
    };
    Config {
        return_to_service: 1,
        select_memory: false,
        nodes: names.iter().map(node).collect(),
        partitions: vec![partition],
        ..Config::defaults("test")
    }
}

fn inventory() -> Inventory {
    Inventory {
        cpus: 4,
        boards: 1,
        sockets: 1,
        cores_per_socket: 4,
        threads_per_core: 1,
        memory_mib: 16_000,
        tmp_disk_mib: 1_000,
        architecture: "x86_64".into(),
        operating_system: "Linux".into(),
        version: "0.1.0".into(),
        booted: Timestamp(0),
        daemon_started: Timestamp(0),
        incarnation: Incarnation(1),
        gres: None,
    }
}

fn spec(name: &str, cpus: u32) -> JobSpec {
    JobSpec {
        name: name.into(),
        layout: Layout { tasks: cpus, ..Layout::SINGLE },
        ..JobSpec::plain()
    }
}
