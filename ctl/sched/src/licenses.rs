//! Licenses over time: beside the timeline, for they belong to no node.
//!
//! **Invariant:** as on the timeline, what is free only shrinks while one plan is made. So a
//! request whose earliest start was found need never look before it again.

use std::collections::BTreeMap;

use common::{
    config::Config,
    id::JobId,
    job::{Job, Licenses},
    machine::State,
    time::{Span, Timestamp},
};

use crate::{
    board::until,
    timeline::{ClassId, Start, Timeline},
};

/// How many of one license are in use, from each moment on until the next.
#[derive(Clone, Debug)]
struct Profile {
    total: u64,
    used: BTreeMap<u64, u64>,
}

/// The licenses of a cluster in one pass, and what the plan has taken of them.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    profiles: BTreeMap<String, Profile>,
    /// Before which moment no such request starts.
    known: BTreeMap<(ClassId, Licenses), u64>,
    /// What jobs of several partitions are promised by one of them, and from when until when.
    promised: BTreeMap<JobId, (u64, u64)>,
}

impl Pool {
    /// What jobs have that run, and until when. Costs nothing where there are none.
    pub(crate) fn of(view: &State, config: &Config, now: Timestamp, shortly: Span) -> Self {
        let profile = |total| Profile { total, used: BTreeMap::from([(0, 0)]) };
        let confs = config.licenses.iter();
        let profiles =
            confs.map(|conf| (conf.name.clone(), profile(u64::from(conf.total)))).collect();
        let mut pool = Self { profiles, ..Self::default() };
        if !pool.profiles.is_empty() && !view.licenses.is_empty() {
            for job in holders(view) {
                pool.take(&job.spec.asks().licenses, 0, until(view, job, now, shortly));
            }
        }
        pool
    }

    /// The first moment from which on there is room for the class, and for its licenses.
    pub(crate) fn earliest(
        &mut self,
        timeline: &mut Timeline,
        (class, asked): (ClassId, &Licenses),
        latest: u64,
    ) -> Option<Start> {
        if asked.is_empty() {
            return timeline.earliest(class, latest);
        }
        let limit = timeline.ask(class).limit;
        let key = (class, asked.clone());
        let mut from = self.known.get(&key).copied().unwrap_or(timeline.now());
        let found = loop {
            let free = self.free_from(asked, from, limit);
            if free > latest || free == u64::MAX {
                from = free;
                break None;
            }
            let Some(start) = timeline.earliest_from(class, free, latest) else {
                from = latest.saturating_add(1);
                break None;
            };
            from = start.at;
            // Later nodes may be free when licenses are promised to another job.
            if self.free_from(asked, from, limit) == from {
                break Some(start);
            }
        };
        self.known.insert(key, from);
        found
    }

    /// Whether they are free from that moment on, for as long.
    pub(crate) fn fit(&self, asked: &Licenses, at: u64, limit: Option<u64>) -> bool {
        self.free_from(asked, at, limit) == at
    }

    /// Until when they are free from that moment on; `u64::MAX`: for ever.
    pub(crate) fn last(&self, asked: &Licenses, at: u64) -> u64 {
        let until = |(name, count): &(String, u32)| {
            let profile = self.profiles.get(name)?;
            let most = profile.total.checked_sub(u64::from(*count))?;
            let steps = profile.used.range(at..);
            Some(steps.filter(|(_, used)| **used > most).map(|(at, _)| *at).next())
        };
        let until = |one| until(one).map_or(at, |until| until.unwrap_or(u64::MAX));
        asked.counts.iter().map(until).min().unwrap_or(u64::MAX)
    }

    /// Whether as many of one are free at that moment as later, when the job starts.
    pub(crate) fn has(&self, name: &str, count: u32, at: u64) -> bool {
        let one = Licenses { text: String::new(), counts: vec![(name.to_owned(), count)] };
        self.fit(&one, at, Some(1))
    }

    /// The first moment from `from` on at which all of them are free for as long; `u64::MAX` if
    /// there is none.
    pub(crate) fn free_from(&self, asked: &Licenses, mut from: u64, limit: Option<u64>) -> u64 {
        loop {
            let before = from;
            for (name, count) in &asked.counts {
                from = match self.profiles.get(name) {
                    Some(profile) => profile.free_from(u64::from(*count), from, limit),
                    None => u64::MAX,
                };
            }
            if from == before || from == u64::MAX {
                return from;
            }
        }
    }

    /// Takes what a start takes. What another partition has promised the job is free again.
    pub(crate) fn promise(&mut self, job: &Job, start: &Start, now: u64) {
        let asked = &job.spec.asks().licenses;
        if asked.is_empty() {
            return;
        }
        self.lift(job);
        self.take(asked, start.at, start.until);
        if job.spec.partition.is_several() && start.at > now {
            self.promised.insert(job.id, (start.at, start.until));
        }
    }

    /// As if nothing was promised to the job yet. Says what was.
    pub(crate) fn lift(&mut self, job: &Job) -> Option<(u64, u64)> {
        let (from, until) = self.promised.remove(&job.id)?;
        for (name, count) in &job.spec.asks().licenses.counts {
            if let Some(profile) = self.profiles.get_mut(name) {
                profile
                    .used
                    .range_mut(from..until)
                    .for_each(|(_, used)| *used -= u64::from(*count));
            }
        }
        self.forget();
        Some((from, until))
    }

    /// More is free than when it was looked at.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }

    pub(crate) fn put_back(&mut self, job: &Job, promised: Option<(u64, u64)>) {
        if let Some((from, until)) = promised {
            self.take(&job.spec.asks().licenses, from, until);
            self.promised.insert(job.id, (from, until));
        }
    }

    fn take(&mut self, asked: &Licenses, from: u64, until: u64) {
        for (name, count) in &asked.counts {
            if let Some(profile) = self.profiles.get_mut(name) {
                profile.take(u64::from(*count), from, until);
            }
        }
    }
}

impl Profile {
    fn free_from(&self, count: u64, from: u64, limit: Option<u64>) -> u64 {
        let Some(most) = self.total.checked_sub(count) else { return u64::MAX };
        let first = self.used.range(..=from).next_back().map_or(0, |(at, _)| *at);
        let mut free = Some(from);
        for (at, used) in self.used.range(first..) {
            let lasts = |start: u64| limit.is_some_and(|limit| *at >= start.saturating_add(limit));
            if free.is_some_and(lasts) {
                break;
            }
            free = if *used > most { None } else { free.or(Some(*at)) };
        }
        free.unwrap_or(u64::MAX)
    }

    fn take(&mut self, count: u64, from: u64, until: u64) {
        for at in [from, until] {
            let used = self.used.range(..=at).next_back().map_or(0, |(_, used)| *used);
            self.used.entry(at).or_insert(used);
        }
        for (_, used) in self.used.range_mut(from..until) {
            *used += count;
        }
    }
}

/// The jobs that have licenses.
pub(crate) fn holders(view: &State) -> impl Iterator<Item = &Job> {
    let mut jobs: Vec<JobId> = view.holding.values().flatten().copied().collect();
    jobs.sort_unstable();
    jobs.dedup();
    let job = |id: JobId| view.jobs.get(&id).expect("check: who holds nodes is there").as_ref();
    let jobs = jobs.into_iter().map(job);
    jobs.filter(|job| !job.spec.asks().licenses.is_empty())
}
