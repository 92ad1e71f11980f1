//! What was seen, by whoever can't be fooled: the jobs' own marks, and the log itself.

use std::collections::{BTreeMap, BTreeSet};

use common::{
    id::{JobId, NodeName, RequestId},
    job::{End, EndState, Phase, Reason},
    machine::{Answer, Answered, Entry, Event, State},
    node::Availability,
};
use node::run::RunId;
use step::spool::Ended;

use super::{
    controller::node_name, cpus::Cpus, gpus::Devices, het::Components, licenses::Licensed,
    network::Place, preempting::Preempted, reserved::Reserved, tasks::Arrays, waits::Happened,
    world::World,
};

#[derive(Debug, Default)]
pub(super) struct Witness {
    /// The latest term that some controller has led.
    pub(super) led: u64,
    /// Streams on which nothing comes any more from one of the two.
    pub(super) broken: BTreeSet<(u64, Place)>,
    /// When the last message of each direction of a stream arrives.
    pub(super) arrivals: BTreeMap<(u64, Place), u64>,
    allocated: BTreeMap<RunId, String>,
    /// How each run ended, says the log.
    logged: BTreeMap<RunId, EndState>,
    submitted: BTreeMap<JobId, Option<RequestId>>,
    requests: BTreeMap<RequestId, JobId>,
    /// What was carried out.
    done: BTreeSet<RequestId>,
    /// What a user was told would not be.
    refused: BTreeSet<RequestId>,
    started: BTreeMap<RunId, usize>,
    /// Whose script runs at this moment, and on which node.
    running: BTreeMap<RunId, usize>,
    /// How scripts ended, by exit code and signal.
    ended: BTreeMap<RunId, (u8, u8)>,
    /// On whose disk that is, synced.
    kept: BTreeMap<RunId, usize>,
    /// Runs that ended because their node was given up.
    given_up: BTreeSet<RunId>,
    /// Runs that a node was booted over: what it says of them may be more than there was.
    unsure: BTreeSet<RunId>,
    /// What happened to those that others wait for.
    happened: Happened,
    /// Who has which GPU.
    devices: Devices,
    licensed: Licensed,
    reserved: Reserved,
    pub(super) preempted: Preempted,
    /// Who has which CPU.
    cpus: Cpus,
    arrays: Arrays,
    components: Components,
}

impl Witness {
    pub(super) fn launches(&self) -> usize {
        self.started.len()
    }

    /// An entry is committed, in a state `before` it.
    pub(super) fn entry(&mut self, entry: &Entry, before: &State) {
        self.components.entry(entry);
        if let Some(Answered { request, answer, .. }) = &entry.request {
            self.answered(*request, answer.as_ref().ok().copied(), entry);
        }
        for event in &entry.events {
            self.event(entry, event, before);
        }
        self.happened.entry(entry);
        self.devices.entry(entry);
        self.licensed.entry(entry);
        self.reserved.entry(entry);
        self.preempted.entry(entry, before);
        self.cpus.entry(entry);
        self.arrays.entry(entry);
    }

    fn answered(&mut self, request: RequestId, answer: Option<Answer>, entry: &Entry) {
        let Some(answer) = answer else {
            assert!(entry.events.is_empty(), "request {request} was refused, and caused something");
            return;
        };
        assert!(!self.refused.contains(&request), "request {request} was refused, and carried out");
        self.done.insert(request);
        if let Answer::Job(job) = answer {
            let earlier = self.requests.insert(request, job);
            assert!(earlier.is_none(), "request {request} made two jobs");
        }
    }

    /// A user is told that nothing comes of a request.
    pub(super) fn refused(&mut self, request: RequestId) {
        assert!(!self.done.contains(&request), "request {request} was carried out, and refused");
        self.refused.insert(request);
    }

