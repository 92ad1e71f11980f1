//! No node that could be reached is called down.
//!
//! Source: spur PR 624: a new leader judged heartbeats that nobody could have recorded while there
//! was no leader, and called 192 healthy nodes DOWN within a minute. A node that nothing was done to
//! reaches whoever leads; so where the log says that it was silent for `SlurmdTimeout`, something
//! must have been done to it, or to its links, within that time. What is done to controllers is no
//! excuse: a new leader gives each node the full time again.

use common::{machine::Event, node::Availability};

use super::{Facts, Findings, facts::SECOND};
use crate::record::Nanos;

/// How long a node may take to find the leader once its links are whole again.
const RECONNECT: Nanos = 5 * SECOND;

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let timeout = facts.record.run.slurmd_timeout_s * SECOND;
    for (position, event) in facts.events() {
        let Event::NodeChanged { node, change } = event else { continue };
        findings.count();
        if change.availability != Availability::Lost {
            continue;
        }
        let (from, to) = (facts.not_before(position), facts.not_after(position));
        let silent = from.saturating_sub(timeout + RECONNECT);
        findings.expect(facts.touched(node.as_str(), silent, to), to, || {
            let index = facts.log[position].index;
            format!("{node} is called down in entry {index}, and nothing was done to it")
        });
    }
    findings
}
