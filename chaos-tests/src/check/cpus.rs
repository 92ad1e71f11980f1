//! No CPU and no GPU is used by two jobs at any instant.
//!
//! Source: spur PR 624 (jobs requeued while they still ran, and their GPUs handed out a second
//! time). The log's books say what was given; here is what processes really used, by what they
//! wrote on their node's disk. A process counts from its first line to its last: it was certainly
//! there so long.

use std::collections::BTreeMap;

use super::{
    Facts, Findings,
    facts::{RunId, Seen},
};
use crate::record::Nanos;

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let mut nodes: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for seen in &facts.seen {
        findings.count();
        nodes.entry(seen.node).or_default().push(seen);
    }
    for (node, seen) in nodes {
        match facts.record.run.nodes.get(node) {
            Some(shape) => {
                cpus(node, shape.cpus, &seen, &mut findings);
                gpus(node, &seen, &mut findings);
            }
            None => findings.add(None, format!("jobs ran on {node}, which is no node")),
        }
    }
    findings
}

/// Sweeps over beginnings and ends.
fn cpus(node: &str, has: u32, seen: &[&Seen], findings: &mut Findings) {
    let mut steps: Vec<(Nanos, bool, &Seen)> = Vec::with_capacity(2 * seen.len());
    for &one in seen {
        steps.push((one.begin.at, true, one));
        // One of which only the first line is known was there at that instant.
        steps.push((one.last.at + 1, false, one));
    }
    steps.sort_by_key(|(at, begins, one)| (*at, *begins, one.run));
    let mut running: BTreeMap<(RunId, u32), u32> = BTreeMap::new();
    let mut over = false;
    for (at, begins, one) in steps {
        let key = (one.run, one.pid);
        if begins {
            running.insert(key, one.begin.cpus)
        } else {
            running.remove(&key)
        };
        let used: u32 = running.values().sum();
        if used > has && !over {
            let runs: Vec<String> = running.keys().map(|(run, _)| run.to_string()).collect();
            let runs = runs.join(", ");
            findings.add(at, format!("{used} of {has} CPUs of {node} are used at once: by {runs}"));
        }
        over = used > has;
    }
}

fn gpus(node: &str, seen: &[&Seen], findings: &mut Findings) {
    let mut users: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for one in seen {
        for gpu in &one.begin.gpus {
            users.entry(gpu).or_default().push(one);
        }
    }
    for (gpu, mut users) in users {
        users.sort_by_key(|one| one.begin.at);
        let mut last: Option<&Seen> = None;
        for one in users {
            if let Some(last) = last.filter(|last| one.begin.at < last.last.at) {
                let (one, other) = (last.run, one.run);
                let text = format!("{gpu} of {node} is used by {one} and {other} at once");
                findings.add(Some(last.last.at), text);
            }
            last = match last {
                Some(before) if before.last.at > one.last.at => Some(before),
                Some(_) | None => Some(one),
            };
        }
    }
}
