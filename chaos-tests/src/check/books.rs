//! No node gives more than it has, at any entry of the log, nor anything while it may give nothing.
//!
//! Sources: spur PR 624 (GPUs handed out twice after nodes were called down wrongly) and spur 133
//! (a transition that leaked CPUs). The books are kept here from the events alone, not by the
//! reference model.

use std::collections::BTreeMap;

use common::{
    cpus::CpuSet,
    id::{JobId, NodeName},
    job::Place,
    machine::Event,
    node::Availability,
    resources::Resources,
};

use super::{Facts, Findings};

#[derive(Debug, Default)]
struct Books {
    /// What each node has.
    capacity: BTreeMap<NodeName, Resources>,
    used: BTreeMap<NodeName, Resources>,
    /// Who has which device: by the node, the name and the id.
    devices: BTreeMap<(NodeName, String, u32), JobId>,
    held: BTreeMap<JobId, Vec<Place>>,
    /// Who has which CPU of which node.
    cpus: BTreeMap<(NodeName, u32), JobId>,
    /// Which nodes may be given to jobs.
    open: BTreeMap<NodeName, bool>,
}

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let mut books = Books::default();
    for (position, event) in facts.events() {
        findings.count();
        for wrong in books.follow(event) {
            let index = facts.log[position].index;
            findings.add(None, format!("entry {index}: {wrong}"));
        }
    }
    findings
}

impl Books {
    fn follow(&mut self, event: &Event) -> Vec<String> {
        if let Event::ConfigSet { config } = event {
            let node = |conf: &common::config::NodeConf| {
                let memory_mib = if config.select_memory { conf.real_memory_mib } else { u64::MAX };
                (NodeName::from(conf.name.as_str()), Resources { cpus: conf.cpus, memory_mib })
            };
            self.capacity = config.nodes.iter().map(node).collect();
        }
        if let Event::NodeChanged { node, change } = event {
            let open = change.availability == Availability::Up && !change.drain;
            self.open.insert(node.clone(), open);
        }
        if let Event::JobEnded { job, .. } | Event::JobRequeued { job, .. } = event {
            self.give_back(*job);
        }
        if let Event::JobAllocated { job, places, .. } = event {
            return self.take(*job, places);
        }
        vec![]
    }

    fn give_back(&mut self, job: JobId) {
        for place in self.held.remove(&job).into_iter().flatten() {
            let used = self.used.entry(place.node).or_default();
            used.cpus = used.cpus.saturating_sub(place.held.cpus);
            used.memory_mib = used.memory_mib.saturating_sub(place.held.memory_mib);
        }
        self.devices.retain(|_, holder| *holder != job);
        self.cpus.retain(|_, holder| *holder != job);
    }

    fn take_cpus(&mut self, job: JobId, node: &NodeName, cpus: &CpuSet) -> Vec<String> {
        let mut wrong = Vec::new();
        let has = self.capacity.get(node).map_or(0, |has| has.cpus);
        for id in cpus.iter() {
            if id >= has {
                wrong.push(format!("job {job} is given CPU {id} of {node}, which has {has}"));
            }
            if let Some(other) = self.cpus.insert((node.clone(), id), job) {
                wrong.push(format!("CPU {id} of {node} is given to {other} and {job}"));
            }
        }
        wrong
    }

    fn take(&mut self, job: JobId, places: &[Place]) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.held.contains_key(&job) {
            wrong.push(format!("job {job} is given nodes while it holds some"));
        }
        for Place { node, held, gres, cpus, .. } in places {
            wrong.extend(self.take_cpus(job, node, cpus));
            for (gres, id) in gres.iter().flat_map(|gres| gres.ids.iter().map(move |id| (gres, id)))
            {
                let device = (node.clone(), gres.name.clone(), *id);
                if let Some(other) = self.devices.insert(device, job) {
                    wrong.push(format!(
                        "{} {id} of {node} is given to {other} and {job}",
                        gres.name
                    ));
                }
            }
            let used = self.used.entry(node.clone()).or_default();
            used.cpus = used.cpus.saturating_add(held.cpus);
            used.memory_mib = used.memory_mib.saturating_add(held.memory_mib);
            let has = self.capacity.get(node).copied().unwrap_or_default();
            if used.cpus > has.cpus || used.memory_mib > has.memory_mib {
                let Resources { cpus, memory_mib } = *used;
                wrong.push(format!(
                    "with job {job}, {cpus} CPUs and {memory_mib} MiB of {node} are given, which \
                     has {} and {}",
                    has.cpus, has.memory_mib,
                ));
            }
            if !self.open.get(node).copied().unwrap_or(false) {
                wrong.push(format!("job {job} is given {node}, which is down or drained"));
            }
        }
        self.held.insert(job, places.to_vec());
        wrong
    }
}
