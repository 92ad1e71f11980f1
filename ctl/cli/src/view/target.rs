//! What a word names: a job, an array, or tasks of one.

use common::job::TaskSet;
use proto::{
    convert::task_runs,
    types::{self, TaskRun},
};

/// `118`, `118_5`, `118_[0-2,7]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobTarget {
    pub(crate) job: u32,
    /// None: the job, or all tasks of the array.
    pub(crate) tasks: Option<TaskSet>,
}

impl JobTarget {
    pub(crate) fn job(job: u32) -> Self {
        Self { job, tasks: None }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (job, tasks) = match text.split_once('_') {
            None => (text, None),
            Some((job, tasks)) => {
                let list = tasks.strip_prefix('[').and_then(|tasks| tasks.strip_suffix(']'));
                let single = || tasks.bytes().all(|byte| byte.is_ascii_digit()).then_some(tasks);
                let tasks = list.or_else(single)?;
                (job, Some(TaskSet::parse(tasks, common::job::MOST_TASKS).ok()?))
            }
        };
        let digits = !job.is_empty() && job.bytes().all(|byte| byte.is_ascii_digit());
        let job = job.parse().ok().filter(|job| digits && *job > 0)?;
        Some(Self { job, tasks })
    }

    /// The job, and nothing else: an array's number would mean all of its tasks.
    pub(crate) fn of(job: &types::Job) -> Self {
        match &job.array {
            None => Self::job(job.id),
            Some(types::job::Array::Waiting(tasks)) => {
                Self { job: job.id, tasks: TaskSet::try_from(tasks.clone()).ok() }
            }
            Some(types::job::Array::Task(task)) => {
                Self { job: task.array, tasks: Some(TaskSet::one(task.index)) }
            }
        }
    }

    /// Those of its tasks that a waiting job stands for; none where it is not its array.
    pub(crate) fn waiting(&self, job: &types::Job) -> Option<TaskSet> {
        let Some(types::job::Array::Waiting(tasks)) = &job.array else { return None };
        let tasks = TaskSet::try_from(tasks.clone()).ok().filter(|_| job.id == self.job)?;
        Some(self.tasks.as_ref().map_or_else(|| tasks.clone(), |wanted| tasks.common(wanted)))
    }

    /// Whether it names the job, or some of the tasks that it stands for.
    pub(crate) fn names(&self, job: &types::Job) -> bool {
        match &job.array {
            None => self.tasks.is_none() && self.job == job.id,
            Some(types::job::Array::Waiting(_)) => {
                self.waiting(job).is_some_and(|tasks| !tasks.is_empty())
            }
            Some(types::job::Array::Task(task)) => match &self.tasks {
                None => self.job == task.array || self.job == job.id,
                Some(tasks) => self.job == task.array && tasks.contains(task.index),
            },
        }
    }

    /// The tasks, as requests have them; none: all.
    pub(crate) fn runs(&self) -> Vec<TaskRun> {
        self.tasks.as_ref().map(task_runs).unwrap_or_default()
    }
}

impl std::fmt::Display for JobTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.tasks {
            None => write!(f, "{}", self.job),
            Some(tasks) if tasks.len() == 1 => write!(f, "{}_{tasks}", self.job),
            Some(tasks) => write!(f, "{}_[{tasks}]", self.job),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read() {
        for (text, shown) in [
            ("118", "118"),
            ("118_5", "118_5"),
            ("118_[5]", "118_5"),
            ("118_[0-2,7]", "118_[0-2,7]"),
        ] {
            let read = JobTarget::parse(text).map(|target| target.to_string());
            assert_eq!(read.as_deref(), Some(shown), "{text}");
        }
        for wrong in
            ["", "0", "a", "118_", "118_[", "118_[]", "118_x", "118_[2-]", "-1", "+1", "1_0-2"]
        {
            assert_eq!(JobTarget::parse(wrong), None, "{wrong}");
        }
    }
}
