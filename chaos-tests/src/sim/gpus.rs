//! GPUs: asked for at random, and checked for being given to one job at a time.

use std::{collections::BTreeMap, sync::Arc};

use common::{
    gres::{GPU, GresRequest, Wanted},
    id::{JobId, NodeName},
    machine::{Entry, Event},
};

use super::world::World;

/// How many each node has.
pub(super) const GPUS: u64 = 2;

/// Which job has which GPU of which node, from the events of starts and ends alone.
#[derive(Debug, Default)]
pub(super) struct Devices {
    held: BTreeMap<(NodeName, u32), JobId>,
    asked: BTreeMap<JobId, u64>,
}

impl Devices {
    pub(super) fn entry(&mut self, entry: &Entry) {
        for event in &entry.events {
            self.event(event);
        }
    }

    fn event(&mut self, event: &Event) {
        if let Event::JobSubmitted { job, spec, .. } = event {
            let asked = spec.gres.as_ref().map_or(0, |request| request.node_gpus());
            self.asked.insert(*job, asked);
        }
        if let Event::TaskSplit { array, job, .. } = event {
            // A task asks for what its array asks for.
            let asked = self.asked.get(array).copied().unwrap_or(0);
            self.asked.insert(*job, asked);
        }
        if let Event::JobEnded { job, .. } | Event::JobRequeued { job, .. } = event {
            self.held.retain(|_, holder| holder != job);
        }
        if let Event::JobAllocated { job, places, .. } = event {
            for place in places {
                let ids: Vec<u32> = place.gres.iter().flat_map(|gres| &gres.ids).copied().collect();
                let asked = self.asked.get(job).copied().unwrap_or(0);
                assert_eq!(ids.len() as u64, asked, "job {job} has other GPUs than it asked for");
                for id in ids {
                    assert!(u64::from(id) < GPUS, "{} has no GPU {id}", place.node);
                    let before = self.held.insert((place.node.clone(), id), *job);
                    assert_eq!(before, None, "GPU {id} of {} is given to {job}", place.node);
                }
            }
        }
    }
}

/// A request for so many on each node.
pub(super) fn asked(gpus: u64) -> Option<Arc<GresRequest>> {
    let wanted = Wanted { name: GPU.to_owned(), kind: None, count: gpus };
    let request = GresRequest { per_node: vec![wanted], ..GresRequest::default() };
    (gpus > 0).then(|| Arc::new(request))
}

impl World {
    /// How many the next job asks for; most want none.
    pub(super) fn some_gpus(&mut self) -> u64 {
        if self.random.chance(300) { 1 + self.random.below(GPUS) } else { 0 }
    }
}