    fn event(&mut self, entry: &Entry, event: &Event, before: &State) {
        if let Event::JobSubmitted { job, .. } = event {
            let request = entry.request.as_ref().map(|answered| answered.request);
            let earlier = self.submitted.insert(*job, request);
            assert!(earlier.is_none(), "job id {job} is given twice");
        }
        if let Event::JobAllocated { job, attempt, places, .. } = event {
            let run = RunId { job: *job, attempt: *attempt };
            let earlier = self.allocated.insert(run, places[0].node.to_string());
            assert!(earlier.is_none(), "{run} is allocated twice");
        }
        if let Event::JobRunning { job, attempt } = event {
            let run = self.components.script_of(RunId { job: *job, attempt: *attempt });
            let known = self.started.contains_key(&run) || self.unsure.contains(&run);
            assert!(known, "{run} runs, says the log, and nobody has started it");
        }
        if let Event::JobEnded { job, attempt, end } = event {
            self.end(RunId { job: *job, attempt: *attempt }, end, entry, before);
        }
        if let Event::JobRequeued { job, attempt, end, .. } = event {
            // A job that had ended may be requeued: its run has its end already.
            let run = RunId { job: *job, attempt: *attempt };
            match end {
                Some(end) if !self.logged.contains_key(&run) => self.end(run, end, entry, before),
                Some(_) | None => {
                    self.logged.entry(run).or_insert(EndState::Cancelled);
                }
            }
        }
    }

    /// The log says that a run is over.
    fn end(&mut self, run: RunId, end: &End, entry: &Entry, before: &State) {
        let earlier = self.logged.insert(run, end.state);
        assert!(earlier.is_none(), "{run} ends twice");
        let host = self.allocated.get(&run);
        if host.is_some_and(|host| given_up(entry, &NodeName::from(host.as_str()))) {
            self.given_up.insert(run);
        }
        let seen = self.ended.get(&self.components.script_of(run));
        match end.state {
            EndState::NodeFail => self.check_lost(run, entry, before),
            EndState::Completed => assert!(
                seen == Some(&(0, 0)),
                "{run} is completed, says the log, and its node has seen {seen:?}"
            ),
            EndState::Failed if end.reason == Some(Reason::NonZeroExitCode) => assert!(
                seen.is_some_and(|exit| exit.0 != 0),
                "{run} has failed, says the log, and its node has seen {seen:?}"
            ),
            EndState::Deadline => {
                assert_eq!(host, None, "{run} was to miss its deadline, and has run");
            }
            EndState::Preempted => assert!(
                before.jobs[&run.job].makes_way().is_some(),
                "{run} was preempted, says the log, and nobody told it to make way"
            ),
            EndState::Failed | EndState::Cancelled | EndState::Timeout | EndState::OutOfMemory => {}
        }
        if let Some(on) = self.running.get(&run) {
            let known = end.state == EndState::NodeFail || self.given_up.contains(&run);
            assert!(known, "{run} is over, says the log, and runs on n{on}");
        }
    }

    /// A run that is lost has not ended in a way that its node could tell, unless the node itself
    /// is given up.
    fn check_lost(&self, run: RunId, entry: &Entry, before: &State) {
        let Some(node) = self.kept.get(&run) else { return };
        let name = NodeName::from(node_name(*node));
        let active = before
            .jobs
            .get(&run.job)
            .is_some_and(|job| job.attempt == run.attempt && matches!(job.phase, Phase::Active(_)));
        let up = before.nodes.get(&name).is_some_and(|n| n.availability == Availability::Up);
        assert!(
            given_up(entry, &name) || !active || !up,
            "{run} is lost, says the log, and {name} has on its disk how it ended"
        );
    }

    /// A script starts: it makes its mark.
    pub(super) fn started(&mut self, run: RunId, node: usize) {
        if let Some(earlier) = self.started.insert(run, node) {
            panic!("{run} runs twice: on n{earlier} and on n{node}");
        }
        self.running.insert(run, node);
        let allocated = self.allocated.get(&run);
        let there = allocated.is_some_and(|allocated| *allocated == node_name(node));
        assert!(there, "{run} runs on n{node}, and is allocated, says the log, to {allocated:?}");
        // A node that is given up can't know that its runs are.
        let end = self.logged.get(&run).filter(|_| !self.given_up.contains(&run));
        assert!(
            end.is_none_or(|end| *end == EndState::NodeFail),
            "{run} starts after it ended: {end:?}"
        );
    }

