//! Heterogeneous jobs: asked for at random, and checked for their components to run together or not
//! at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use common::{
    id::{Attempt, JobId},
    job::{Asks, HetPart, JobSpec},
    machine::{Entry, Event},
};
use node::run::RunId;

use super::{user::Want, world::World};

/// Which components hold nodes, from the events alone.
#[derive(Debug, Default)]
pub(super) struct Components {
    parts: BTreeMap<JobId, HetPart>,
    held: BTreeMap<JobId, Attempt>,
}

impl Components {
    pub(super) fn entry(&mut self, entry: &Entry) {
        let mut touched = BTreeSet::new();
        for event in &entry.events {
            if let Some(leader) = self.event(event) {
                touched.insert(leader);
            }
        }
        for leader in touched {
            self.check(leader, entry);
        }
    }

    /// The leader of the heterogeneous job that it is about, if it is one.
    fn event(&mut self, event: &Event) -> Option<JobId> {
        if let Event::JobSubmitted { job, spec, .. } = event {
            self.parts.extend(spec.het.map(|part| (*job, part)));
        }
        let job = event.job()?;
        let part = self.parts.get(&job)?;
        if let Event::JobAllocated { attempt, .. } = event {
            self.held.insert(job, *attempt);
        }
        if let Event::JobEnded { .. } | Event::JobRequeued { .. } = event {
            self.held.remove(&job);
        }
        Some(part.leader)
    }

    fn check(&self, leader: JobId, entry: &Entry) {
        let part = self.parts[&leader];
        let there = part.all().filter(|job| self.parts.contains_key(job)).count();
        assert_eq!(there, part.size as usize, "{leader} came in without some of its components");
        let held: Vec<_> = part.all().filter_map(|job| self.held.get(&job)).collect();
        let alone = !held.is_empty() && !self.held.contains_key(&leader);
        assert!(!alone, "components of {leader} hold nodes, and it does not");
        let alike = held.windows(2).all(|pair| pair[0] == pair[1]);
        assert!(alike, "components of {leader} are not of one attempt: {held:?}");
        let allocated = |event: &Event| matches!(event, Event::JobAllocated { .. });
        let starts = entry.events.iter().filter(|event| allocated(event));
        let started = starts.filter_map(Event::job).filter(|job| self.leads(leader, *job)).count();
        let whole = started == 0 || started == part.size as usize;
        assert!(whole, "{started} components of {leader} start, of {}", part.size);
    }

    fn leads(&self, leader: JobId, job: JobId) -> bool {
        self.parts.get(&job).is_some_and(|part| part.leader == leader)
    }

    /// The run whose script decides what becomes of this one.
    pub(super) fn script_of(&self, run: RunId) -> RunId {
        let leader = self.parts.get(&run.job).map_or(run.job, |part| part.leader);
        RunId { job: leader, ..run }
    }
}

/// The components that go with a job: as it, but for their CPUs.
pub(super) fn components(leader: &JobSpec, cpus: &[u32]) -> Vec<JobSpec> {
    let component = |cpus: &u32| {
        let mut spec = leader.clone();
        spec.layout.tasks = *cpus;
        (spec.constraint, spec.gres) = (None, None);
        spec
    };
    cpus.iter().map(component).collect()
}

/// What no component may ask for.
pub(super) fn without_times(asks: Option<Arc<Asks>>) -> Option<Arc<Asks>> {
    let asks = asks.map(|asks| Asks { time_min: None, ..asks.as_ref().clone() });
    asks.filter(|asks| *asks != Asks::NONE).map(Arc::new)
}

impl World {
    /// The CPUs of the components that the next job has beside its first: of most, none. There is
    /// room for all of them: each takes a core, and a node has two.
    pub(super) fn some_components(&mut self) -> Vec<u32> {
        if !self.random.chance(150) {
            return vec![];
        }
        let count = if self.hosts.len() > 1 { 1 + self.random.below(2) } else { 1 };
        vec![1; usize::try_from(count).expect("small")]
    }

    /// Something done to one component.
    pub(super) fn something_with_components(&mut self) -> Option<Want> {
        let parts: Vec<HetPart> = self.truth.jobs.values().filter_map(|job| job.het()).collect();
        if parts.is_empty() {
            return None;
        }
        let part = parts[self.random.index(parts.len())];
        let job = JobId(part.leader.0 + part.offset);
        Some(match self.random.below(6) {
            0 | 1 => Want::Cancel { job, signal: None },
            2 => Want::Cancel { job, signal: Some(10) },
            3 => Want::Hold(job),
            4 => Want::Release(job),
            _ => Want::Requeue { job: part.leader, hold: false },
        })
    }
}
