//! Who follows sees each event once, in order, without gaps.
//!
//! Sources: nomad's event stream, which may drop and says so; etcd's watch guarantees (ordered,
//! reliable, atomic), against which Jepsen tested etcd 3.4.3. What a watcher saw must be a piece of
//! the log, and go on at least until all was healed.

use std::collections::HashMap;

use common::machine::Event;

use super::{Facts, Findings};
use crate::record::Watched;

/// What is told of an event.
#[derive(Debug, PartialEq, Eq)]
struct Told<'a> {
    index: u64,
    term: u64,
    at_ms: u64,
    kind: &'a str,
    job: Option<u32>,
    node: Option<&'a str>,
    /// Its place in the log.
    position: usize,
}

impl Told<'_> {
    fn is(&self, watched: &Watched) -> bool {
        let Watched { seen: _, index, term, at_ms, kind, job, node } = watched;
        (self.index, self.term, self.at_ms) == (*index, *term, *at_ms)
            && (self.kind, self.job, self.node) == (kind.as_str(), *job, node.as_deref())
    }
}

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let told = told(facts);
    let mut first: HashMap<u64, usize> = HashMap::new();
    for (place, one) in told.iter().enumerate() {
        first.entry(one.index).or_insert(place);
    }
    for (watcher, watched) in &facts.record.watches {
        findings.counted += watched.len() as u64;
        let Some(begin) = watched.first() else {
            findings.add(None, format!("watcher {watcher} saw nothing"));
            continue;
        };
        let Some(&start) = first.get(&begin.index) else {
            let text = format!("watcher {watcher} saw entry {}, which is none", begin.index);
            findings.add(begin.seen, text);
            continue;
        };
        follow(facts, watcher, watched, &told[start..], &mut findings);
    }
    findings
}

fn follow(
    facts: &Facts,
    watcher: &str,
    watched: &[Watched],
    told: &[Told],
    findings: &mut Findings,
) {
    let wrong = watched.iter().zip(told).find(|(saw, told)| !told.is(saw));
    if let Some((saw, told)) = wrong {
        let text = format!(
            "watcher {watcher} saw {} of entry {} where {} of entry {} was next",
            saw.kind, saw.index, told.kind, told.index
        );
        findings.add(saw.seen, text);
        return;
    }
    if let Some(more) = watched.get(told.len()) {
        let text = format!(
            "watcher {watcher} saw {} of entry {}, after the log's end",
            more.kind, more.index
        );
        findings.add(more.seen, text);
    }
    let healed = facts.record.run.phases.healed;
    if let Some(missed) = told.get(watched.len()) {
        let (index, kind) = (missed.index, missed.kind);
        findings.expect(facts.not_after(missed.position) > healed, None, || {
            format!("watcher {watcher} never saw {kind} of entry {index}, nor what came after it")
        });
    }
}

/// All that is told of the log.
fn told<'a>(facts: &'a Facts) -> Vec<Told<'a>> {
    // A job's own submission says what people want to know of its script.
    let silent = |event: &Event| matches!(event, Event::BlobStored { .. });
    let events = facts.events().filter(|(_, event)| !silent(event));
    let tell = |(position, event): (usize, &'a Event)| {
        let fact = &facts.log[position];
        Told {
            index: fact.index,
            term: fact.entry.term.0,
            at_ms: fact.entry.at.0,
            kind: event.kind(),
            job: event.job().map(|job| job.0),
            node: node(event),
            position,
        }
    };
    events.map(tell).collect()
}

fn node(event: &Event) -> Option<&str> {
    if let Event::NodeRegistered { node, .. } | Event::NodeChanged { node, .. } = event {
        return Some(node.as_str());
    }
    if let Event::JobAllocated { places, .. } = event {
        return places.first().map(|place| place.node.as_str());
    }
    None
}
