//! Arrays, and what is done to their tasks: asked for at random, and checked against what happened.

use std::collections::{BTreeMap, BTreeSet};

use common::{
    id::JobId,
    job::{JobChanges, TaskSet},
    machine::{Entry, Event, TaskAct},
};

use super::{user::Want, world::World};

/// Which tasks have become jobs, and how many run, from the events alone.
#[derive(Debug, Default)]
pub(super) struct Arrays {
    limits: BTreeMap<JobId, Option<u32>>,
    left: BTreeMap<JobId, TaskSet>,
    array_of: BTreeMap<JobId, JobId>,
    with_nodes: BTreeSet<JobId>,
}

impl Arrays {
    pub(super) fn entry(&mut self, entry: &Entry) {
        for event in &entry.events {
            self.event(event);
        }
    }

    fn event(&mut self, event: &Event) {
        if let Event::JobSubmitted { job, spec, .. } = event
            && let Some(asked) = &spec.array
        {
            self.limits.insert(*job, asked.limit);
            self.left.insert(*job, asked.tasks.clone());
        }
        if let Event::TaskSplit { array, index, job } = event {
            let left = self.left.get_mut(array).expect("an array was submitted before");
            assert!(left.remove(*index), "task {index} of {array} is made a job twice");
            assert_eq!(left.is_empty(), job == array, "the last task has the array's number");
            self.array_of.insert(*job, *array);
        }
        if let Event::TasksCancelled { array, tasks, .. } = event {
            let left = self.left.get_mut(array).expect("an array was submitted before");
            for task in tasks.iter() {
                assert!(left.remove(task), "task {task} of {array} does not wait");
            }
        }
        if let Event::JobUpdated { job, changes } = event
            && let Some(limit) = changes.array_limit
        {
            let array = self.array_of.get(job).unwrap_or(job);
            self.limits.insert(*array, Some(limit).filter(|limit| *limit > 0));
        }
        if let Event::JobAllocated { job, .. } = event {
            let stands = self.left.get(job).is_some_and(|left| !left.is_empty());
            assert!(!stands, "{job} starts, and stands for tasks that wait");
            self.with_nodes.insert(*job);
            self.check_limit(*job);
        }
        if let Event::JobEnded { job, .. } | Event::JobRequeued { job, .. } = event {
            self.with_nodes.remove(job);
        }
    }

    fn check_limit(&self, job: JobId) {
        let Some(array) = self.array_of.get(&job) else { return };
        let Some(Some(limit)) = self.limits.get(array) else { return };
        let of = |one: &&JobId| self.array_of.get(one) == Some(array);
        let running = self.with_nodes.iter().filter(of).count();
        assert!(running <= *limit as usize, "{running} tasks of {array} run, of at most {limit}");
    }
}

impl World {
    pub(super) fn some_array(&mut self) -> String {
        let last = 1 + self.random.below(6);
        match self.random.below(3) {
            0 => format!("0-{last}"),
            1 => format!("0-{last}%{}", 1 + self.random.below(3)),
            _ => format!("1-{}:2", last + 1),
        }
    }

    /// Something to do to tasks of an array that is there.
    pub(super) fn something_with_tasks(&mut self) -> Option<Want> {
        let arrays: Vec<JobId> = self.truth.arrays.keys().copied().collect();
        if arrays.is_empty() {
            return None;
        }
        let array = arrays[self.random.index(arrays.len())];
        let tasks = match self.random.below(3) {
            0 => None,
            1 => Some(self.random.below(6).to_string()),
            _ => Some("0-1,3".to_owned()),
        };
        let limit = u32::try_from(self.random.below(3)).expect("small");
        let changes = JobChanges { array_limit: Some(limit), ..JobChanges::default() };
        let act = match self.random.below(8) {
            0 | 1 => TaskAct::Cancel { signal: None },
            2 => TaskAct::Hold { admin: false },
            3 | 4 => TaskAct::Release,
            5 | 6 => TaskAct::Requeue { hold: false },
            _ => TaskAct::Update { changes: Box::new(changes) },
        };
        Some(Want::Tasks { array, tasks, act })
    }
}
