//! What jobs wait for of each other: asked for at random, and checked against what happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use common::{
    id::JobId,
    job::{Dependency, End, EndState, On, Relation, Task, TaskSet},
    machine::{Entry, Event},
    time::{Span, Timestamp},
};

use super::world::World;

/// The name of the jobs that want to be the only ones that run.
pub(super) const ALONE: &str = "alone";

/// A job, or a task of an array, whether it has a job of its own by now or not.
type Place = (JobId, Option<u32>);

/// What happened to jobs, from the events of starts and ends alone: of what the log says became of
/// conditions, nothing is believed.
#[derive(Debug, Default)]
pub(super) struct Happened {
    asked: BTreeMap<JobId, Arc<Dependency>>,
    names: BTreeMap<JobId, String>,
    /// Of arrays: all tasks that were asked for, and those that have no job of their own.
    tasks: BTreeMap<JobId, TaskSet>,
    left: BTreeMap<JobId, TaskSet>,
    place: BTreeMap<JobId, Place>,
    began: BTreeMap<Place, Timestamp>,
    /// The first end in each way.
    ended: BTreeMap<(Place, bool), Timestamp>,
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
            if let Some(array) = &spec.array {
                self.tasks.insert(*job, array.tasks.clone());
                self.left.insert(*job, array.tasks.clone());
            }
        }
        if let Event::JobUpdated { job, changes } = event
            && let Some(asked) = &changes.dependency
        {
            self.asked.insert(*job, Arc::clone(asked));
        }
        if let Event::TaskSplit { array, index, job } = event {
            self.split(*array, *index, *job);
        }
        if let Event::TasksCancelled { array, tasks, end } = event {
            let left = self.left.get_mut(array).expect("an array was submitted before");
            *left = left.without(tasks);
            self.end(*array, tasks, end);
        }
        if let Event::JobAllocated { job, .. } = event {
            self.check(*job, at);
            self.began.entry(self.place(*job)).or_insert(at);
            self.active.insert(*job);
        }
        if let Event::JobRequeued { job, .. } = event {
            self.active.remove(job);
        }
        if let Event::JobEnded { job, end, .. } = event {
            self.active.remove(job);
            let (array, index) = self.place(*job);
            let tasks = match self.left.get(job).filter(|left| !left.is_empty()) {
                Some(left) => left.clone(),
                None => index.map_or_else(TaskSet::default, TaskSet::one),
            };
            self.end(array, &tasks, end);
        }
    }

    fn split(&mut self, array: JobId, index: u32, job: JobId) {
        self.left.get_mut(&array).expect("an array was submitted before").remove(index);
        self.place.insert(job, (array, Some(index)));
        if let Some(asked) = self.asked.get(&array) {
            self.asked.insert(job, Arc::clone(asked));
        }
        self.names.insert(job, self.names[&array].clone());
    }

    /// Of an array, so many of its tasks; else the job has none.
    fn end(&mut self, job: JobId, tasks: &TaskSet, end: &End) {
        let well = end.state == EndState::Completed;
        let of_array = tasks.iter().map(|task| (job, Some(task)));
        let single = tasks.is_empty().then_some((job, None));
        for place in of_array.chain(single) {
            self.ended.entry((place, well)).or_insert(end.at);
        }
    }

    fn place(&self, job: JobId) -> Place {
        self.place.get(&job).copied().unwrap_or((job, None))
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
        let On::Job { relation, job: parent, task, delay } = on else {
            let (own, _) = self.place(job);
            let mut others = self.active.iter().filter(|other| self.place(**other).0 != own);
            return !others.any(|other| self.names.get(other) == self.names.get(&job));
        };
        let since = match task {
            None => self.since(relation, self.place(parent)),
            Some(Task::One(task)) => self.since(relation, (parent, Some(task))),
            Some(Task::All) => self.since_all(relation, parent, self.place(job).1),
        };
        since.is_some_and(|since| since + Span::from_seconds(60 * u64::from(delay)) <= at)
    }

    fn since(&self, relation: Relation, place: Place) -> Option<Timestamp> {
        let ended = |well| self.ended.get(&(place, well)).copied();
        let any = [ended(true), ended(false)].into_iter().flatten().min();
        match relation {
            // One that was cancelled before it began counts from then on, though it comes back.
            Relation::After => self.began.get(&place).copied().into_iter().chain(any).min(),
            Relation::AfterAny => any,
            Relation::AfterOk | Relation::AfterCorr => ended(true),
            Relation::AfterNotOk => ended(false),
        }
    }

    /// Since when all tasks of an array are that far, or the one that has the number `own`.
    fn since_all(&self, relation: Relation, array: JobId, own: Option<u32>) -> Option<Timestamp> {
        let tasks = self.tasks.get(&array)?;
        let all = |relation| {
            let each = tasks.iter().map(|task| self.since(relation, (array, Some(task))));
            each.collect::<Option<Vec<_>>>()?.into_iter().max()
        };
        match (relation, own) {
            (Relation::AfterCorr, Some(own)) if tasks.contains(own) => {
                self.since(relation, (array, Some(own)))
            }
            // It has no counterpart.
            (Relation::AfterCorr, Some(_)) => all(Relation::AfterAny),
            (Relation::AfterNotOk, _) => {
                let bad = |task| self.since(relation, (array, Some(task)));
                tasks.iter().find_map(bad).and(all(Relation::AfterAny))
            }
            (Relation::After | Relation::AfterAny | Relation::AfterOk | Relation::AfterCorr, _) => {
                all(relation)
            }
        }
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
            let of_array = self.truth.arrays.contains_key(&job);
            conditions.push(match self.random.below(12) {
                0..2 => "singleton".to_owned(),
                2..4 => format!("after:{job}"),
                4 => format!("after:{job}+1"),
                5 if of_array => format!("aftercorr:{job}"),
                6 if of_array => format!("afterany:{job}_1"),
                5..8 => format!("afterok:{job}"),
                8..10 => format!("afternotok:{job}"),
                _ => format!("afterany:{job}"),
            });
        }
        Some(conditions.join(if self.random.chance(300) { "?" } else { "," }))
    }
}
