//! What is charged is what was held, and nothing is held at the end.
//!
//! Sources: sacct(1) (a job is charged for its CPUs from start to end); spur 133, where counters
//! never came back to zero. Two sums over the same log, made in two ways, must be the same: the
//! runs' lengths times their CPUs, and the nodes' busy CPUs over time as the reference model's
//! counters have them.

use common::machine::State;

use super::{Facts, Findings, facts::Ran};

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let Some(end) = facts.log.last().map(|fact| fact.entry.at.0) else {
        return findings;
    };
    let mut charged: u64 = 0;
    let mut held: u64 = 0;
    for ran in facts.ran.values() {
        findings.count();
        let (from, to) = span(facts, ran, end);
        charged += (to - from) * u64::from(ran.cpus());
        held += if ran.over.is_empty() { u64::from(ran.cpus()) } else { 0 };
    }
    let (mut busy, mut before): (u64, Option<u64>) = (0, None);
    let replayed = facts.replay(|_, state, entry| {
        let passed = before.map_or(0, |before| entry.at.0 - before);
        busy += passed * used(state);
        before = Some(entry.at.0);
    });
    // That the model can't follow is told by another checker.
    if let Ok(last) = replayed {
        findings.expect(charged == busy, None, || {
            format!("runs are charged {charged} CPU-milliseconds, and nodes were busy for {busy}")
        });
        let used = used(&last);
        findings.expect(used == held, None, || {
            format!("at the end nodes have {used} CPUs in use, and jobs hold {held}")
        });
        let counted: u64 = last.nodes.values().map(|node| u64::from(node.jobs)).sum();
        let active = last.jobs.values().filter_map(|job| job.holding());
        let places: u64 = active.map(|run| run.places.len() as u64).sum();
        findings.expect(counted == places, None, || {
            format!("at the end nodes count {counted} jobs, and jobs hold {places} nodes")
        });
    }
    findings
}

/// Milliseconds of the log's time.
fn span(facts: &Facts, ran: &Ran, end: u64) -> (u64, u64) {
    let at = |position: usize| facts.log[position].entry.at.0;
    (at(ran.allocated), ran.over.first().map_or(end, |over| at(over.position)))
}

fn used(state: &State) -> u64 {
    state.nodes.values().map(|node| u64::from(node.used.cpus)).sum()
}
