//! How arrays follow the log.

use std::sync::Arc;

use super::super::State;
use crate::{
    id::JobId,
    job::{ArrayPart, Job, TaskSet},
};

impl State {
    /// A waiting task gets a job of its own, which is like the one that stood for it.
    pub(super) fn split(&mut self, array: JobId, index: u32, id: JobId) {
        let mut left = true;
        self.with_job(array, |job| {
            let Some(ArrayPart::Waiting(tasks)) = &mut job.array else {
                panic!("job {array} stands for no tasks");
            };
            assert!(tasks.remove(index), "task {index} of {array} is split off twice");
            left = !tasks.is_empty();
            job.preemptor = false;
            if id == array {
                job.array = Some(ArrayPart::Task { array, index });
            }
        });
        assert_eq!(left, id != array, "the last task keeps the number of array {array}");
        if !left {
            return;
        }
        assert!(id.0 >= self.next_job, "job ids only go up");
        self.next_job = id.0.checked_add(1).expect("decide refuses when job ids are used up");
        let task = Some(ArrayPart::Task { array, index });
        let job = Job { id, array: task, ..Job::clone(&self.jobs[&array]) };
        self.use_blob(job.spec.script);
        self.use_blob(job.spec.environment);
        self.with_array(array, |book| book.jobs += 1);
        self.put_job(Arc::new(job));
    }

    pub(super) fn cancel_tasks(&mut self, array: JobId, cancelled: &TaskSet) {
        let count = cancelled.len();
        self.with_job(array, |job| {
            let Some(ArrayPart::Waiting(tasks)) = &mut job.array else {
                panic!("job {array} stands for no tasks");
            };
            let before = tasks.len();
            *tasks = tasks.without(cancelled);
            assert_eq!(before - tasks.len(), count, "only what waits is cancelled so");
            assert!(!tasks.is_empty(), "the last tasks of {array} end with their job");
        });
        self.with_array(array, |book| {
            book.unfinished = book.unfinished.checked_sub(count).expect("each task ends once");
            book.failed += count;
        });
    }
}
