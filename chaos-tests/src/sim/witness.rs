//! What was seen, by whoever can't be fooled: the jobs' own marks, and the log itself.

use std::collections::{BTreeMap, BTreeSet};

use common::{
    id::{Attempt, JobId, RequestId},
    job::{EndState, Phase},
    machine::{Answer, Entry, Event},
};
use node::run::RunId;

use super::{controller::node_name, network::Place, world::World};

#[derive(Debug, Default)]
pub(super) struct Witness {
    /// How many entries the truth has followed.
    pub(super) followed: usize,
    /// The latest term that some controller has led.
    pub(super) led: u64,
    /// Streams on which nothing comes any more.
    pub(super) broken: BTreeSet<u64>,
    /// When the last message of each direction of a stream arrives.
    pub(super) arrivals: BTreeMap<(u64, Place), u64>,
    allocated: BTreeMap<RunId, String>,
    ended: BTreeMap<RunId, EndState>,
    submitted: BTreeMap<JobId, Option<RequestId>>,
    requests: BTreeMap<RequestId, JobId>,
    started: BTreeMap<RunId, usize>,
}

impl Witness {
    pub(super) fn launches(&self) -> usize {
        self.started.len()
    }

    /// An entry is committed.
    pub(super) fn entry(&mut self, entry: &Entry, _now: u64) {
        if let Some(answered) = &entry.request
            && let Answer::Job(job) = answered.answer
        {
            let before = self.requests.insert(answered.request, job);
            assert!(before.is_none(), "request {} made two jobs", answered.request);
        }
        for event in &entry.events {
            self.event(entry, event);
        }
    }

    fn event(&mut self, entry: &Entry, event: &Event) {
        if let Event::JobSubmitted { job, .. } = event {
            let request = entry.request.map(|answered| answered.request);
            let before = self.submitted.insert(*job, request);
            assert!(before.is_none(), "job id {job} is given twice");
        }
        if let Event::JobAllocated { job, attempt, places, .. } = event {
            let run = RunId { job: *job, attempt: *attempt };
            let before = self.allocated.insert(run, places[0].node.to_string());
            assert!(before.is_none(), "{run} is allocated twice");
        }
        if let Event::JobEnded { job, attempt, end } = event {
            self.end(*job, *attempt, end.state);
        }
        if let Event::JobRequeued { job, attempt, end, .. } = event {
            let state = end.as_ref().map_or(EndState::Cancelled, |end| end.state);
            // A job that had ended may be requeued: its run has its end already.
            let run = RunId { job: *job, attempt: *attempt };
            self.ended.remove(&run);
            self.end(*job, *attempt, state);
        }
    }

    fn end(&mut self, job: JobId, attempt: Attempt, state: EndState) {
        let run = RunId { job, attempt };
        let before = self.ended.insert(run, state);
        assert!(before.is_none(), "{run} ends twice");
    }

    /// A script starts: it makes its mark.
    pub(super) fn started(&mut self, run: RunId, node: usize, _now: u64) {
        let before = self.started.insert(run, node);
        assert!(before.is_none(), "{run} runs twice: on n{before:?} and on n{node}");
        let allocated = self.allocated.get(&run);
        assert_eq!(allocated, Some(&node_name(node)), "{run} runs where it was not allocated");
        let end = self.ended.get(&run);
        assert!(
            end.is_none_or(|end| *end == EndState::NodeFail),
            "{run} starts after it ended: {end:?}"
        );
    }
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
                .all(|one| one.alive && one.applied == self.raft.committed.len())
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
        text.push_str(&format!("user done: {}\n", self.user.is_done()));
        text
    }

    pub(super) fn check_end(&self) {
        for (request, job) in &self.user.acknowledged {
            let logged = self.witness.submitted.get(job);
            assert_eq!(logged, Some(&Some(*request)), "acknowledged job {job} is lost");
        }
        for one in &self.controllers {
            assert_eq!(one.state, self.truth, "a replica differs from the log");
        }
        for node in self.truth.nodes.values() {
            assert_eq!(node.jobs, 0, "node {} holds what nobody has", node.name);
        }
        let unended = self.witness.started.keys().find(|run| !self.witness.ended.contains_key(run));
        assert_eq!(unended, None, "a run has no end");
    }
}
