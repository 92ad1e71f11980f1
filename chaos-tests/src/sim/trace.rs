//! What happened, line by line: kept whole where somebody wants to read it, and summed up always.

use std::fmt;

use common::machine::Event;

/// The lines of a run, and a sum over them that tells two runs apart.
#[derive(Debug, Default)]
pub struct Trace {
    sum: u64,
    count: u64,
    /// The last lines, or all of them.
    lines: Vec<String>,
    keep_all: bool,
}

/// How many lines are kept for the message of a failure.
const LAST: usize = 400;

impl Trace {
    #[must_use]
    pub fn new(keep_all: bool) -> Self {
        Self { keep_all, ..Self::default() }
    }

    pub fn line(&mut self, now: u64, text: fmt::Arguments<'_>) {
        let line = format!("{now:>8} {text}");
        for byte in line.bytes() {
            self.sum = (self.sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        self.count += 1;
        if !self.keep_all && self.lines.len() >= 2 * LAST {
            self.lines.drain(..LAST);
        }
        self.lines.push(line);
    }

    /// A number that two runs of one seed share.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// How many lines there were in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

/// What the trace says of an event: what is worth a line, and no more of it.
pub(super) fn brief(event: &Event) -> Option<String> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest says nothing in a trace")]
    match event {
        Event::JobSubmitted { job, .. } => Some(format!("submitted {job}")),
        Event::JobAllocated { job, attempt, places, .. } => {
            let places = places.iter().map(|p| format!("{}:{}", p.node, p.held.cpus));
            let places: Vec<String> = places.collect();
            Some(format!("allocated {job}.{attempt} {}", places.join(",")))
        }
        Event::JobPreempted { job, attempt, by, .. } => {
            Some(format!("{job}.{attempt} makes way for {by}"))
        }
        Event::JobCompleting { job, attempt, end, requeue } => {
            let again = if requeue.is_some() { " again" } else { "" };
            Some(format!("completing {job}.{attempt} {:?}{again}", end.state))
        }
        Event::JobEnded { job, attempt, end } => {
            Some(format!("ended {job}.{attempt} {:?}", end.state))
        }
        Event::JobRequeued { job, attempt, .. } => Some(format!("requeued {job}.{attempt}")),
        Event::JobForgotten { job } => Some(format!("forgotten {job}")),
        Event::NodeRegistered { node, .. } => Some(format!("registered {node}")),
        Event::NodeChanged { node, change } => {
            let drain = if change.drain { " drain" } else { "" };
            Some(format!("{node} {:?}{drain}", change.availability))
        }
        _ => None,
    }
}
