//! CPUs: which job has which of a node, from the events of starts and ends alone.

use std::collections::BTreeMap;

use common::{
    id::{JobId, NodeName},
    machine::{Entry, Event},
};

#[derive(Debug, Default)]
pub(super) struct Cpus(BTreeMap<(NodeName, u32), JobId>);

impl Cpus {
    pub(super) fn entry(&mut self, entry: &Entry) {
        for event in &entry.events {
            self.event(event);
        }
    }

    fn event(&mut self, event: &Event) {
        if let Event::JobEnded { job, .. } | Event::JobRequeued { job, .. } = event {
            self.0.retain(|_, holder| holder != job);
        }
        let Event::JobAllocated { job, places, .. } = event else { return };
        for place in places {
            let (node, held) = (&place.node, place.held.cpus);
            assert_eq!(place.cpus.len(), held, "job {job} has other CPUs of {node} than it counts");
            for id in place.cpus.iter() {
                let before = self.0.insert((node.clone(), id), *job);
                assert_eq!(before, None, "CPU {id} of {node} is given to {job}");
            }
        }
    }
}
