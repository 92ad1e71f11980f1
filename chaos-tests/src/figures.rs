//! The numbers that a run comes to: what its page shows and what is printed.

use std::collections::BTreeMap;

use crate::record::{Call, Fault, Nanos, Operation, Outcome, Record};

/// Into how many parts the time of a run is cut.
const BINS: u64 = 160;

/// One part of the time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bin {
    /// How many operations ended in it, by outcome.
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    pub(crate) unknown: u64,
    /// How long those took that were answered, in order.
    pub(crate) latencies: Vec<Nanos>,
}

/// How long after a leader was hurt the next submission was acknowledged.
///
/// The log says which leader decided a submission. What counts is the first acknowledgement of one
/// that a later leader decided, or, where nobody else came to lead, of one that began when the
/// fault was over: an answer of the old leader that was on its way says nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NextAcknowledged<'a> {
    pub(crate) fault: &'a Fault,
    /// None: never.
    pub(crate) after: Option<Nanos>,
}

/// What a run comes to.
#[derive(Debug)]
pub struct Figures<'a> {
    pub(crate) from: Nanos,
    pub(crate) to: Nanos,
    pub(crate) bins: Vec<Bin>,
    /// Of submissions that were acknowledged, in order.
    pub(crate) submissions: Vec<Nanos>,
    /// The same of those that went on beside faults of a kind, by its name, and beside none.
    beside: BTreeMap<&'static str, Vec<Nanos>>,
    pub(crate) next: Vec<NextAcknowledged<'a>>,
}

/// All kinds of faults together.
pub const ANY: &str = "any fault";

/// What went on beside no fault.
const NONE: &str = "none";

impl<'a> Figures<'a> {
    #[must_use]
    pub fn of(record: &'a Record) -> Self {
        let phases = record.run.phases;
        let (from, to) = (phases.began, phases.ended.max(phases.began + BINS));
        let mut figures = Self {
            from,
            to,
            bins: vec![Bin::default(); usize::try_from(BINS).expect("few")],
            submissions: acknowledged(record).map(|one| one.end - one.start).collect(),
            beside: beside(record),
            next: next(record),
        };
        figures.submissions.sort_unstable();
        for operation in &record.operations {
            figures.put(operation);
        }
        for bin in &mut figures.bins {
            bin.latencies.sort_unstable();
        }
        figures
    }

    fn put(&mut self, operation: &Operation) {
        let at = operation.end.clamp(self.from, self.to - 1) - self.from;
        let place = u128::from(at) * u128::from(BINS) / u128::from(self.to - self.from);
        let bin = &mut self.bins[usize::try_from(place).expect("one of the bins")];
        match operation.outcome {
            Outcome::Submitted { .. }
            | Outcome::Done
            | Outcome::Seen(_)
            | Outcome::Listed { .. } => bin.acknowledged += 1,
            Outcome::Refused { .. } => bin.refused += 1,
            Outcome::Unknown { .. } => {
                bin.unknown += 1;
                return;
            }
        }
        bin.latencies.push(operation.end - operation.start);
    }

    /// For each kind of fault on leaders, and for all together: how long after it the next
    /// submission was acknowledged, in order.
    #[must_use]
    pub fn waits(&self) -> BTreeMap<&'static str, Vec<Nanos>> {
        let mut times: BTreeMap<&'static str, Vec<Nanos>> = BTreeMap::new();
        for NextAcknowledged { fault, after } in &self.next {
            for kind in [fault.kind.name(), ANY] {
                times.entry(kind).or_default().extend(after);
            }
        }
        for times in times.values_mut() {
            times.sort_unstable();
        }
        times
    }

    /// For each kind of fault, and for none: how long submissions took beside it, in order.
    #[must_use]
    pub fn beside(&self) -> &BTreeMap<&'static str, Vec<Nanos>> {
        &self.beside
    }

    /// Seconds of one bin.
    #[expect(clippy::cast_precision_loss, reason = "for the eye")]
    pub(crate) fn bin_seconds(&self) -> f64 {
        (self.to - self.from) as f64 / 1e9 / self.bins.len() as f64
    }
}

fn acknowledged(record: &Record) -> impl Iterator<Item = &Operation> {
    let is = |one: &&Operation| {
        matches!((&one.call, &one.outcome), (Call::Submit { .. }, Outcome::Submitted { .. }))
    };
    record.operations.iter().filter(is)
}

/// For each kind of fault that there was, how long those submissions took that went on beside one.
fn beside(record: &Record) -> BTreeMap<&'static str, Vec<Nanos>> {
    let mut beside: BTreeMap<&'static str, Vec<Nanos>> = BTreeMap::new();
    for one in acknowledged(record) {
        let overlaps =
            |fault: &&Fault| fault.from <= one.end && fault.to.is_none_or(|to| to >= one.start);
        let mut kinds: Vec<_> =
            record.faults.iter().filter(overlaps).map(|fault| fault.kind.name()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() {
            kinds.push(NONE);
        }
        for kind in kinds {
            beside.entry(kind).or_default().push(one.end - one.start);
        }
    }
    for times in beside.values_mut() {
        times.sort_unstable();
    }
    beside
}

/// A submission that was acknowledged, and the term of the leader that decided it.
struct Decided {
    start: Nanos,
    end: Nanos,
    term: u64,
}

/// For each fault that hurt a leader, the next acknowledgement.
fn next(record: &Record) -> Vec<NextAcknowledged<'_>> {
    let decided = decided(record);
    let leaders = record.faults.iter().filter(|fault| fault.leader);
    leaders.map(|fault| NextAcknowledged { fault, after: wait(&decided, fault) }).collect()
}

/// In the order of their ends.
fn decided(record: &Record) -> Vec<Decided> {
    let log = record.logs.values().max_by_key(|log| log.len());
    let lines = log.into_iter().flatten();
    let terms: BTreeMap<&str, u64> =
        lines.filter_map(|line| Some((line.request.as_deref()?, line.term))).collect();
    let of = |one: &Operation| {
        let term = *terms.get(one.request.as_deref()?)?;
        Some(Decided { start: one.start, end: one.end, term })
    };
    let mut all: Vec<Decided> = acknowledged(record).filter_map(of).collect();
    all.sort_by_key(|one| one.end);
    all
}

fn wait(decided: &[Decided], fault: &Fault) -> Option<Nanos> {
    let place = decided.partition_point(|one| one.end < fault.from);
    let term = decided[..place].iter().map(|one| one.term).max().unwrap_or_default();
    let over = fault.to.unwrap_or(Nanos::MAX);
    let first = decided[place..].iter().find(|one| one.term > term || one.start >= over)?;
    Some(first.end - fault.from)
}

/// The value below which `share` of the sorted values lie (nearest rank).
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank is small and positive"
)]
#[must_use]
pub fn quantile(sorted: &[Nanos], share: f64) -> Option<Nanos> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

/// A time as people read it.
#[expect(clippy::cast_precision_loss, reason = "for the eye")]
pub(crate) fn time(nanos: Nanos) -> String {
    let seconds = nanos as f64 / 1e9;
    match nanos {
        0..1_000_000 => format!("{:.0} µs", seconds * 1e6),
        1_000_000..1_000_000_000 => format!("{:.0} ms", seconds * 1e3),
        1_000_000_000..100_000_000_000 => format!("{seconds:.2} s"),
        _ => format!("{seconds:.0} s"),
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
