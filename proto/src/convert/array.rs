//! Arrays, and sets of tasks.

use std::sync::Arc;

use common::{
    id::JobId,
    job::{ArrayPart, ArraySpec, TaskRun, TaskSet},
    machine::ArrayBook,
    time::Timestamp,
};

use super::need;
use crate::{Invalid, log, types as wire};

impl From<&TaskSet> for wire::Tasks {
    fn from(tasks: &TaskSet) -> Self {
        Self { runs: task_runs(tasks) }
    }
}

impl TryFrom<wire::Tasks> for TaskSet {
    type Error = Invalid;

    fn try_from(wire: wire::Tasks) -> Result<Self, Invalid> {
        task_set(wire.runs)
    }
}

/// The runs of a set, as requests have them.
#[must_use]
pub fn task_runs(tasks: &TaskSet) -> Vec<wire::TaskRun> {
    let run = |run: &TaskRun| wire::TaskRun { first: run.first, last: run.last, step: run.step };
    tasks.runs().iter().map(run).collect()
}

/// The set of these runs.
///
/// # Errors
/// Where they are not in order, or overlap.
pub fn task_set(runs: Vec<wire::TaskRun>) -> Result<TaskSet, Invalid> {
    let run = |wire::TaskRun { first, last, step }| TaskRun { first, last, step };
    TaskSet::checked(runs.into_iter().map(run).collect()).ok_or(Invalid::Range("runs"))
}

impl From<&ArraySpec> for wire::ArraySpec {
    fn from(spec: &ArraySpec) -> Self {
        Self { tasks: Some((&spec.tasks).into()), limit: spec.limit }
    }
}

pub(super) fn shared(wire: Option<wire::ArraySpec>) -> Result<Option<Arc<ArraySpec>>, Invalid> {
    let read = |wire: wire::ArraySpec| {
        let tasks = need(wire.tasks, "tasks")?.try_into()?;
        Ok(Arc::new(ArraySpec { tasks, limit: wire.limit }))
    };
    wire.map(read).transpose()
}

impl From<&ArrayPart> for wire::job::Array {
    fn from(part: &ArrayPart) -> Self {
        match part {
            ArrayPart::Waiting(tasks) => Self::Waiting(tasks.into()),
            ArrayPart::Task { array, index } => {
                Self::Task(wire::ArrayTask { array: array.0, index: *index })
            }
        }
    }
}

impl TryFrom<wire::job::Array> for ArrayPart {
    type Error = Invalid;

    fn try_from(wire: wire::job::Array) -> Result<Self, Invalid> {
        Ok(match wire {
            wire::job::Array::Waiting(tasks) => Self::Waiting(tasks.try_into()?),
            wire::job::Array::Task(task) => {
                Self::Task { array: JobId(task.array), index: task.index }
            }
        })
    }
}

pub(super) fn record(array: JobId, book: &ArrayBook) -> log::ArrayRecord {
    let ArrayBook { limit, unfinished, failed, jobs, begun } = *book;
    let begun = begun.map(|at| at.0);
    log::ArrayRecord { array: array.0, limit, unfinished, failed, jobs, begun }
}

pub(super) fn book(record: &log::ArrayRecord) -> (JobId, ArrayBook) {
    let log::ArrayRecord { array, limit, unfinished, failed, jobs, begun } = *record;
    let begun = begun.map(Timestamp);
    (JobId(array), ArrayBook { limit, unfinished, failed, jobs, begun })
}
