//! Nothing that is over, cancelled or of an old leader begins.
//!
//! Sources: Slurm's FAQ (two controllers that both think they lead: "system behavior will be
//! destructive"), Kleppmann's fencing tokens (2016), spur PR 754. An order of a leader that is no
//! more, or one that lay around, shows itself as a beginning after the log has ended the run, or
//! after a later run of the job has begun.
//!
//! A node acts on an order that is on its disk although it can't be told meanwhile that the run is
//! over: so a node that was stopped or slow, or that nobody could reach, is excused.

use std::collections::BTreeMap;

use common::machine::Event;

use super::{
    Facts, Findings,
    facts::{RunId, SECOND, Seen},
};
use crate::record::{Fault, FaultKind, Nanos};

/// How long an order to launch may be on its way to a process, on a loaded machine.
const LAUNCH: Nanos = 5 * SECOND;

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let completing = completing(facts);
    let mut latest: BTreeMap<u32, &Seen> = BTreeMap::new();
    for seen in &facts.seen {
        findings.count();
        let begun = seen.begin.at;
        let RunId { job, attempt } = seen.run;
        let Some(ran) = facts.ran.get(&seen.run) else {
            // Another checker tells of it.
            continue;
        };
        let ordered = facts.not_before(ran.allocated);
        if let Some(over) = ran.over.first()
            && begun > facts.not_after(over.position).saturating_add(LAUNCH)
        {
            let stopped = facts.faults(ordered, begun).any(|fault| slows(fault, seen.node));
            let index = facts.log[over.position].index;
            findings.expect(stopped, begun, || {
                format!("{} began on {} although it was over (entry {index})", seen.run, seen.node)
            });
        }
        if let Some(position) = completing.get(&seen.run) {
            let told = facts.not_after(*position).saturating_add(LAUNCH);
            let unreached = facts.touched(seen.node, ordered, begun);
            findings.expect(begun <= told || unreached, begun, || {
                let index = facts.log[*position].index;
                format!("{} began on {} although entry {index} ends it", seen.run, seen.node)
            });
        }
        if let Some(later) = latest.get(&job).filter(|later| later.run.attempt > attempt) {
            let stopped = facts.faults(ordered, begun).any(|fault| slows(fault, seen.node));
            findings.expect(stopped, begun, || {
                format!("{} began on {} after {} had begun", seen.run, seen.node, later.run)
            });
        } else {
            latest.insert(job, seen);
        }
    }
    findings
}

/// Where the log first says that a run is to end.
fn completing(facts: &Facts) -> BTreeMap<RunId, usize> {
    let mut completing = BTreeMap::new();
    for (position, event) in facts.events() {
        if let Event::JobCompleting { job, attempt, .. } = event {
            let id = RunId { job: job.0, attempt: attempt.0 };
            completing.entry(id).or_insert(position);
        }
    }
    completing
}

/// Whether the fault may keep a process from beginning that was ordered in time.
fn slows(fault: &Fault, node: &str) -> bool {
    let here = fault.on.iter().any(|on| on == node);
    here && match fault.kind {
        FaultKind::Pause
        | FaultKind::Kill
        | FaultKind::Restart
        | FaultKind::DiskFull
        | FaultKind::FsyncError
        | FaultKind::FsyncStall { .. }
        | FaultKind::PowerCut
        | FaultKind::MemoryPressure => true,
        FaultKind::Cut { .. }
        | FaultKind::Delay { .. }
        | FaultKind::Loss { .. }
        | FaultKind::ClockJump { .. }
        | FaultKind::CertificateExpiry
        | FaultKind::Membership
        | FaultKind::Takeover => false,
    }
}
