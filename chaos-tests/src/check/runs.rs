//! A run happens once, where and after the log says so; what completed has run.
//!
//! Sources: spur PR 754 (an order that left before its intent was replicated ran twice), spur 501
//! (a node that was given the same job twice after a failover). Witnesses are written by the job's
//! own process, so nothing that Rafter believes of itself is taken for true here.

use std::collections::{BTreeMap, HashSet};

use common::{job::EndState, machine::Event};

use super::{
    Facts, Findings,
    facts::{Ran, RunId, Seen},
};

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let mut runs: BTreeMap<RunId, Vec<&Seen>> = BTreeMap::new();
    for seen in &facts.seen {
        findings.count();
        runs.entry(seen.run).or_default().push(seen);
        allocated(facts, seen, &mut findings);
    }
    for (id, seen) in &runs {
        let places: Vec<String> =
            seen.iter().map(|seen| format!("process {} on {}", seen.pid, seen.node)).collect();
        findings.expect(seen.len() == 1, seen[seen.len() - 1].begin.at, || {
            format!("{id} began {} times: {}", seen.len(), places.join(", "))
        });
    }
    completed(facts, &runs, &mut findings);
    overlaps(facts, &runs, &mut findings);
    findings
}

/// That the log gave this node to this run, and before it began.
fn allocated(facts: &Facts, seen: &Seen, findings: &mut Findings) {
    let (id, node, at) = (seen.run, seen.node, seen.begin.at);
    let Some(ran) = facts.ran.get(&id) else {
        findings.add(at, format!("{id} began on {node}, and the log never gave it a node"));
        return;
    };
    findings.expect(ran.batch_host() == node, at, || {
        format!("{id} began on {node}, and the log gave it {}", ran.batch_host())
    });
    findings.expect(facts.not_before(ran.allocated) <= at, at, || {
        let index = facts.log[ran.allocated].index;
        format!("{id} began on {node} before it was given a node in the log (entry {index})")
    });
}

/// The jobs whose processes write witnesses: those of the clients.
fn witnessed(facts: &Facts) -> HashSet<u32> {
    let names = facts.names();
    let mut witnessed = HashSet::new();
    for (_, event) in facts.events() {
        if let Event::JobSubmitted { job, spec, .. } = event
            && names.contains(spec.name.as_str())
        {
            witnessed.insert(job.0);
        }
    }
    witnessed
}

fn completed(facts: &Facts, runs: &BTreeMap<RunId, Vec<&Seen>>, findings: &mut Findings) {
    let witnessed = witnessed(facts);
    let is_completed = |ran: &Ran| {
        let end = ran.over.first().and_then(|over| over.end.as_ref());
        end.is_some_and(|end| end.state == EndState::Completed)
    };
    for (id, ran) in facts.ran.iter().filter(|(id, _)| witnessed.contains(&id.job)) {
        if !is_completed(ran) {
            continue;
        }
        let there = runs.get(id).is_some_and(|seen| seen.iter().any(|one| one.has_ended()));
        findings.expect(there, facts.not_after(ran.over[0].position), || {
            format!("{id} has completed, and no process of it came to its end")
        });
    }
}

/// Two runs of one job at once. The log lets the next one begin only when the last is over, which a
/// node that was lost can't confirm: that one alone is excused.
fn overlaps(facts: &Facts, runs: &BTreeMap<RunId, Vec<&Seen>>, findings: &mut Findings) {
    let all: Vec<&Seen> = runs.values().flatten().copied().collect();
    for pair in all.windows(2) {
        let (one, next) = (pair[0], pair[1]);
        if one.run.job != next.run.job || one.run == next.run || one.last.at < next.begin.at {
            continue;
        }
        let lost = facts.ran.get(&one.run).is_some_and(|ran| {
            let last = ran.over.first().map_or(facts.log.len(), |over| over.position);
            facts.losses(one.node).any(|place| (ran.allocated..=last).contains(&place))
        });
        findings.expect(lost, next.begin.at, || {
            format!("{} began on {} while {} went on on {}", next.run, next.node, one.run, one.node)
        });
    }
}
