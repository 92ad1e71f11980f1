//! The arrays, and which jobs are tasks of them.

use std::sync::Arc;

use imbl::OrdMap;

use super::{State, fingerprint::Fingerprint};
use crate::{
    id::JobId,
    job::{ArrayPart, ArraySpec, EndState, Job, Phase, Progress, TaskSet},
    time::Timestamp,
};

/// What is known of an array as long as one of its jobs is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayBook {
    /// How many of its tasks may run at a time.
    pub limit: Option<u32>,
    /// Tasks that are not over, whether they have a job of their own or not.
    pub unfinished: u32,
    /// Tasks that are over, and did not end well.
    pub failed: u32,
    /// Jobs that there are of it: the one that stands for those that wait, and the tasks.
    pub jobs: u32,
    /// When the last of those that were forgotten began, or was cancelled before that.
    pub begun: Option<Timestamp>,
}

/// The jobs of arrays, by their places in them: follows from the jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tasks {
    jobs: OrdMap<JobId, OrdMap<u32, JobId>>,
    with_nodes: OrdMap<JobId, u32>,
    /// Waiting tasks that have no job of their own, but for one of each array.
    uncounted: u64,
}

/// How many more than one job a job is.
fn more_than_one(job: &Job) -> u64 {
    if job.is_pending() { u64::from(job.tasks().saturating_sub(1)) } else { 0 }
}

impl Tasks {
    pub(super) fn insert(&mut self, job: &Job) {
        self.uncounted += more_than_one(job);
        let Some(ArrayPart::Task { array, index }) = job.array else { return };
        self.jobs.entry(array).or_default().insert(index, job.id);
        if job.holding().is_some() {
            *self.with_nodes.entry(array).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, job: &Job) {
        self.uncounted -= more_than_one(job);
        let Some(ArrayPart::Task { array, index }) = job.array else { return };
        if let Some(jobs) = self.jobs.get_mut(&array) {
            jobs.remove(&index);
            if jobs.is_empty() {
                self.jobs.remove(&array);
            }
        }
        if job.holding().is_some()
            && let Some(count) = self.with_nodes.get_mut(&array)
        {
            *count -= 1;
            if *count == 0 {
                self.with_nodes.remove(&array);
            }
        }
    }

    /// The tasks of an array that have jobs of their own, by their numbers.
    pub fn of(&self, array: JobId) -> impl Iterator<Item = (u32, JobId)> + '_ {
        self.jobs.get(&array).into_iter().flatten().map(|(index, job)| (*index, *job))
    }

    #[must_use]
    pub fn get(&self, array: JobId, index: u32) -> Option<JobId> {
        self.jobs.get(&array)?.get(&index).copied()
    }
}

impl State {
    /// How many jobs there are, as `MaxJobCount` counts them: each waiting task is one, so that
    /// there is room for it once it gets a job of its own.
    #[must_use]
    pub fn job_count(&self) -> u64 {
        self.jobs.len() as u64 + self.tasks.uncounted
    }

    /// The job that stands for an array's waiting tasks, and which these are.
    #[must_use]
    pub fn waiting(&self, array: JobId) -> Option<(&Arc<Job>, &TaskSet)> {
        let job = self.jobs.get(&array)?;
        match &job.array {
            Some(ArrayPart::Waiting(tasks)) if job.is_pending() => Some((job, tasks)),
            Some(ArrayPart::Waiting(_) | ArrayPart::Task { .. }) | None => None,
        }
    }

