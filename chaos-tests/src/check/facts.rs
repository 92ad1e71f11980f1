//! A record, prepared: the log decoded, what happened where in it, and when at most and at least.
//!
//! The log's entries carry the leader's wall clock, which faults move. So the moment of an entry is
//! bounded by what others saw instead: it was committed before any watcher saw it, and before the
//! answer to its request; and not before its request was made.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

use common::{
    id::{Attempt, JobId, RequestId},
    job::{End, Place, Requeue},
    machine::{Entry, Event, State},
    node::Availability,
};

use crate::record::{Call, Fault, Moment, Nanos, Operation, Outcome, Record, Witness};

/// A second, in nanoseconds.
pub(super) const SECOND: Nanos = 1_000_000_000;

/// An entry of the log.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) index: u64,
    pub(super) entry: Entry,
}

/// A run of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RunId {
    pub(super) job: u32,
    pub(super) attempt: u32,
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "job {} run {}", self.job, self.attempt)
    }
}

/// How the log ends a run.
#[derive(Clone, Debug)]
pub(super) struct Over {
    /// Its place in the log.
    pub(super) position: usize,
    pub(super) end: Option<End>,
    pub(super) requeue: Option<Requeue>,
}

/// What the log says of a run.
#[derive(Clone, Debug)]
pub(super) struct Ran {
    /// The place of its allocation in the log.
    pub(super) allocated: usize,
    pub(super) places: Vec<Place>,
    /// More than one are a violation.
    pub(super) over: Vec<Over>,
}

impl Ran {
    /// The node that runs the batch script.
    pub(super) fn batch_host(&self) -> &str {
        self.places.first().map_or("", |place| place.node.as_str())
    }

    pub(super) fn cpus(&self) -> u32 {
        self.places.iter().map(|place| place.held.cpus).sum()
    }
}

/// What witnesses say of a run on one node.
#[derive(Clone, Debug)]
pub(super) struct Seen<'a> {
    pub(super) node: &'a str,
    pub(super) run: RunId,
    pub(super) pid: u32,
    pub(super) begin: &'a Witness,
    /// The last that is known of it.
    pub(super) last: &'a Witness,
}

impl Seen<'_> {
    pub(super) fn has_ended(&self) -> bool {
        self.last.moment == Moment::End
    }
}

pub(super) struct Facts<'a> {
    pub(super) record: &'a Record,
    /// By controller.
    pub(super) logs: BTreeMap<&'a str, Vec<Fact>>,
    /// The longest of them.
    pub(super) log: Vec<Fact>,
    /// Request → its places in the log; more than one are a violation.
    pub(super) requests: HashMap<RequestId, Vec<usize>>,
    /// Job → the places of its submission.
    pub(super) submitted: BTreeMap<u32, Vec<usize>>,
    pub(super) ran: BTreeMap<RunId, Ran>,
    /// In the order of their beginnings.
    pub(super) seen: Vec<Seen<'a>>,
    /// For each place in the log: not before, and not after.
    bounds: Vec<(Nanos, Nanos)>,
}

impl<'a> Facts<'a> {
    pub(super) fn read(record: &'a Record) -> Result<Self, String> {
        let mut logs = BTreeMap::new();
        for (controller, lines) in &record.logs {
            let mut log = Vec::with_capacity(lines.len());
            for (number, line) in lines.iter().enumerate() {
                let wrong = |error| format!("log of {controller}, line {}: {error}", number + 1);
                log.push(Fact { index: line.index, entry: line.decode().map_err(wrong)? });
            }
            logs.insert(controller.as_str(), log);
        }
        let longest = logs.values().max_by_key(|log| log.len()).cloned();
        let log: Vec<Fact> = longest.ok_or("no controller has given its log")?;
        let mut facts = Self {
            record,
            requests: requests(&log),
            submitted: submitted(&log),
            ran: ran(&log),
            seen: seen(record)?,
            bounds: vec![(0, Nanos::MAX); log.len()],
            logs,
            log,
        };
        facts.bound();
        Ok(facts)
    }

