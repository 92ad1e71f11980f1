//! What a pass looked at, where priorities come from factors: a job's place in its queue is worked
//! out, and moves as time passes.

use std::collections::BTreeMap;

use common::{
    config::Priority,
    id::PartitionName,
    job::Job,
    machine::{QueueKey, State},
    time::Timestamp,
};
use imbl::ordmap::DiffItem;
use sched::{Plan, Ranks};

/// See the module.
pub(super) struct Ranked {
    ranks: Ranks,
    /// As far as it has been looked at again.
    seen: State,
    closed: BTreeMap<PartitionName, QueueKey>,
    until: Timestamp,
}

/// When jobs that wait may stand in another order, though nothing has happened; none where they
/// never do.
pub(super) fn until(state: &State, now: Timestamp) -> Option<Timestamp> {
    let priority = state.config.as_deref().and_then(Priority::of)?;
    Some(now + priority.calc_period)
}

impl Ranked {
    /// None where the order of submission counts.
    pub(super) fn of(state: &State, plan: &Plan, now: Timestamp) -> Option<Self> {
        let (ranks, until) = (Ranks::of(state, now)?, until(state, now)?);
        Some(Self { ranks, seen: state.clone(), closed: plan.closed.clone(), until })
    }

    /// Whether nothing has changed of what was looked at. Costs what has changed since it was last
    /// asked.
    pub(super) fn still_holds(&mut self, state: &State, now: Timestamp) -> bool {
        if now >= self.until || !self.seen.arrays.ptr_eq(&state.arrays) {
            return false;
        }
        let Self { ranks, closed, .. } = self;
        let mut behind = |job: &Job| {
            // A component stands in no queue, and may be what its leader waits for.
            let counts = job.is_led() && job.is_pending();
            !counts
                && job.partition.each().all(|partition| {
                    let Some(key) = ranks.key(job, partition) else { return true };
                    closed.get(&PartitionName::from(partition)).is_some_and(|last| key > *last)
                })
        };
        let same = self.seen.jobs.ptr_eq(&state.jobs)
            || self.seen.jobs.diff(&state.jobs).all(|item| match item {
                DiffItem::Add(_, job) | DiffItem::Remove(_, job) => behind(job),
                DiffItem::Update { old, new } => behind(old.1) && behind(new.1),
            });
        if same {
            self.seen = state.clone();
        }
        same
    }
}
