//! Who waits for whom: kept for speed, and follows from the jobs.
//!
//! What has happened to a job concerns only those found here under its number or its name, so a
//! decision costs what it changes, however many jobs there are.

use imbl::{OrdMap, OrdSet};

use super::fingerprint::Fingerprint;
use crate::{
    id::{JobId, UserId},
    job::{Fate, Job, On, Phase},
    time::Timestamp,
};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependents {
    /// By whom they wait for.
    of: OrdMap<JobId, OrdSet<JobId>>,
    /// When a condition of theirs counts.
    due: OrdSet<(Timestamp, JobId)>,
    /// All jobs that are not over, by user and name: first those that have nodes.
    namesakes: OrdSet<Namesake>,
    /// The pending ones with `singleton`, by user, name, whether it is met, and array.
    singles: OrdSet<Single>,
}

/// A user, and a name, as a number that other names practically never have.
type Family = (UserId, u64);

/// The job, behind the array that it belongs to: tasks of one run beside each other.
type Namesake = (Family, Standing, JobId, JobId);

type Single = (Family, bool, JobId, JobId);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    HasNodes,
    Waits,
}

const FIRST: JobId = JobId(0);
const LAST: JobId = JobId(u32::MAX);

impl Dependents {
    pub(super) fn insert(&mut self, job: &Job) {
        if let Some(namesake) = namesake(job) {
            self.namesakes.insert(namesake);
        }
        for parent in parents(job) {
            self.of.entry(parent).or_default().insert(job.id);
        }
        if let Some(at) = due(job) {
            self.due.insert((at, job.id));
        }
        if let Some(single) = single(job) {
            self.singles.insert(single);
        }
    }

    pub(super) fn remove(&mut self, job: &Job) {
        if let Some(namesake) = namesake(job) {
            self.namesakes.remove(&namesake);
        }
        for parent in parents(job) {
            if let Some(jobs) = self.of.get_mut(&parent) {
                jobs.remove(&job.id);
                if jobs.is_empty() {
                    self.of.remove(&parent);
                }
            }
        }
        if let Some(at) = due(job) {
            self.due.remove(&(at, job.id));
        }
        if let Some(single) = single(job) {
            self.singles.remove(&single);
        }
    }

    /// Who waits for something that `parent` is to do.
    pub(super) fn of(&self, parent: JobId) -> impl Iterator<Item = JobId> + '_ {
        self.of.get(&parent).into_iter().flatten().copied()
    }

    /// Those of whom a condition counts by itself, the first one first.
    pub fn due(&self) -> impl Iterator<Item = (Timestamp, JobId)> + '_ {
        self.due.iter().copied()
    }

    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.get_min().map(|(at, _)| *at)
    }

    /// Whether a job of this one's name waits to be the only one that runs.
    pub(super) fn has_singles(&self, user: UserId, name: &str) -> bool {
        let family = family(user, name);
        let all = (family, false, FIRST, FIRST)..=(family, true, LAST, LAST);
        self.singles.range(all).next().is_some()
    }

    /// The job, or array, that may be the only one that runs: none while another has nodes, or
    /// where the first that waits did not ask to be the only one.
    pub(super) fn may_be_alone(&self, user: UserId, name: &str) -> Option<JobId> {
        let family = family(user, name);
        let of = |standing| {
            self.namesakes.range((family, standing, FIRST, FIRST)..=(family, standing, LAST, LAST))
        };
        let (_, _, first, _) = of(Standing::Waits).next()?;
        let others = |(_, _, other, _): &Namesake| other != first;
        let (low, high) = (of(Standing::HasNodes).next(), of(Standing::HasNodes).next_back());
        let occupied = low.is_some_and(others) || high.is_some_and(others);
        (!occupied && self.asked(family, *first).next().is_some()).then_some(*first)
    }

    /// The waiting jobs before which a job, or the tasks of an array, can't be the only ones, the
    /// last one first. Behind one that asks for the same, what is before it is waited for with it.
    pub(super) fn elders(
        &self,
        user: UserId,
        name: &str,
        group: JobId,
    ) -> impl Iterator<Item = JobId> + '_ {
        let family = family(user, name);
        let first = (family, Standing::Waits, FIRST, FIRST);
        let before = self.namesakes.range(first..(family, Standing::Waits, group, FIRST)).rev();
        let mut covered = None;
        let elders = before.take_while(move |(_, _, elder, _)| {
            if covered.is_none() && self.asked(family, *elder).next().is_some() {
                covered = Some(*elder);
            }
            covered.is_none_or(|last| last == *elder)
        });
        elders.map(|(_, _, _, job)| *job)
    }

    /// Those of a job or array that wait to be the only ones.
    fn asked(&self, family: Family, group: JobId) -> impl Iterator<Item = &Single> {
        [false, true].into_iter().flat_map(move |met| {
            self.singles.range((family, met, group, FIRST)..=(family, met, group, LAST))
        })
    }

    /// Those of which that changes where it is `next` that may be alone, and what becomes of them.
    pub(super) fn changed_for_alone(
        &self,
        user: UserId,
        name: &str,
        next: Option<JobId>,
    ) -> Vec<(JobId, bool)> {
        let family = family(user, name);
        let taken = self.singles.range((family, true, FIRST, FIRST)..=(family, true, LAST, LAST));
        let gone = taken.filter(|(_, _, group, _)| Some(*group) != next);
        let mut changed: Vec<_> = gone.map(|(_, _, _, job)| (*job, false)).collect();
        let asked = next.into_iter().flat_map(|next| self.asked(family, next));
        let come = asked.filter(|(_, met, _, _)| !met);
        changed.extend(come.map(|(_, _, _, job)| (*job, true)));
        changed
    }
}

fn family(user: UserId, name: &str) -> Family {
    (user, Fingerprint::new(3).with_text(name).0)
}

fn family_of(job: &Job) -> Family {
    family(job.spec.user, &job.spec.name)
}

fn namesake(job: &Job) -> Option<Namesake> {
    let standing = match job.phase {
        Phase::Pending => Standing::Waits,
        Phase::Active(_) | Phase::Completing { .. } => Standing::HasNodes,
        Phase::Ended { .. } => return None,
    };
    Some((family_of(job), standing, job.array_id().unwrap_or(job.id), job.id))
}

/// What a pending job still waits for, be it that another condition suffices by now: whether it is
/// alone may change. One that has begun, or ended, waits for nothing.
fn parents(job: &Job) -> impl Iterator<Item = JobId> + '_ {
    let dependency = job.dependency.as_ref().filter(|_| job.is_pending());
    let conditions = dependency.into_iter().flat_map(|dependency| &dependency.conditions);
    conditions.filter(|condition| condition.fate == Fate::Open).filter_map(|condition| {
        match condition.on {
            On::Job { job, .. } => Some(job),
            On::Singleton => None,
        }
    })
}

fn due(job: &Job) -> Option<Timestamp> {
    let dependency = job.dependency.as_ref().filter(|_| job.is_pending());
    dependency.and_then(|dependency| dependency.due())
}

fn single(job: &Job) -> Option<Single> {
    let dependency = job.dependency.as_ref().filter(|_| job.is_pending())?;
    let group = job.array_id().unwrap_or(job.id);
    dependency.singleton().map(|met| (family_of(job), met, group, job.id))
}
