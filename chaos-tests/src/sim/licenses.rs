//! Licenses: asked for by some, and checked for there being as many as are in use.

use std::{collections::BTreeMap, sync::Arc};

use common::{
    config::LicenseConf,
    id::JobId,
    job::{Asks, Licenses},
    machine::{Entry, Event},
    time::TimeLimit,
};

/// How many there are.
const TOTAL: [(&str, u32); 2] = [("matlab", 2), ("spice", 1)];

pub(super) fn confs() -> Vec<LicenseConf> {
    TOTAL.iter().map(|(name, total)| LicenseConf { name: (*name).into(), total: *total }).collect()
}

/// What a request asks for; most ask for none. Some of those of two minutes can do with one.
pub(super) fn asked(ask: u64, minutes: Option<u32>) -> Option<Arc<Asks>> {
    let text = match ask % 11 {
        2 => "matlab",
        4 => "matlab:2",
        6 => "spice,matlab",
        _ => "",
    };
    let time_min = minutes.filter(|minutes| *minutes > 1 && ask.is_multiple_of(3));
    let time_min = time_min.map(|_| TimeLimit::Minutes(1));
    if text.is_empty() && time_min.is_none() {
        return None;
    }
    let licenses = Licenses::parse(text).expect("the simulator writes what can be read");
    Some(Arc::new(Asks { licenses, time_min, ..Asks::NONE }))
}

/// Which job has which, from the events of starts and ends alone.
#[derive(Debug, Default)]
pub(super) struct Licensed {
    asked: BTreeMap<JobId, Vec<(String, u32)>>,
    held: BTreeMap<JobId, Vec<(String, u32)>>,
}

impl Licensed {
    pub(super) fn entry(&mut self, entry: &Entry) {
        for event in &entry.events {
            self.event(event);
        }
    }

    fn event(&mut self, event: &Event) {
        if let Event::JobSubmitted { job, spec, .. } = event {
            let asked = spec.asks.as_ref().map(|asks| asks.licenses.counts.clone());
            self.asked.insert(*job, asked.unwrap_or_default());
        }
        if let Event::TaskSplit { array, job, .. } = event {
            // A task asks for what its array asks for.
            let asked = self.asked.get(array).cloned().unwrap_or_default();
            self.asked.insert(*job, asked);
        }
        if let Event::JobEnded { job, .. } | Event::JobRequeued { job, .. } = event {
            self.held.remove(job);
        }
        if let Event::JobAllocated { job, .. } = event {
            self.held.insert(*job, self.asked.get(job).cloned().unwrap_or_default());
            for (name, total) in TOTAL {
                let all = self.held.values().flatten().filter(|(held, _)| held == name);
                let used: u32 = all.map(|(_, count)| count).sum();
                assert!(used <= total, "job {job} makes {used} of {total} licenses {name}");
            }
        }
    }
}
