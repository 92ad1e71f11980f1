//! Something to put into the log: a leader's head that decides commands.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use common::{
    config::{Config, NodeConf, PartitionConf},
    id::{Attempt, ClusterId, GroupId, Incarnation, JobId, NodeName, RequestId, Term, UserId},
    job::{ExitStatus, JobSpec, Place},
    machine::{Allocation, Answer, By, Command, Entry, Report, State, Submission, decide},
    node::Inventory,
    resources::Resources,
    time::{Span, Timestamp},
};

const ALICE: UserId = UserId(1001);

/// The state as it will be, as the proposer keeps it.
pub(crate) struct Head {
    pub(crate) state: State,
    term: Term,
    now: Timestamp,
}

impl Head {
    pub(crate) fn new(state: State, term: u64) -> Self {
        let now = state.at.max(Timestamp::from_seconds(1_000_000));
        Self { state, term: Term(term), now }
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now + Span::from_seconds(seconds);
    }

    /// Decides and applies a command; the entry is to be appended.
    pub(crate) fn send(&mut self, command: Command) -> (Entry, Answer) {
        let at = self.now.max(self.state.at);
        let decided = decide(&self.state, at, command).expect("the stories ask what is allowed");
        let begun = self.state.term == self.term;
        let entry = Entry {
            at,
            term: self.term,
            sequence: if begun { self.state.sequence + 1 } else { 1 },
            digest: self.state.digest,
            request: decided.request,
            events: decided.events,
        };
        self.state.apply(&entry);
        (entry, decided.answer)
    }

    pub(crate) fn form(&mut self) -> Entry {
        let config = Arc::new(config());
        let form = Command::Form { cluster: ClusterId([7; 16]), operator: ALICE, config };
        self.send(form).0
    }

    pub(crate) fn submit(&mut self, script: &str) -> (Entry, JobId) {
        let submission = Submission {
            by: By { user: ALICE, request: self.request() },
            spec: spec(),
            components: vec![],
            script: Bytes::copy_from_slice(script.as_bytes()),
            environment: Bytes::from_static(b"PATH=/bin\0"),
        };
        match self.send(Command::Submit(Box::new(submission))) {
            (entry, Answer::Job(job)) => (entry, job),
            (_, Answer::Done | Answer::Reservation(_)) => {
                panic!("a submission is answered with a job")
            }
        }
    }

    /// A script of so many bytes, which the configuration is made to allow.
    pub(crate) fn submit_large(&mut self, bytes: usize) -> ([Entry; 2], JobId) {
        let config = Arc::new(Config { max_script_size: bytes as u64, ..config() });
        let (allowed, _) = self.send(Command::SetConfig { config });
        let (submitted, job) = self.submit(&"#".repeat(bytes));
        ([allowed, submitted], job)
    }

    fn request(&self) -> RequestId {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut request = [0; 16];
        request[..8].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        RequestId(request)
    }

    pub(crate) fn register(&mut self) -> Entry {
        let inventory = Box::new(inventory());
        let (node, address) = (NodeName::from("n1"), "n1:6818".to_owned());
        self.send(Command::Register { node, address, inventory }).0
    }

    /// Runs a job to its end.
    pub(crate) fn run(&mut self, job: JobId) -> Vec<Entry> {
        let held = Resources { cpus: 1, memory_mib: 0 };
        let places = vec![Place::of(NodeName::from("n1"), held, 1)];
        let attempt = Attempt::FIRST;
        let allocation = Allocation::of(&self.state.jobs[&job], places);
        let allocated = self.send(Command::Allocate(allocation)).0;
        let node = NodeName::from("n1");
        let exit = ExitStatus { code: 0, signal: 0 };
        let report = Report::Ended { at: self.now, exit, out_of_memory: false };
        let ended = self.send(Command::Report { node, job, attempt, report }).0;
        vec![allocated, ended]
    }

    pub(crate) fn forget(&mut self, job: JobId) -> Entry {
        self.pass(301);
        self.send(Command::Forget { jobs: vec![job] }).0
    }
}

fn inventory() -> Inventory {
    Inventory {
        cpus: 8,
        boards: 1,
        sockets: 1,
        cores_per_socket: 8,
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

fn spec() -> JobSpec {
    JobSpec {
        name: "wrap".into(),
        user: ALICE,
        user_name: "alice".into(),
        group: GroupId(100),
        group_name: "users".into(),
        submit_line: "sbatch --wrap=true".into(),
        ..JobSpec::plain()
    }
}

fn config() -> Config {
    let node = NodeConf { cpus: 8, cores_per_socket: 8, ..NodeConf::defaults("n1") };
    let partition = PartitionConf {
        nodes: vec!["n1".to_owned()],
        nodes_text: "n1".to_owned(),
        default: true,
        ..PartitionConf::defaults("cpu")
    };
    Config {
        return_to_service: 1,
        select_memory: false,
        max_job_count: 1_000_000,
        history_retention_days: 2,
        nodes: vec![node],
        partitions: vec![partition],
        ..Config::defaults("test")
    }
}
