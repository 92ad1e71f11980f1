//! Whether jobs would wait for each other for ever.

use std::collections::BTreeSet;

use crate::{
    id::JobId,
    job::{Dependency, Fate, HetPart, Job, On, Task},
    machine::State,
};

/// Who is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ahead {
    One(JobId),
    /// All tasks of an array.
    All(JobId),
}

impl Ahead {
    fn is(self, job: &Job) -> bool {
        match self {
            Self::One(one) => one == job.id || fellows(job).any(|id| id == one),
            Self::All(array) => Some(array) == job.array_id(),
        }
    }
}

/// The components with which it starts.
fn fellows(job: &Job) -> impl Iterator<Item = JobId> {
    job.het().into_iter().flat_map(HetPart::all).filter(|id| *id != job.id)
}

/// Whether the dependency names the job itself, or a component that starts with it.
pub(super) fn names_itself(state: &State, job: &Job, dependency: &Dependency) -> bool {
    named(state, dependency).any(|ahead| ahead.is(job))
}

/// Whether a waiting job of this name, with this dependency, would wait for itself. Where one of
/// several conditions suffices, each of them counts.
pub(super) fn waits_for_itself(
    state: &State,
    job: &Job,
    name: &str,
    dependency: &Dependency,
) -> bool {
    let group = |job: &Job| job.array_id().unwrap_or(job.id);
    let mut ahead = awaited(state, job, name, dependency);
    for fellow in fellows(job).filter_map(|id| state.jobs.get(&id)) {
        let theirs = fellow.dependency.iter();
        ahead.extend(theirs.flat_map(|theirs| named(state, theirs)));
    }
    let mut seen: BTreeSet<Ahead> = ahead.iter().copied().collect();
    while let Some(next) = ahead.pop() {
        if next.is(job) {
            return true;
        }
        let (one, all) = match next {
            Ahead::One(id) => (state.jobs.get(&id), None),
            Ahead::All(array) => (state.waiting(array).map(|(job, _)| job), Some(array)),
        };
        let tasks = all.into_iter().flat_map(|array| state.tasks(array)).map(|(_, task)| task);
        for other in one.into_iter().chain(tasks).filter(|other| other.is_pending()) {
            let with = fellows(other).map(Ahead::One);
            ahead.extend(with.filter(|one| seen.insert(*one)));
            let Some(theirs) = &other.dependency else { continue };
            // The job is not known by a name that it is yet to get.
            let namesake = other.spec.user == job.spec.user && *other.spec.name == *name;
            if theirs.singleton().is_some() && namesake && group(job) < group(other) {
                return true;
            }
            let others = awaited(state, other, &other.spec.name, theirs).into_iter();
            let by_old_name = |one: &Ahead| *one == Ahead::One(job.id) && *name != *job.spec.name;
            let others = others.filter(|one| !by_old_name(one));
            ahead.extend(others.filter(|one| seen.insert(*one)));
        }
    }
    false
}

/// All that is waited for, whether by its number or by its name.
fn awaited(state: &State, job: &Job, name: &str, dependency: &Dependency) -> Vec<Ahead> {
    let mut all: Vec<Ahead> = named(state, dependency).collect();
    if dependency.singleton().is_some() {
        let group = job.array_id().unwrap_or(job.id);
        all.extend(state.dependents.elders(job.spec.user, name, group).map(Ahead::One));
    }
    all
}

fn named<'a>(state: &'a State, dependency: &'a Dependency) -> impl Iterator<Item = Ahead> + 'a {
    let open = dependency.conditions.iter().filter(|condition| condition.fate == Fate::Open);
    open.filter_map(|condition| match condition.on {
        On::Job { job, task: None, .. } => Some(Ahead::One(job)),
        On::Job { job, task: Some(Task::All), .. } => Some(Ahead::All(job)),
        // One without a job of its own waits as its array does.
        On::Job { job, task: Some(Task::One(index)), .. } => {
            Some(Ahead::One(state.tasks.get(job, index).unwrap_or(job)))
        }
        On::Singleton => None,
    })
}