    /// The moment before which the entry was certainly not yet in the log.
    pub(super) fn not_before(&self, position: usize) -> Nanos {
        self.bounds[position].0
    }

    /// The moment after which the entry was certainly in the log, and told.
    pub(super) fn not_after(&self, position: usize) -> Nanos {
        self.bounds[position].1
    }

    /// The place of the operation's entry.
    pub(super) fn position(&self, operation: &Operation) -> Option<usize> {
        let request = operation.request.as_ref()?.parse().ok()?;
        self.requests.get(&request)?.first().copied()
    }

    fn bound(&mut self) {
        let record = self.record;
        for operation in &record.operations {
            let Some(position) = self.position(operation) else { continue };
            let bound = &mut self.bounds[position];
            bound.0 = bound.0.max(operation.start);
            if !matches!(operation.outcome, Outcome::Unknown { .. }) {
                bound.1 = bound.1.min(operation.end);
            }
        }
        let mut last: HashMap<u64, usize> = HashMap::new();
        for (position, fact) in self.log.iter().enumerate() {
            last.insert(fact.index, position);
        }
        for watched in record.watches.values().flatten() {
            if let Some(position) = last.get(&watched.index) {
                let bound = &mut self.bounds[*position];
                bound.1 = bound.1.min(watched.seen);
            }
        }
        // What stands before in the log came before.
        let mut earliest = 0;
        for bound in &mut self.bounds {
            earliest = earliest.max(bound.0);
            bound.0 = earliest;
        }
        let mut latest = record.run.phases.ended;
        for bound in self.bounds.iter_mut().rev() {
            latest = latest.min(bound.1);
            bound.1 = latest;
        }
    }

    /// The faults that something happened to from `from` to `to`, those that end there included.
    pub(super) fn faults(&self, from: Nanos, to: Nanos) -> impl Iterator<Item = &'a Fault> {
        let overlaps =
            move |fault: &&Fault| fault.from <= to && fault.to.is_none_or(|healed| healed >= from);
        self.record.faults.iter().filter(overlaps)
    }

    /// Whether anything was done to `host` or to what it sends and is sent in that time.
    pub(super) fn touched(&self, host: &str, from: Nanos, to: Nanos) -> bool {
        self.faults(from, to).any(|fault| touches(fault, host))
    }

    /// Follows the log with the reference model, and shows the state before each entry. Ends with
    /// the last state.
    ///
    /// # Errors
    /// Where the model can't follow, and why.
    pub(super) fn replay(
        &self,
        mut look: impl FnMut(usize, &State, &Entry),
    ) -> Result<State, String> {
        let mut state = State::default();
        for (position, Fact { index, entry }) in self.log.iter().enumerate() {
            if !state.precedes(entry) {
                return Err(format!("entry {index} (sequence {}) is void", entry.sequence));
            }
            look(position, &state, entry);
            follow(&mut state, entry).map_err(|why| format!("entry {index}: {why}"))?;
        }
        Ok(state)
    }

    /// The names of all jobs that clients submitted.
    pub(super) fn names(&self) -> HashSet<&'a str> {
        let name = |operation: &'a Operation| match &operation.call {
            Call::Submit { name, .. } => Some(name.as_str()),
            Call::Cancel { .. }
            | Call::Hold { .. }
            | Call::Release { .. }
            | Call::Requeue { .. }
            | Call::Update { .. }
            | Call::Query { .. }
            | Call::List => None,
        };
        self.record.operations.iter().filter_map(name).collect()
    }

    /// All events with their places in the log.
    pub(super) fn events(&self) -> impl Iterator<Item = (usize, &Event)> {
        self.log.iter().enumerate().flat_map(|(position, fact)| {
            fact.entry.events.iter().map(move |event| (position, event))
        })
    }

    /// The places where the log says that a node is not up any more.
    pub(super) fn losses(&self, node: &str) -> impl Iterator<Item = usize> {
        let lost = move |event: &Event| {
            matches!(event, Event::NodeChanged { node: name, change }
                if name.as_str() == node && change.availability != Availability::Up)
        };
        self.events().filter(move |(_, event)| lost(event)).map(|(position, _)| position)
    }
}

