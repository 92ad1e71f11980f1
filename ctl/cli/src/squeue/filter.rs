//! Which jobs `squeue` shows.

use std::collections::BTreeSet;

use common::{hostlist::Hostlist, job::TaskSet};

use crate::view::{Job, JobTarget, State, state::Wanted};

/// What a job must be to be shown. None: anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// An element that is none belongs to no job, but was asked for.
    pub(crate) jobs: Option<Vec<Option<JobTarget>>>,
    pub(crate) users: Option<Vec<u32>>,
    pub(crate) not_user: Option<u32>,
    pub(crate) partitions: Option<Vec<String>>,
    pub(crate) accounts: Option<Vec<String>>,
    pub(crate) qos: Option<Vec<String>>,
    pub(crate) names: Option<Vec<String>>,
    pub(crate) licenses: Option<Vec<String>>,
    /// Reservations.
    pub(crate) reservations: Option<Vec<String>>,
    /// A list of hosts, as it was given.
    pub(crate) nodes: Option<String>,
    /// None: those that are not over.
    pub(crate) states: Option<Vec<Wanted>>,
    /// Minutes.
    pub(crate) running_over: Option<u64>,
    pub(crate) running_under: Option<u64>,
}

impl Filter {
    /// Whether the controllers need not be asked for jobs at all.
    pub(super) fn is_empty(&self) -> bool {
        let none = |list: &Option<Vec<u32>>| list.as_ref().is_some_and(Vec::is_empty);
        none(&self.users) || none(&self.known_jobs())
    }

    /// The jobs that the controllers may know.
    pub(super) fn known_jobs(&self) -> Option<Vec<u32>> {
        let targets = self.jobs.as_ref()?.iter().flatten();
        let known: BTreeSet<u32> = targets.map(|target| target.job).collect();
        Some(known.into_iter().collect())
    }

    /// The waiting tasks of `job` that are asked for by their numbers; none where all are.
    pub(super) fn tasks(&self, job: &Job<'_>) -> Option<TaskSet> {
        let named = self.jobs.as_ref()?.iter().flatten();
        let mut named = named.filter(|target| target.names(job.job)).peekable();
        named.peek()?;
        let mut tasks = TaskSet::default();
        for target in named {
            target.tasks.as_ref()?;
            tasks = tasks.with(&target.waiting(job.job)?);
        }
        Some(tasks)
    }

    /// Whether exactly one job is asked for: then it is an error if it is not there.
    pub(super) fn one_job(&self) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.len() == 1)
    }

    /// Whether the job is shown; `nodes` is the list of hosts, read.
    pub(crate) fn matches(&self, job: &Job<'_>, nodes: Option<&Hostlist>) -> bool {
        fn any<T>(list: Option<&Vec<T>>, is: impl Fn(&T) -> bool) -> bool {
            list.is_none_or(|list| list.iter().any(is))
        }
        let state = job.state();
        let minutes = job.elapsed().seconds() / 60;
        let running = matches!(state, State::Running | State::Configuring);
        let in_state = match &self.states {
            None => !state.is_ended(),
            Some(states) => states.iter().any(|wanted| wanted.has(state)),
        };
        in_state
            && any(self.jobs.as_ref(), |target| {
                target.as_ref().is_some_and(|target| target.covers(job.job))
            })
            && any(self.users.as_ref(), |user| *user == job.spec.user)
            && self.not_user != Some(job.spec.user)
            && any(self.partitions.as_ref(), |name| {
                job.job.partition.split(',').any(|one| one == name)
            })
            && any(self.accounts.as_ref(), |name| Some(name) == job.spec.account.as_ref())
            && any(self.qos.as_ref(), |name| Some(name) == job.spec.qos.as_ref())
            && any(self.names.as_ref(), |name| *name == job.spec.name)
            && any(self.licenses.as_ref(), |name| job.has_license(name))
            && any(self.reservations.as_ref(), |name| Some(name) == job.reservation().as_ref())
            && nodes.is_none_or(|nodes| job.places().iter().any(|at| nodes.contains(&at.node)))
            && self.running_over.is_none_or(|over| running && minutes >= over)
            && self.running_under.is_none_or(|under| running && minutes < under)
    }
}
