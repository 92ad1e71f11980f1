//! How long after a fault on the leader the next submission was acknowledged.
//!
//! The log says which leader decided a submission. What counts is the first acknowledgement of one
//! that a later leader decided, or, where nobody else came to lead, of one that began when the
//! fault was over: an answer of the old leader that was on its way says nothing.

use std::collections::BTreeMap;

use crate::record::{Call, Fault, FaultKind, Nanos, Outcome, Record};

/// A submission that was acknowledged.
struct Acknowledged {
    start: Nanos,
    end: Nanos,
    term: u64,
}

/// For each kind of fault, and for all together as `all`: the times, in order.
#[must_use]
pub fn next_acknowledged(record: &Record) -> BTreeMap<&'static str, Vec<Nanos>> {
    let acknowledged = acknowledged(record);
    let mut times: BTreeMap<&'static str, Vec<Nanos>> = BTreeMap::new();
    for fault in record.faults.iter().filter(|fault| fault.leader) {
        if let Some(time) = next(&acknowledged, fault) {
            times.entry(name(&fault.kind)).or_default().push(time);
            times.entry("all").or_default().push(time);
        }
    }
    for times in times.values_mut() {
        times.sort_unstable();
    }
    times
}

/// In the order of their ends.
fn acknowledged(record: &Record) -> Vec<Acknowledged> {
    let log = record.logs.values().max_by_key(|log| log.len());
    let lines = log.into_iter().flatten();
    let terms: BTreeMap<&str, u64> =
        lines.filter_map(|line| Some((line.request.as_deref()?, line.term))).collect();
    let mut all: Vec<Acknowledged> = record
        .operations
        .iter()
        .filter(|one| matches!(one.call, Call::Submit { .. }))
        .filter(|one| matches!(one.outcome, Outcome::Submitted { .. }))
        .filter_map(|one| {
            let term = *terms.get(one.request.as_deref()?)?;
            Some(Acknowledged { start: one.start, end: one.end, term })
        })
        .collect();
    all.sort_by_key(|one| one.end);
    all
}

fn next(acknowledged: &[Acknowledged], fault: &Fault) -> Option<Nanos> {
    let place = acknowledged.partition_point(|one| one.end < fault.from);
    let term = acknowledged[..place].iter().map(|one| one.term).max().unwrap_or_default();
    let over = fault.to.unwrap_or(Nanos::MAX);
    let first = acknowledged[place..].iter().find(|one| one.term > term || one.start >= over)?;
    Some(first.end - fault.from)
}

fn name(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::Kill => "kill",
        FaultKind::Pause => "pause",
        FaultKind::Cut { .. } => "cut",
        FaultKind::Delay { .. } => "slow",
        FaultKind::Loss { .. } => "loss",
        FaultKind::ClockJump { .. } => "clock",
        FaultKind::DiskFull => "full",
        FaultKind::FsyncError => "eio",
        FaultKind::FsyncStall { .. } => "stall",
        FaultKind::PowerCut => "power",
        FaultKind::MemoryPressure => "memory",
        FaultKind::CertificateExpiry => "expiry",
        FaultKind::Membership => "replace",
        FaultKind::Restart => "restart",
        FaultKind::Takeover => "takeover",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission(start: Nanos, end: Nanos, term: u64) -> Acknowledged {
        Acknowledged { start, end, term }
    }

    #[test]
    fn an_answer_of_the_old_leader_does_not_count() {
        let fault = |from, to| Fault {
            kind: FaultKind::Kill,
            on: vec!["ctl1".to_owned()],
            from,
            to: Some(to),
            leader: true,
            note: String::new(),
        };
        let all = [
            submission(1, 5, 1),
            submission(8, 12, 1),
            submission(11, 40, 2),
            submission(60, 70, 2),
        ];
        assert_eq!(next(&all, &fault(10, 100)), Some(30), "the next leader's");
        assert_eq!(next(&all, &fault(45, 50)), Some(25), "nobody else led");
        assert_eq!(next(&all, &fault(65, 80)), None);
    }
}
