//! Once all is healed, everything comes right in time, and nothing is left over.
//!
//! Sources: Gray and Lamport's split into safety and liveness, as TigerBeetle's simulator has it
//! (faults off, then progress within a bound); orphans that outlived their job (spur 803). The
//! driver waits, and writes down what did not come; here only its word counts, and what the log
//! says of runs that never ended.

use super::{Facts, Findings};

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let run = &facts.record.run;
    for what in &run.unsettled {
        findings.add(run.phases.ended, format!("not in time: {what}"));
    }
    for what in &run.orphans {
        findings.add(run.phases.ended, format!("left over: {what}"));
    }
    for (id, ran) in &facts.ran {
        findings.count();
        let before = facts.not_after(ran.allocated) <= run.phases.healed;
        // A run that began late may go on; one of which nothing is known is told as an orphan.
        findings.expect(!ran.over.is_empty() || !before, run.phases.ended, || {
            format!("{id} was allocated before all was healed, and has not ended")
        });
    }
    findings
}
