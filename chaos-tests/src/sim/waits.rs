//! What jobs wait for of each other: asked for at random, and checked against what happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use common::{
    id::JobId,
    job::{Dependency, EndState, On, Relation},
    machine::{Entry, Event},
    time::{Span, Timestamp},
};

use super::world::World;

/// The name of the jobs that want to be the only ones that run.
pub(super) const ALONE: &str = "alone";

/// What happened to jobs, from the events of starts and ends alone: of what the log says became of
/// conditions, nothing is believed.
#[derive(Debug, Default)]
pub(super) struct Happened {
    asked: BTreeMap<JobId, Arc<Dependency>>,
    names: BTreeMap<JobId, String>,
    began: BTreeMap<JobId, Timestamp>,
    /// The first end in each way.
    ended: BTreeMap<(JobId, bool), Timestamp>,
    active: BTreeSet<JobId>,
}

impl Happened {
    pub(super) fn entry(&mut self, entry: &Entry) {
        for event in &entry.events {
            self.event(entry.at, event);
        }
    }

    fn event(&mut self, at: Timestamp, event: &Event) {
        if let Event::JobSubmitted { job, spec, .. } = event {
            self.asked.extend(spec.dependency.clone().map(|asked| (*job, asked)));
            self.names.insert(*job, spec.name.clone());
        }
        if let Event::JobUpdated { job, changes } = event
            && let Some(asked) = &changes.dependency
        {
            self.asked.insert(*job, Arc::clone(asked));
        }
        if let Event::JobAllocated { job, .. } = event {
            self.check(*job, at);
            self.began.entry(*job).or_insert(at);
            self.active.insert(*job);
        }
        if let Event::JobRequeued { job, .. } = event {
            self.active.remove(job);
        }
        if let Event::JobEnded { job, end, .. } = event {
            self.active.remove(job);
            let well = end.state == EndState::Completed;
            self.ended.entry((*job, well)).or_insert(end.at);
        }
    }

    fn check(&self, job: JobId, at: Timestamp) {
        let Some(asked) = self.asked.get(&job).filter(|asked| !asked.conditions.is_empty()) else {
            return;
        };
        let mut met = asked.conditions.iter().map(|condition| self.is_met(job, condition.on, at));
        let met = if asked.any { met.any(|met| met) } else { met.all(|met| met) };
        assert!(met, "job {job} starts, and waits for {asked}");
    }

    fn is_met(&self, job: JobId, on: On, at: Timestamp) -> bool {
        let On::Job { relation, job: parent, delay, .. } = on else {
            let mut others = self.active.iter().filter(|other| **other != job);
            return !others.any(|other| self.names.get(other) == self.names.get(&job));
        };
        let ended = |well| self.ended.get(&(parent, well)).copied();
        let any = [ended(true), ended(false)].into_iter().flatten().min();
        let since = match relation {
            // One that was cancelled before it began counts from then on, though it comes back.
            Relation::After => self.began.get(&parent).copied().into_iter().chain(any).min(),
            Relation::AfterAny => any,
            Relation::AfterOk | Relation::AfterCorr => ended(true),
            Relation::AfterNotOk => ended(false),
        };
        since.is_some_and(|since| since + Span::from_seconds(60 * u64::from(delay)) <= at)
    }
}

impl World {
    /// What the next job is to wait for, as `--dependency` says it; most wait for nothing.
    pub(super) fn something_to_wait_for(&mut self) -> Option<String> {
        let mut jobs: Vec<JobId> = self.truth.jobs.keys().copied().collect();
        if jobs.is_empty() || !self.random.chance(300) {
            return None;
        }
        // The younger, the likelier: most of the old ones are over.
        jobs.drain(..jobs.len().saturating_sub(8));
        let mut conditions = Vec::new();
        for _ in 0..=self.random.below(3) {
            let job = jobs[self.random.index(jobs.len())];
            conditions.push(match self.random.below(12) {
                0..2 => "singleton".to_owned(),
                2..4 => format!("after:{job}"),
                4 => format!("after:{job}+1"),
                5..8 => format!("afterok:{job}"),
                8..10 => format!("afternotok:{job}"),
                _ => format!("afterany:{job}"),
            });
        }
        Some(conditions.join(if self.random.chance(300) { "?" } else { "," }))
    }
}
