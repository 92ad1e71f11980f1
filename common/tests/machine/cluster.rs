//! A cluster without a network: commands go in, entries come out, and each is checked.

use std::sync::Arc;

use bytes::Bytes;
use common::{
    config::{Config, NodeConf, PartitionConf},
    id::{Attempt, ClusterId, GroupId, Incarnation, JobId, NodeName, RequestId, Term, UserId},
    job::{ExitStatus, JobSpec, Place},
    machine::{
        Allocation, Answer, Answered, By, Command, Entry, Event, Refusal, Report, State,
        Submission, decide, refused,
    },
    node::Inventory,
    resources::Resources,
    time::{Span, Timestamp},
};

pub(crate) const ROOT: UserId = UserId(0);
pub(crate) const ALICE: UserId = UserId(1001);
pub(crate) const BOB: UserId = UserId(1002);

/// A leader and its log.
pub(crate) struct Cluster {
    pub(crate) state: State,
    pub(crate) log: Vec<Entry>,
    pub(crate) now: Timestamp,
    pub(crate) term: Term,
    requests: u128,
    /// What users asked, and were told.
    asked: Vec<(Command, Result<Answer, Refusal>)>,
}

impl Cluster {
    /// A formed cluster whose nodes have registered.
    pub(crate) fn new(nodes: &[&str], cpus: u32) -> Self {
        let mut cluster = Self {
            state: State::default(),
            log: Vec::new(),
            now: Timestamp::from_seconds(1_000_000),
            term: Term(1),
            requests: 0,
            asked: Vec::new(),
        };
        let config = Arc::new(config(nodes, cpus));
        let form = Command::Form { cluster: ClusterId([7; 16]), operator: UserId(500), config };
        cluster.send(form).expect("a first forming");
        for node in nodes {
            cluster.register(node, 1);
        }
        cluster
    }

    /// Sends a command; what it causes is applied and checked.
    pub(crate) fn send(&mut self, command: Command) -> Result<Answer, Refusal> {
        let asked = command.by().map(|_| command.clone());
        let told = self.propose(command);
        self.asked.extend(asked.map(|asked| (asked, told.clone())));
        told
    }

    /// Another copy of each request that is remembered comes in, and is told what the first one
    /// was.
    pub(crate) fn ask_all_again(&mut self) {
        for (command, told) in std::mem::take(&mut self.asked) {
            let request = command.by().expect("a user's").request;
            let (known, length) = (self.state.requests.contains_key(&request), self.log.len());
            if known {
                let again = self.propose(command).map_err(|refusal| refusal.to_string());
                assert_eq!(again, told.map_err(|refusal| refusal.to_string()));
                assert_eq!(self.log.len(), length, "nothing was done");
            }
        }
    }

    fn propose(&mut self, command: Command) -> Result<Answer, Refusal> {
        let at = self.now.max(self.state.at);
        let by = command.by().map(|by| by.request);
        let decided = match decide(&self.state, at, command) {
            Ok(decided) => decided,
            Err(refusal) => {
                if let Some(told) = by.and_then(|by| refused(&self.state, at, by, &refusal)) {
                    self.enter(at, Some(told), vec![]);
                }
                return Err(refusal);
            }
        };
        if decided.events.is_empty() && decided.request.is_none() {
            return Ok(decided.answer);
        }
        self.enter(at, decided.request, decided.events);
        Ok(decided.answer)
    }

    fn enter(&mut self, at: Timestamp, request: Option<Answered>, events: Vec<Event>) {
        let sequence = if self.state.term == self.term { self.state.sequence + 1 } else { 1 };
        let entry =
            Entry { at, term: self.term, sequence, digest: self.state.digest, request, events };
        self.state.apply(&entry);
        self.state.check();
        self.log.push(entry);
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now + Span::from_seconds(seconds);
    }

    pub(crate) fn by(&mut self, user: UserId) -> By {
        self.requests += 1;
        By { user, request: RequestId(self.requests.to_be_bytes()) }
    }