    /// A script is killed, and nobody wrote how it ended.
    pub(super) fn stopped(&mut self, run: RunId) {
        self.running.remove(&run);
    }

    /// A script ends, which is on its node's disk.
    pub(super) fn ended(&mut self, run: RunId, node: usize, ended: &Ended) {
        if self.running.remove(&run).is_some() {
            self.ended.insert(run, (ended.exit_code, ended.signal));
            self.kept.insert(run, node);
        }
    }

    /// A node goes down, with all that ran on it.
    pub(super) fn booted(&mut self, node: usize) {
        let name = node_name(node);
        let open = self
            .allocated
            .iter()
            .filter(|(run, on)| **on == name && !self.logged.contains_key(run));
        self.unsure.extend(open.map(|(run, _)| *run));
    }

    /// A node's disk is lost: what it knew, nobody can tell any more.
    pub(super) fn wiped(&mut self, node: usize) {
        self.kept.retain(|_, on| *on != node);
    }
}

/// Whether an entry says that a node is given up.
fn given_up(entry: &Entry, name: &NodeName) -> bool {
    entry.events.iter().any(|event| {
        matches!(event, Event::NodeChanged { node, change }
            if node == name && change.availability == Availability::Lost)
    })
}

impl World {
    /// Whether nothing is left to wait for.
    pub(super) fn is_over(&self) -> bool {
        !self.faults
            && self.user.is_done()
            && self.truth.jobs.values().all(|job| matches!(job.phase, Phase::Ended { .. }))
            && self.hosts.iter().all(super::host::Host::is_clean)
            && self
                .controllers
                .iter()
                .all(|one| one.alive && one.applied == self.chain.len() as u64)
            && self.controllers.iter().all(|one| self.wanted.is_met(one.log.members().1))
    }

    /// What is not over, for the message of a failure.
    pub(super) fn unfinished(&self) -> String {
        let jobs = self.truth.jobs.values().filter(|j| !matches!(j.phase, Phase::Ended { .. }));
        let mut text: String = jobs
            .map(|job| {
                let (id, attempt, hold, phase) = (job.id, job.attempt, job.hold, &job.phase);
                format!("job {id} attempt {attempt} {hold:?} begin {:?} {phase:?}\n", job.begin)
            })
            .collect();
        for (at, host) in self.hosts.iter().enumerate().filter(|(_, host)| !host.is_clean()) {
            text.push_str(&format!("n{at}: {}\n", host.left()));
        }
        for node in self.truth.nodes.values() {
            text.push_str(&format!("{} {:?} drain {}\n", node.name, node.availability, node.drain));
        }
        for (at, one) in self.controllers.iter().enumerate() {
            text.push_str(&format!(
                "ctl{at} alive {} term {} log {} durable {} commit {} applied {} of {}, leads {}\n",
                one.alive,
                one.term,
                one.log.last(),
                one.durable,
                one.commit,
                one.applied,
                self.chain.len(),
                one.lead.is_some()
            ));
        }
        text.push_str(&format!("{:?}\n", self.wanted));
        text.push_str(&format!("user done: {}\n", self.user.is_done()));
        text
    }

    pub(super) fn check_end(&self) {
        for (request, job) in &self.user.acknowledged {
            let logged = self.witness.submitted.get(job) == Some(&Some(*request));
            assert!(logged, "job {job} was acknowledged and is not in the log");
        }
        self.truth.check();
        for one in &self.controllers {
            assert!(one.state == self.truth, "a replica differs from the log");
        }
        for node in self.truth.nodes.values() {
            assert_eq!(node.jobs, 0, "node {} holds what nobody has", node.name);
        }
        let logged = &self.witness.logged;
        let unended = self.witness.started.keys().find(|run| !logged.contains_key(run));
        assert_eq!(unended, None, "a run has no end");
    }
}
