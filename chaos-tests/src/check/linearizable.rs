//! Each job's answers are those of one job, without a look at the log.
//!
//! A second opinion, from what clients were told alone: were the log itself wrong, or a checker
//! that trusts it, this one would still see it. Sources: Wing and Gong, "Testing and Verifying
//! Concurrent Objects" (1993), with Lowe's memo of what was reached before ("Testing for
//! Linearizability", 2017). Linearizability is local (Herlihy and Wing, theorem 1), so the history
//! is taken apart by job. What is not known to have happened may happen at any time after it was
//! asked, or never.
//!
//! A job also moves by itself (it is given nodes, it runs, it ends), which clients only see: see
//! [`model`].

mod model;

use std::collections::{BTreeMap, HashSet};

use super::{Facts, Findings};
use crate::record::{Call, Nanos, Operation, Outcome};
use model::Model;

/// More of one job are not searched: it would take too long where they overlap.
const MOST: usize = 2_000;

/// How many ways are tried before a job is given up. It is told, not passed over.
const TRIES: usize = 1_000_000;

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let mut jobs: BTreeMap<u32, Vec<&Operation>> = BTreeMap::new();
    for operation in &facts.record.operations {
        if let Some(job) = key(operation) {
            jobs.entry(job).or_default().push(operation);
        }
    }
    for (job, mut operations) in jobs {
        operations.sort_by_key(|operation| operation.start);
        operations.truncate(MOST);
        let made = operations.iter().any(|one| matches!(one.call, Call::Submit { .. }));
        match search(&operations, Model::before(made)) {
            Found::Order => findings.counted += operations.len() as u64,
            Found::Nothing { stuck } => {
                let Operation { client, call, outcome, end, .. } = operations[stuck];
                findings.add(*end, format!(
                    "job {job}: no order explains all answers; the first that fits none is that to \
                     {client}, {call:?}: {outcome:?}"
                ));
            }
            // Not counted: nothing was proven of it.
            Found::TooMany => {}
        }
    }
    findings
}

/// The job that an operation is about.
fn key(operation: &Operation) -> Option<u32> {
    match (&operation.call, &operation.outcome) {
        (Call::Submit { .. }, Outcome::Submitted { job }) => Some(*job),
        // Of which job, nobody knows; and no question says that it was not there before.
        (Call::Submit { .. } | Call::List, _) => None,
        // A question without an answer says nothing.
        (Call::Query { .. }, Outcome::Unknown { .. }) => None,
        (
            Call::Cancel { job }
            | Call::Hold { job }
            | Call::Release { job }
            | Call::Requeue { job }
            | Call::Update { job, .. }
            | Call::Query { job },
            _,
        ) => Some(*job),
    }
}

enum Found {
    Order,
    /// The operation beyond which no order came.
    Nothing {
        stuck: usize,
    },
    TooMany,
}

/// A way that was tried: which operations took effect, and what the job was then.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Way {
    /// All before this one are done.
    first: usize,
    /// Those behind it that are done, too.
    ahead: Vec<usize>,
    model: Model,
}

impl Way {
    fn has(&self, at: usize) -> bool {
        at < self.first || self.ahead.contains(&at)
    }

    fn with(&self, at: usize, model: Model) -> Self {
        let mut ahead = self.ahead.clone();
        let place = ahead.partition_point(|one| *one < at);
        ahead.insert(place, at);
        let mut first = self.first;
        while ahead.first() == Some(&first) {
            ahead.remove(0);
            first += 1;
        }
        Self { first, ahead, model }
    }
}

/// When an operation must have taken effect at the latest; never, where nobody knows that it did.
fn deadline(operation: &Operation) -> Nanos {
    if is_open(operation) { Nanos::MAX } else { operation.end }
}

fn is_open(operation: &Operation) -> bool {
    matches!(operation.outcome, Outcome::Unknown { .. })
}

/// Depth first. Next may come whatever began before the first end of those that are left.
fn search(operations: &[&Operation], model: Model) -> Found {
    let start = Way { first: 0, ahead: vec![], model };
    let mut known = HashSet::from([start.clone()]);
    let (mut stack, mut stuck) = (vec![start], 0);
    while let Some(way) = stack.pop() {
        let left = |at: &usize| !way.has(*at);
        let open: Vec<usize> = (way.first..operations.len()).filter(left).collect();
        if open.iter().all(|at| is_open(operations[*at])) {
            return Found::Order;
        }
        let first_end = open.iter().map(|at| deadline(operations[*at])).min();
        let first_end = first_end.unwrap_or(Nanos::MAX);
        let due = open.iter().copied().find(|at| deadline(operations[*at]) == first_end);
        stuck = stuck.max(due.unwrap_or(0));
        let now = open.partition_point(|at| operations[*at].start <= first_end);
        // The earliest is tried first: it is put last.
        for &at in open[..now].iter().rev() {
            let Some(model) = way.model.after(operations[at]) else { continue };
            let next = way.with(at, model);
            if known.insert(next.clone()) {
                stack.push(next);
            }
        }
        if known.len() > TRIES {
            return Found::TooMany;
        }
    }
    Found::Nothing { stuck }
}
