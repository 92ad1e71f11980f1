//! The numbers that the page shows.

use crate::record::{Call, Fault, Nanos, Operation, Outcome, Record};

/// Into how many parts the time of a run is cut.
const BINS: u64 = 160;

/// One part of the time.
#[derive(Clone, Debug, Default)]
pub(super) struct Bin {
    /// How many operations ended in it, by outcome.
    pub(super) acknowledged: u64,
    pub(super) refused: u64,
    pub(super) unknown: u64,
    /// How long those took that were answered, in order.
    pub(super) latencies: Vec<Nanos>,
}

/// How long after a leader was hurt the next submission was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct NextAcknowledged<'a> {
    pub(super) fault: &'a Fault,
    /// None: never.
    pub(super) after: Option<Nanos>,
}

pub(super) struct Figures<'a> {
    pub(super) from: Nanos,
    pub(super) to: Nanos,
    pub(super) bins: Vec<Bin>,
    /// Of submissions that were acknowledged, in order.
    pub(super) submissions: Vec<Nanos>,
    pub(super) next: Vec<NextAcknowledged<'a>>,
}

impl<'a> Figures<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        let phases = record.run.phases;
        let (from, to) = (phases.began, phases.ended.max(phases.began + BINS));
        let mut figures = Self {
            from,
            to,
            bins: vec![Bin::default(); usize::try_from(BINS).expect("few")],
            submissions: acknowledged(record).map(|one| one.end - one.start).collect(),
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

    /// Seconds of one bin.
    #[expect(clippy::cast_precision_loss, reason = "for the eye")]
    pub(super) fn bin_seconds(&self) -> f64 {
        (self.to - self.from) as f64 / 1e9 / self.bins.len() as f64
    }
}

fn acknowledged(record: &Record) -> impl Iterator<Item = &Operation> {
    let is = |one: &&Operation| {
        matches!((&one.call, &one.outcome), (Call::Submit { .. }, Outcome::Submitted { .. }))
    };
    record.operations.iter().filter(is)
}

/// For each fault that hurt a leader, the first acknowledgement of a submission begun after it.
fn next(record: &Record) -> Vec<NextAcknowledged<'_>> {
    let mut asked: Vec<(Nanos, Nanos)> =
        acknowledged(record).map(|one| (one.start, one.end)).collect();
    asked.sort_unstable();
    for at in (1..asked.len()).rev() {
        asked[at - 1].1 = asked[at - 1].1.min(asked[at].1);
    }
    let wait = |fault: &'_ Fault| {
        let place = asked.partition_point(|(start, _)| *start < fault.from);
        asked.get(place).map(|(_, end)| end - fault.from)
    };
    let leaders = record.faults.iter().filter(|fault| fault.leader);
    leaders.map(|fault| NextAcknowledged { fault, after: wait(fault) }).collect()
}

/// The value below which `share` of the sorted values lie (nearest rank).
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank is small and positive"
)]
pub(super) fn quantile(sorted: &[Nanos], share: f64) -> Option<Nanos> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

/// A time as people read it.
#[expect(clippy::cast_precision_loss, reason = "for the eye")]
pub(super) fn time(nanos: Nanos) -> String {
    let seconds = nanos as f64 / 1e9;
    match nanos {
        0..1_000_000 => format!("{:.0} µs", seconds * 1e6),
        1_000_000..1_000_000_000 => format!("{:.0} ms", seconds * 1e3),
        1_000_000_000..100_000_000_000 => format!("{seconds:.2} s"),
        _ => format!("{seconds:.0} s"),
    }
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
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
