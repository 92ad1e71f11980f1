//! Each run ends once, and how it ended is not lost.
//!
//! Sources: spur PR 474 (a late report of the last run, keyed by the job alone, ended the next one)
//! and spur 501 (a completion that was reported once, best effort, and lost in a failover). A run
//! whose process wrote that it came to its end has completed, unless the node was lost to the
//! cluster meanwhile, or lost its disk.

use common::job::{EndState, Place};

use super::{
    Facts, Findings,
    facts::{Over, Ran, RunId, Seen},
};
use crate::record::{Fault, FaultKind};

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    for (id, ran) in &facts.ran {
        findings.count();
        let indexes =
            || -> Vec<u64> { ran.over.iter().map(|over| facts.log[over.position].index).collect() };
        findings.expect(ran.over.len() <= 1, None, || {
            format!("{id} ended {} times, in entries {:?}", ran.over.len(), indexes())
        });
    }
    for seen in facts.seen.iter().filter(|seen| seen.has_ended()) {
        if let Some(ran) = facts.ran.get(&seen.run)
            && let Some(over) = ran.over.first()
        {
            kept(facts, seen, ran, over, &mut findings);
        }
    }
    findings
}

/// That the log has the end that the process itself wrote down.
fn kept(facts: &Facts, seen: &Seen, ran: &Ran, over: &Over, findings: &mut Findings) {
    let failed = over.end.as_ref().is_some_and(|end| end.state == EndState::NodeFail);
    let lost = || {
        let span = ran.allocated..=over.position;
        let lost = |place: &Place| {
            facts.losses(place.node.as_str()).any(|position| span.contains(&position))
        };
        ran.places.iter().any(lost)
    };
    let (from, to) = (facts.not_before(ran.allocated), facts.not_after(over.position));
    let hurt = || facts.faults(from, to).any(|fault| takes_ends(fault, seen.node));
    findings.expect(!failed || lost() || hurt(), seen.last.at, || {
        let RunId { job, attempt } = seen.run;
        format!(
            "job {job} run {attempt} came to its end on {}, which was never lost, and the log says \
             that its node failed (entry {})",
            seen.node, facts.log[over.position].index,
        )
    });
}

/// Whether the fault may take a run's end with it: its node's disk, or its supervisor.
fn takes_ends(fault: &Fault, node: &str) -> bool {
    let here = fault.on.iter().any(|on| on == node);
    here && match fault.kind {
        FaultKind::PowerCut
        | FaultKind::DiskFull
        | FaultKind::FsyncError
        | FaultKind::MemoryPressure => true,
        FaultKind::Kill
        | FaultKind::Pause
        | FaultKind::Cut { .. }
        | FaultKind::Delay { .. }
        | FaultKind::Loss { .. }
        | FaultKind::ClockJump { .. }
        | FaultKind::FsyncStall { .. }
        | FaultKind::CertificateExpiry
        | FaultKind::Membership
        | FaultKind::Restart
        | FaultKind::Takeover => false,
    }
}
