//! What a word names: a job, an array, or tasks of one.

use common::job::TaskSet;
use proto::{
    convert::task_runs,
    types::{self, TaskRun},
};

/// `118`, `118_5`, `118_[0-2,7]`, `118+1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobTarget {
    pub(crate) job: u32,
    /// None: the job, or all tasks of the array.
    pub(crate) tasks: Option<TaskSet>,
    /// Which component of a heterogeneous job, by its offset; none: what the number names.
    pub(crate) component: Option<u32>,
}

impl JobTarget {
    pub(crate) fn job(job: u32) -> Self {
        Self { job, tasks: None, component: None }
    }

    /// Tasks of an array.
    pub(crate) fn tasks(array: u32, tasks: Option<TaskSet>) -> Self {
        Self { job: array, tasks, component: None }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if let Some((leader, offset)) = text.split_once('+') {
            let component = offset.parse().ok().filter(|_| digits(offset));
            return Some(Self { component: Some(component?), ..Self::parse(leader)? })
                .filter(|target| target.tasks.is_none());
        }
        let (job, tasks) = match text.split_once('_') {
            None => (text, None),
            Some((job, tasks)) => {
                let list = tasks.strip_prefix('[').and_then(|tasks| tasks.strip_suffix(']'));
                let single = || tasks.bytes().all(|byte| byte.is_ascii_digit()).then_some(tasks);
                let tasks = list.or_else(single)?;
                (job, Some(TaskSet::parse(tasks, common::job::MOST_TASKS).ok()?))
            }
        };
        let job = job.parse().ok().filter(|number| digits(job) && *number > 0)?;
        Some(Self::tasks(job, tasks))
    }

    /// The job, and nothing else: an array's number would mean all of its tasks.
    pub(crate) fn of(job: &types::Job) -> Self {
        match &job.array {
            None => Self::job(job.id),
            Some(types::job::Array::Waiting(tasks)) => {
                Self::tasks(job.id, TaskSet::try_from(tasks.clone()).ok())
            }
            Some(types::job::Array::Task(task)) => {
                Self::tasks(task.array, Some(TaskSet::one(task.index)))
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
        if let Some(offset) = self.component {
            let part = job.spec.as_ref().and_then(|spec| spec.het);
            return part.is_some_and(|part| (part.leader, part.offset) == (self.job, offset));
        }
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

    /// The same; and the number of a leader covers all components.
    pub(crate) fn covers(&self, job: &types::Job) -> bool {
        let part = job.spec.as_ref().and_then(|spec| spec.het);
        let led = part.is_some_and(|part| part.leader == self.job);
        self.names(job) || led && self.component.is_none() && self.tasks.is_none()
    }

    /// The tasks, as requests have them; none: all.
    pub(crate) fn runs(&self) -> Vec<TaskRun> {
        self.tasks.as_ref().map(task_runs).unwrap_or_default()
    }
}

impl std::fmt::Display for JobTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.tasks {
            None => match self.component {
                Some(offset) => write!(f, "{}+{offset}", self.job),
                None => write!(f, "{}", self.job),
            },
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
            ("118+3", "118+3"),
        ] {
            let read = JobTarget::parse(text).map(|target| target.to_string());
            assert_eq!(read.as_deref(), Some(shown), "{text}");
        }
        for wrong in [
            "", "0", "a", "118_", "118_[", "118_[]", "118_x", "118_[2-]", "-1", "+1", "1_0-2",
            "1+", "1_2+1", "1++1",
        ] {
            assert_eq!(JobTarget::parse(wrong), None, "{wrong}");
        }
    }
}
