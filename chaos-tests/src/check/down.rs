//! No node that could be reached is called down.
//!
//! Source: spur PR 624: a new leader judged heartbeats that nobody could have recorded while there
//! was no leader, and called 192 healthy nodes DOWN within a minute.
//!
//! The log calls a node down where it was silent for `SlurmdTimeout`. So within that time there
//! must be no stretch, half as long, in which nothing was done to the node nor to its links to
//! controllers: it would have found whoever leads, and would have been heard. What is done to
//! controllers themselves is no excuse, since a new leader gives each node the full time again.

use common::{machine::Event, node::Availability};

use super::{Facts, Findings, facts::SECOND};
use crate::record::{Fault, Nanos};

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let timeout = facts.record.run.slurmd_timeout_s * SECOND;
    for (position, event) in facts.events() {
        let Event::NodeChanged { node, change } = event else { continue };
        findings.count();
        if change.availability != Availability::Lost {
            continue;
        }
        // It was decided between these two, so the node was silent from `silent` on at the latest.
        let (from, to) = (facts.not_before(position), facts.not_after(position));
        let silent = to.saturating_sub(timeout);
        let quiet = longest_quiet(facts, node.as_str(), silent, from);
        findings.expect(quiet < timeout / 2, to, || {
            let index = facts.log[position].index;
            let seconds = quiet / SECOND;
            format!(
                "{node} is called down in entry {index}, and nothing was done to it for {seconds} \
                 s of the {} s before",
                timeout / SECOND
            )
        });
    }
    findings
}

/// The longest stretch from `from` to `to` in which nothing was done to the node or its links.
fn longest_quiet(facts: &Facts, node: &str, from: Nanos, to: Nanos) -> Nanos {
    let controllers = &facts.record.run.controllers;
    let mut hurt: Vec<(Nanos, Nanos)> = facts
        .faults(from, to)
        .filter(|fault| silences(fault, node, controllers))
        .map(|fault| (fault.from, fault.to.unwrap_or(Nanos::MAX)))
        .collect();
    hurt.sort_unstable();
    let (mut quiet_since, mut longest) = (from, 0);
    for (begin, end) in hurt {
        longest = longest.max(begin.min(to).saturating_sub(quiet_since));
        quiet_since = quiet_since.max(end);
    }
    longest.max(to.saturating_sub(quiet_since))
}

fn silences(fault: &Fault, node: &str, controllers: &[String]) -> bool {
    let is_controller = |name: &String| controllers.contains(name);
    let on_link = fault.kind.pairs().iter().any(|(one, other)| {
        one == node && is_controller(other) || other == node && is_controller(one)
    });
    on_link || fault.on.iter().any(|on| on == node)
}
