//! A cluster on which plans are made and carried out.

use std::{fmt::Write, path::Path, sync::Arc};

use bytes::Bytes;
use common::{
    config::{self, Config, GresConf},
    gres::Gres,
    id::{Attempt, ClusterId, Incarnation, JobId, NodeName, RequestId, Term, UserId},
    job::{ExitStatus, JobChanges, MAX_ARRAY_SIZE, Phase, Place, TaskSet},
    machine::{
        Allocation, Answer, By, Command, Entry, NodeChanges, NodeTarget, Preemption, Refusal,
        Report, State, Submission, TaskAct, decide, timers,
    },
    node::{GresFound, Inventory},
    size::Mib,
    time::{Span, Timestamp},
};
use sched::{Plan, plan};

use crate::{accounts, options, priorities, told::told};

pub(crate) const ALICE: UserId = UserId(1001);
pub(crate) const OPERATOR: UserId = UserId(500);

pub(crate) struct Bench {
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    requests: u128,
}

impl Bench {
    /// A cluster of this configuration, whose nodes are all up.
    pub(crate) fn new(conf: &str) -> Self {
        let (conf, table) = accounts::split(conf);
        let of_tree = |line: &&str| line.starts_with("SwitchName=");
        let (tree, conf): (Vec<&str>, Vec<&str>) = conf.lines().partition(of_tree);
        let (tree, conf) = (tree.join("\n"), conf.join("\n"));
        let text = format!("ClusterName=test\nSlurmctldHost=ctl1\n{conf}\n");
        let config = config::parse(Path::new("scenario"), |path| match path.to_str() {
            Some("scenario") => Ok(text.clone()),
            Some("topology.conf") => Ok(tree.clone()),
            _ => Err("no such file"),
        });
        let config = Arc::new(config.unwrap_or_else(|error| panic!("{error}")));
        let now = Timestamp::from_seconds(1_000_000);
        let mut bench = Self { state: State::default(), now, requests: 0 };
        let form = Command::Form {
            cluster: ClusterId([7; 16]),
            operator: OPERATOR,
            config: Arc::clone(&config),
        };
        bench.send(form).expect("a first forming");
        bench.register(&config);
        if let Some(accounts) = table {
            let by = bench.by(OPERATOR);
            bench.send(Command::LoadAccounts { by, accounts }).expect("it can be loaded");
        }
        bench
    }

    fn register(&mut self, config: &Config) {
        let found = |gres: &GresConf| GresFound { name: gres.name.clone(), count: gres.count };
        for node in &config.nodes {
            let inventory = Inventory {
                cpus: node.cpus,
                boards: 1,
                sockets: 1,
                cores_per_socket: node.cpus,
                threads_per_core: 1,
                memory_mib: node.real_memory_mib,
                tmp_disk_mib: 0,
                architecture: "x86_64".into(),
                operating_system: "Linux".into(),
                version: "0".into(),
                booted: Timestamp(0),
                daemon_started: Timestamp(0),
                incarnation: Incarnation(1),
                gres: Some(node.gres.iter().map(found).collect()),
            };
            let register = Command::Register {
                node: NodeName::from(node.name.as_str()),
                address: format!("{}:6818", node.name),
                inventory: Box::new(inventory),
            };
            self.send(register).expect("the node is configured");
        }
    }

    pub(crate) fn send(&mut self, command: Command) -> Result<Answer, Refusal> {
        let at = self.now.max(self.state.at);
        let decided = decide(&self.state, at, command)?;
        if decided.events.is_empty() && decided.request.is_none() {
            return Ok(decided.answer);
        }
        let entry = Entry {
            at,
            term: Term(1),
            sequence: self.state.sequence + 1,
            digest: self.state.digest,
            request: decided.request,
            events: decided.events,
        };
        self.state.apply(&entry);
        self.state.check();
        Ok(decided.answer)
    }