    /// The jobs that are tasks of the array.
    pub fn tasks(&self, array: JobId) -> impl Iterator<Item = (u32, &Arc<Job>)> + '_ {
        self.tasks
            .of(array)
            .map(|(index, job)| (index, self.jobs.get(&job).expect("check: a task's job is there")))
    }

    /// How many more tasks of the job's array may start; none where nothing limits them.
    #[must_use]
    pub fn array_room(&self, job: &Job) -> Option<u32> {
        let array = job.array_id()?;
        let limit = self.arrays.get(&array)?.limit?;
        Some(limit.saturating_sub(self.tasks.with_nodes.get(&array).copied().unwrap_or(0)))
    }

    /// What was asked for as the array was submitted.
    pub(super) fn asked(&self, array: JobId) -> Option<&Arc<ArraySpec>> {
        let waits = self.jobs.get(&array);
        let job = waits.or_else(|| self.tasks(array).next().map(|(_, job)| job))?;
        job.spec.array.as_ref()
    }

    /// How far a task has come; none where nothing is known of it.
    pub(super) fn task_progress(&self, array: JobId, index: u32) -> Option<Progress> {
        if self.waiting(array).is_some_and(|(_, tasks)| tasks.contains(index)) {
            return Some(Progress::Waits);
        }
        self.tasks.get(array, index).map(|job| progress(&self.jobs[&job]))
    }

    /// How far an array has come as a whole.
    pub(super) fn array_progress(&self, array: JobId) -> Option<Progress> {
        let book = self.arrays.get(&array)?;
        if book.unfinished == 0 {
            let ends = self.tasks(array).filter_map(|(_, job)| job.end());
            let of_waiting = self.jobs.get(&array).and_then(|job| job.end());
            let ended = ends.chain(of_waiting).map(|end| end.at).max().unwrap_or(self.at);
            return Some(Progress::Over { started: None, ended, well: book.failed == 0 });
        }
        if self.waiting(array).is_some() || self.tasks(array).any(|(_, job)| job.is_pending()) {
            return Some(Progress::Waits);
        }
        let of_tasks = self.tasks(array).filter_map(|(_, job)| begun(job));
        let of_waiting = self.jobs.get(&array).and_then(|job| begun(job));
        let at = of_tasks.chain(of_waiting).chain(book.begun).max();
        Some(Progress::Started { at: at.unwrap_or(self.at) })
    }

    pub(super) fn with_array(&mut self, array: JobId, change: impl FnOnce(&mut ArrayBook)) {
        let mut book = *self.arrays.get(&array).expect("an array is there as long as its jobs");
        self.digest = self.digest.wrapping_sub(book.fingerprint(array));
        change(&mut book);
        if book.jobs == 0 {
            self.arrays.remove(&array);
            return;
        }
        self.digest = self.digest.wrapping_add(book.fingerprint(array));
        self.arrays.insert(array, book);
    }

    pub(super) fn open_array(&mut self, array: JobId, book: ArrayBook) {
        self.digest = self.digest.wrapping_add(book.fingerprint(array));
        self.arrays.insert(array, book);
    }

    /// A job of an array is forgotten, and not when it began.
    pub(super) fn forget_tasks(&mut self, job: &Job) {
        let Some(array) = job.array_id() else { return };
        self.with_array(array, |book| {
            book.jobs -= 1;
            book.begun = book.begun.max(begun(job));
        });
    }

    /// A job of an array is over: all that it stands for.
    pub(super) fn close_tasks(&mut self, job: &Job, well: bool) {
        let Some(array) = job.array_id() else { return };
        let tasks = job.tasks();
        self.with_array(array, |book| {
            book.unfinished = book.unfinished.checked_sub(tasks).expect("each task ends once");
            book.failed += if well { 0 } else { tasks };
        });
    }

    /// A job of an array that was over is to run again.
    pub(super) fn reopen_tasks(&mut self, job: &Job) {
        let Some(array) = job.array_id() else { return };
        let Phase::Ended { end, .. } = &job.phase else { return };
        let (tasks, well) = (job.tasks(), end.state == EndState::Completed);
        self.with_array(array, |book| {
            book.unfinished += tasks;
            let failed = if well { 0 } else { tasks };
            book.failed = book.failed.checked_sub(failed).expect("each that failed was counted");
        });
    }

    pub(super) fn check_arrays(&self) {
        for (array, book) in &self.arrays {
            let waiting = self.jobs.get(array).filter(|job| job.array_id() == Some(*array));
            let stands = waiting.filter(|job| matches!(job.array, Some(ArrayPart::Waiting(_))));
            let all = || self.tasks(*array).map(|(_, job)| job).chain(stands);
            assert_eq!(all().count(), book.jobs as usize, "the jobs of array {array}");
            let over = |job: &&Arc<Job>| matches!(job.phase, Phase::Ended { .. });
            let unfinished: u32 = all().filter(|job| !over(job)).map(|job| job.tasks()).sum();
            assert_eq!(unfinished, book.unfinished, "the open tasks of array {array}");
            let bad = |job: &&Arc<Job>| {
                job.end().is_some_and(|end| over(job) && end.state != EndState::Completed)
            };
            let failed: u32 = all().filter(bad).map(|job| job.tasks()).sum();
            assert!(failed <= book.failed, "the failed tasks of array {array}");
            if let Some((_, tasks)) = self.waiting(*array) {
                assert!(!tasks.is_empty(), "array {array} waits with nothing");
                let twice = self.tasks(*array).find(|(index, _)| tasks.contains(*index));
                assert!(twice.is_none(), "a task of array {array} is there twice");
            }
        }
        for job in self.jobs.values() {
            let array = job.array_id();
            assert!(array.is_none_or(|array| self.arrays.contains_key(&array)), "{}", job.id);
        }
    }
}

impl ArrayBook {
    fn fingerprint(&self, array: JobId) -> u64 {
        Fingerprint::new(4)
            .with(u64::from(array.0))
            .with(u64::from(self.limit.unwrap_or(0)))
            .with(u64::from(self.unfinished) << 32 | u64::from(self.failed))
            .with(u64::from(self.jobs))
            .with(self.begun.map_or(0, |begun| begun.0))
            .0
    }
}

/// When a job began; one that was cancelled while it waited counts from then on.
fn begun(job: &Job) -> Option<Timestamp> {
    let started = job.run().map(|run| run.started);
    started.or_else(|| job.end().map(|end| end.at))
}

pub(super) fn progress(job: &Job) -> Progress {
    match &job.phase {
        Phase::Pending => Progress::Waits,
        Phase::Active(run) | Phase::Completing { run, .. } => Progress::Started { at: run.started },
        Phase::Ended { run, end } => Progress::Over {
            started: run.as_ref().map(|run| run.started),
            ended: end.at,
            well: end.state == EndState::Completed,
        },
    }
}
