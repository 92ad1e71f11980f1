//! The reference model follows the log, and comes to the same at every entry.
//!
//! Sources: nomad and TigerBeetle, which replay their logs through the model in tests; spur PR 414,
//! where records that could not be decoded were skipped after a change of schema, and committed
//! jobs were lost with them. Each entry carries the digest of the state that its leader decided it
//! on, so a leader that had diverged shows itself.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Facts, Findings, facts::said};

/// The model checks itself after so many entries: the check costs as much as there are jobs.
const EVERY: usize = 64;

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let mut broken = None;
    let replayed = facts.replay(|position, state, _| {
        findings.counted += 1;
        if position % EVERY == 0 && broken.is_none() {
            let checked = catch_unwind(AssertUnwindSafe(|| state.check()));
            broken = checked.err().map(|panic| (position, said(panic.as_ref())));
        }
    });
    match replayed {
        Ok(last) => {
            let checked = catch_unwind(AssertUnwindSafe(|| last.check()));
            let panic = checked.err().map(|panic| (facts.log.len() - 1, said(panic.as_ref())));
            broken = broken.or(panic);
        }
        Err(why) => findings.add(None, why),
    }
    if let Some((position, why)) = broken {
        let index = facts.log[position].index;
        findings.add(None, format!("at entry {index} the state contradicts itself: {why}"));
    }
    findings
}