/// Applies an entry; what stops a replica is an error here.
pub(super) fn follow(state: &mut State, entry: &Entry) -> Result<(), String> {
    let applied = catch_unwind(AssertUnwindSafe(|| state.apply(entry)));
    applied.map_err(|panic| said(panic.as_ref()))
}

/// What a panic said.
pub(super) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}

/// Request → places of the entries that answer it.
fn requests(log: &[Fact]) -> HashMap<RequestId, Vec<usize>> {
    let mut requests: HashMap<RequestId, Vec<usize>> = HashMap::new();
    for (position, fact) in log.iter().enumerate() {
        if let Some(answered) = &fact.entry.request {
            requests.entry(answered.request).or_default().push(position);
        }
    }
    requests
}

fn submitted(log: &[Fact]) -> BTreeMap<u32, Vec<usize>> {
    let mut submitted: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (position, fact) in log.iter().enumerate() {
        for event in &fact.entry.events {
            if let Event::JobSubmitted { job, .. } = event {
                submitted.entry(job.0).or_default().push(position);
            }
        }
    }
    submitted
}

fn id(job: JobId, attempt: Attempt) -> RunId {
    RunId { job: job.0, attempt: attempt.0 }
}

fn ran(log: &[Fact]) -> BTreeMap<RunId, Ran> {
    let mut ran: BTreeMap<RunId, Ran> = BTreeMap::new();
    for (position, fact) in log.iter().enumerate() {
        for event in &fact.entry.events {
            if let Event::JobAllocated { job, attempt, places, .. } = event {
                let places = places.clone();
                let fresh = Ran { allocated: position, places, over: vec![] };
                ran.entry(id(*job, *attempt)).or_insert(fresh);
            }
            // A pending job has no run that could end.
            if let Event::JobEnded { job, attempt, end } = event
                && let Some(ran) = ran.get_mut(&id(*job, *attempt))
            {
                ran.over.push(Over { position, end: Some(end.clone()), requeue: None });
            }
            // One that has ended may be made to run again: that is no second end.
            if let Event::JobRequeued { job, attempt, requeue, end } = event
                && let Some(ran) = ran.get_mut(&id(*job, *attempt))
                && ran.over.last().is_none_or(|over| over.requeue.is_some())
            {
                ran.over.push(Over { position, end: end.clone(), requeue: Some(*requeue) });
            }
        }
    }
    ran
}

/// What witnesses say, put together: a process is one run, from its first line to its last.
fn seen(record: &Record) -> Result<Vec<Seen<'_>>, String> {
    let mut all = Vec::new();
    for (node, witnesses) in &record.witnesses {
        let mut runs: BTreeMap<(RunId, u32), Seen> = BTreeMap::new();
        for witness in witnesses {
            let run = RunId { job: witness.job, attempt: witness.attempt };
            let key = (run, witness.pid);
            if let Some(seen) = runs.get_mut(&key) {
                seen.last = if witness.at >= seen.last.at { witness } else { seen.last };
                seen.begin = if witness.at < seen.begin.at { witness } else { seen.begin };
            } else {
                let (begin, last, pid) = (witness, witness, witness.pid);
                runs.insert(key, Seen { node, run, pid, begin, last });
            }
        }
        let headless = runs.values().find(|seen| seen.begin.moment != Moment::Begin);
        if let Some(Seen { run, pid, .. }) = headless {
            return Err(format!("witness of {node}: process {pid} of {run} never began"));
        }
        all.extend(runs.into_values());
    }
    all.sort_by_key(|seen| seen.begin.at);
    Ok(all)
}

/// Whether the fault is done to `host`, or to one of its links.
pub(super) fn touches(fault: &Fault, host: &str) -> bool {
    let on_link = fault.kind.pairs().iter().any(|(one, other)| one == host || other == host);
    on_link || fault.on.iter().any(|on| on == host)
}