    pub(crate) fn submit(&mut self, user: UserId, spec: JobSpec) -> Result<JobId, Refusal> {
        self.submit_all(user, spec, vec![])
    }

    /// A job, or a heterogeneous one.
    pub(crate) fn submit_all(
        &mut self,
        user: UserId,
        spec: JobSpec,
        components: Vec<JobSpec>,
    ) -> Result<JobId, Refusal> {
        let submission = Submission {
            by: self.by(user),
            spec,
            components,
            script: Bytes::from_static(b"#!/bin/sh\ntrue\n"),
            environment: Bytes::from_static(b"PATH=/bin\0"),
        };
        match self.send(Command::Submit(Box::new(submission)))? {
            Answer::Job(job) => Ok(job),
            Answer::Done | Answer::Reservation(_) => panic!("a submission is answered with a job"),
        }
    }

    pub(crate) fn register(&mut self, node: &str, incarnation: u64) {
        let inventory = Box::new(inventory(8, incarnation));
        let (node, address) = (NodeName::from(node), format!("{node}:6818"));
        self.send(Command::Register { node, address, inventory }).expect("a known node");
    }

    pub(crate) fn allocate(&mut self, job: JobId, node: &str, cpus: u32) -> Result<(), Refusal> {
        let held = Resources { cpus, memory_mib: 0 };
        let places = vec![Place::of(NodeName::from(node), held, 1)];
        let allocation = Allocation::of(&self.state.jobs[&job], places);
        self.send(Command::Allocate(allocation)).map(|_| ())
    }

    pub(crate) fn report(&mut self, node: &str, job: JobId, attempt: u32, report: Report) {
        let (node, attempt) = (NodeName::from(node), Attempt(attempt));
        let told = self.send(Command::Report { node, job, attempt, report });
        assert_eq!(told, Ok(Answer::Done), "a report is never refused");
    }

    pub(crate) fn exits(&mut self, node: &str, job: JobId, attempt: u32, code: u8) {
        let exit = ExitStatus { code, signal: 0 };
        let at = self.now;
        self.report(node, job, attempt, Report::Ended { at, exit, out_of_memory: false });
    }

    /// The log from the beginning, on another replica.
    pub(crate) fn replayed(&self) -> State {
        let mut state = State::default();
        for entry in &self.log {
            assert!(state.precedes(entry));
            state.apply(entry);
        }
        state
    }
}

pub(crate) fn inventory(cpus: u32, incarnation: u64) -> Inventory {
    Inventory {
        cpus,
        boards: 1,
        sockets: 1,
        cores_per_socket: cpus,
        threads_per_core: 1,
        memory_mib: 16_000,
        tmp_disk_mib: 1_000,
        architecture: "x86_64".into(),
        operating_system: "Linux".into(),
        version: "0.1.0".into(),
        booted: Timestamp(0),
        daemon_started: Timestamp(0),
        incarnation: Incarnation(incarnation),
        gres: None,
    }
}

pub(crate) fn spec(user: UserId) -> JobSpec {
    JobSpec {
        name: "wrap".into(),
        user,
        user_name: format!("user{user}"),
        group: GroupId(100),
        group_name: "users".into(),
        submit_line: "sbatch --wrap=true".into(),
        ..JobSpec::plain()
    }
}

pub(crate) fn config(nodes: &[&str], cpus: u32) -> Config {
    let node = |name: &&str| NodeConf { cpus, cores_per_socket: cpus, ..NodeConf::defaults(name) };
    let partition = PartitionConf {
        nodes: nodes.iter().map(|name| (*name).to_owned()).collect(),
        nodes_text: nodes.join(","),
        default: true,
        ..PartitionConf::defaults("cpu")
    };
    Config {
        return_to_service: 1,
        select_memory: false,
        nodes: nodes.iter().map(node).collect(),
        partitions: vec![partition],
        ..Config::defaults("test")
    }
}