    pub(crate) fn by(&mut self, user: UserId) -> By {
        self.requests += 1;
        By { user, request: RequestId(self.requests.to_be_bytes()) }
    }

    /// Carries out a command, and says what came of it.
    pub(crate) fn run(&mut self, command: &str) -> String {
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        match verb {
            "submit" => self.submit(rest),
            "plan" => self.told(&self.plan()),
            "start" => self.start(),
            "holds" => self.holds(JobId(rest.parse().expect("a job's number"))),
            "cpus" => self.cpus(JobId(rest.parse().expect("a job's number"))),
            "end" => self.end(self.job(rest)),
            "limit" => self.limit(rest),
            "cancel" => self.cancel(rest),
            "node" => self.node(rest),
            "why" => {
                let job = JobId(rest.parse().expect("a job's number"));
                told(&self.state, self.now, job)
            }
            "state" => self.state_of(rest),
            "hold" => self.hold(JobId(rest.parse().expect("a job's number"))),
            "features" => self.features(rest),
            "reserve" => self.reserve(rest),
            "change" => self.change(rest),
            "unreserve" => self.unreserve(rest),
            "clock" => self.clock(),
            "update" => self.update(rest),
            "priorities" => priorities::told(&self.state, self.now),
            "priority" => self.priority(rest),
            "release" => self.release(JobId(rest.parse().expect("a job's number"))),
            "pass" => {
                let seconds = rest.parse().expect("a number of seconds");
                self.now = self.now + Span::from_seconds(seconds);
                self.missed()
            }
            _ => panic!("scenarios have no command {verb}"),
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        self.plan_of(&self.state)
    }

    /// What would be done, were the cluster like this.
    pub(crate) fn plan_of(&self, state: &State) -> Plan {
        plan(state, self.now)
    }

    fn submit(&mut self, options: &str) -> String {
        let mut specs = options.split(" : ").map(|options| options::job(options, ALICE, self.now));
        let spec = specs.next().expect("there is a job");
        let components = specs.collect();
        let submission = Submission {
            by: self.by(spec.user),
            spec,
            components,
            script: Bytes::from_static(b"#!/bin/sh\n"),
            environment: Bytes::new(),
        };
        match self.send(Command::Submit(Box::new(submission))) {
            Ok(Answer::Job(job)) => format!("job {job}\n"),
            Ok(Answer::Done | Answer::Reservation(_)) => {
                panic!("a submission is answered with a job")
            }
            Err(Refusal::Policy(limit)) => format!("refused: {limit}\n"),
            Err(refusal) => format!("refused: {refusal}\n"),
        }
    }

    fn start(&mut self) -> String {
        let plan = self.plan();
        let told = self.told(&plan);
        for preemption in plan.preempts {
            self.send(Command::Preempt(preemption)).expect("the plan was made of this state");
        }
        for allocation in plan.starts {
            let Allocation { job, attempt, task, places, .. } = allocation.clone();
            self.send(Command::Allocate(allocation)).expect("the plan was made of this state");
            let of_task = task.and_then(|task| self.state.tasks.get(job, task));
            let job = of_task.unwrap_or(job);
            let host = places.first().expect("a job has a node").node.clone();
            for report in [Report::Launching, Report::Running] {
                self.report(host.clone(), job, attempt, report);
            }
        }
        told
    }

    /// A job, or `1_3`: a task of an array that has a job of its own.
    fn job(&self, word: &str) -> JobId {
        let number = |text: &str| text.parse().expect("a job's number");
        match word.split_once('_') {
            None => JobId(number(word)),
            Some((array, task)) => {
                let job = self.state.tasks.get(JobId(number(array)), number(task));
                job.expect("the task has a job of its own")
            }
        }
    }

    fn limit(&mut self, words: &str) -> String {
        let (array, limit) = words.split_once(' ').expect("an array, and how many may run");
        let array_limit = Some(limit.parse().expect("a number"));
        let changes = Box::new(JobChanges { array_limit, ..JobChanges::default() });
        let (by, job) = (self.by(ALICE), self.job(array));
        self.send(Command::UpdateJob { by, job, changes }).expect("it is an array");
        String::new()
    }

    fn cancel(&mut self, word: &str) -> String {
        let (array, tasks) = word.split_once('_').expect("tasks of an array");
        let tasks = TaskSet::parse(tasks, MAX_ARRAY_SIZE).expect("they are well formed");
        let (by, array) = (self.by(ALICE), self.job(array));
        let act = TaskAct::Cancel { signal: None };
        self.send(Command::OnTasks { by, array, tasks: Some(tasks), act }).expect("they wait");
        String::new()
    }

    fn report(&mut self, node: NodeName, job: JobId, attempt: Attempt, report: Report) {
        self.send(Command::Report { node, job, attempt, report }).expect("reports are taken");
    }

    /// Those that can't be over by their deadlines any more.
    fn missed(&mut self) -> String {
        let mut text = String::new();
        for due in timers(&self.state, self.now) {
            if let Command::MissDeadline { job } = due {
                self.send(due).expect("the clock is not refused");
                let end = self.state.jobs[&job].end().expect("it is over");
                let reason = end.reason.expect("there is one");
                writeln!(text, "over {job}: {:?}, {reason}", end.state).expect("a text takes it");
            }
        }
        text
    }

    fn end(&mut self, id: JobId) -> String {
        let job = Arc::clone(&self.state.jobs[&id]);
        let run = job.holding().expect("the job holds nodes");
        for place in &run.places {
            let exit = ExitStatus { code: 0, signal: 0 };
            let ended = Report::Ended { at: self.now, exit, out_of_memory: false };
            self.report(place.node.clone(), id, job.attempt, ended);
        }
        String::new()
    }

    fn hold(&mut self, job: JobId) -> String {
        let by = self.by(ALICE);
        self.send(Command::Hold { by, job, admin: false }).expect("her own");
        String::new()
    }

    fn release(&mut self, job: JobId) -> String {
        let by = self.by(ALICE);
        self.send(Command::Release { by, job }).expect("her own");
        String::new()
    }

    fn priority(&mut self, words: &str) -> String {
        let (job, priority) = words.split_once(' ').expect("a job, and its priority");
        let priority = Some(priority.parse().expect("a number"));
        let changes = Box::new(JobChanges { priority, ..JobChanges::default() });
        let (by, job) = (self.by(OPERATOR), self.job(job));
        self.send(Command::UpdateJob { by, job, changes }).expect("an operator may");
        String::new()
    }

    /// Where the job is in its life, and whether it makes way.
    fn state_of(&self, word: &str) -> String {
        let job = &self.state.jobs[&self.job(word)];
        let way = job.makes_way().map(|way| {
            let seconds = way.until.since(self.now).seconds();
            format!(", makes way for {} within {seconds} s", way.by)
        });
        let phase = match &job.phase {
            Phase::Pending => format!("pending, attempt {}", job.attempt.0),
            Phase::Active(_) => "running".to_owned(),
            Phase::Completing { end, requeue: None, .. } => format!("completing: {:?}", end.state),
            Phase::Completing { requeue: Some(_), .. } => "completing, to wait again".to_owned(),
            Phase::Ended { end, .. } => format!("ended: {:?}", end.state),
        };
        format!("{phase}{}\n", way.unwrap_or_default())
    }

    /// What of the nodes the job has.
    fn holds(&self, job: JobId) -> String {
        let Some(run) = self.state.jobs[&job].holding() else { return "nothing\n".to_owned() };
        let texts = run.places.iter().map(|place| {
            let gres: Vec<String> = place.gres.iter().map(Gres::detailed).collect();
            format!("{}: {}\n", place.node, gres.join(","))
        });
        texts.collect()
    }

    /// Which CPUs of the nodes the job has.
    fn cpus(&self, job: JobId) -> String {
        let Some(run) = self.state.jobs[&job].holding() else { return "nothing\n".to_owned() };
        let text = |place: &Place| format!("{}: {}\n", place.node, place.cpus);
        run.places.iter().map(text).collect()
    }

    fn node(&mut self, change: &str) -> String {
        let (name, target) = change.split_once(' ').expect("a node, and what becomes of it");
        let target = match target {
            "drain" => NodeTarget::Drain,
            "down" => NodeTarget::Down,
            "resume" => NodeTarget::Resume,
            _ => panic!("scenarios leave no node {target}"),
        };
        let changes = NodeChanges { target: Some(target), reason: Some("test".into()) };
        let (by, node) = (self.by(OPERATOR), NodeName::from(name));
        self.send(Command::UpdateNode { by, node, changes }).expect("the node is configured");
        String::new()
    }

    fn features(&mut self, change: &str) -> String {
        let (name, features) = change.split_once(' ').unwrap_or((change, ""));
        let mut config = self.state.config.as_deref().expect("it is configured").clone();
        let node = config.nodes.iter_mut().find(|node| node.name == name);
        let features = features.split(',').filter(|feature| !feature.is_empty());
        node.expect("the node is configured").features = features.map(str::to_owned).collect();
        self.send(Command::SetConfig { config: Arc::new(config) }).expect("nothing else changes");
        String::new()
    }

    fn update(&mut self, change: &str) -> String {
        let (job, options) = change.split_once(' ').expect("a job, and options");
        let job = JobId(job.parse().expect("a job's number"));
        let asked = options::job(options, ALICE, self.now);
        let reservations = options.contains("--reservation").then_some(asked.reservations);
        let constraint = asked.constraint;
        let changes = JobChanges { constraint, reservations, ..JobChanges::default() };
        let by = self.by(ALICE);
        match self.send(Command::UpdateJob { by, job, changes: Box::new(changes) }) {
            Ok(_) => String::new(),
            Err(refusal) => format!("refused: {refusal}\n"),
        }
    }

    fn told(&self, plan: &Plan) -> String {
        let mut text = String::new();
        let starts = plan.starts.iter().flat_map(Allocation::all);
        for Allocation { job, task, places, time_limit, .. } in starts {
            let places: Vec<String> = places.iter().map(place).collect();
            let task = task.map(|task| format!("_{task}")).unwrap_or_default();
            let limit = time_limit.map(|limit| format!(", for {}", limit.padded()));
            let (places, limit) = (places.join("; "), limit.unwrap_or_default());
            writeln!(text, "start {job}{task}: {places}{limit}").expect("a text takes it");
        }
        for Preemption { start, runs } in &plan.preempts {
            let runs: Vec<String> = runs.iter().map(|(job, _)| job.to_string()).collect();
            let (job, runs) = (start.job, runs.join(", "));
            writeln!(text, "make way for {job}: {runs}").expect("a text takes it");
        }
        for (job, reason) in &plan.waits {
            writeln!(text, "wait {job}: {reason}").expect("a text takes it");
        }
        for (job, at) in &plan.estimates {
            let seconds = at.since(self.now).seconds();
            writeln!(text, "planned {job}: in {seconds} s").expect("a text takes it");
        }
        if let Some(wake) = plan.wake {
            let seconds = wake.since(self.now).seconds();
            writeln!(text, "wake in {seconds} s").expect("a text takes it");
        }
        if text.is_empty() { "nothing\n".to_owned() } else { text }
    }
}

fn place(place: &Place) -> String {
    let Place { node, held, tasks, gres, .. } = place;
    let gres: String = gres.iter().map(|gres| format!(", {gres}")).collect();
    let memory = match held.memory_mib {
        0 => String::new(),
        mib => format!(", {}", Mib(mib)),
    };
    format!("{node} tasks={tasks} cpus={}{memory}{gres}", held.cpus)
}
