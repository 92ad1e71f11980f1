//! Controllers that followed the same entries have the same state.
//!
//! Source: the determinism that state machine replication rests on (Schneider, "Implementing
//! Fault-Tolerant Services Using the State Machine Approach", 1990); seen broken where apply read
//! the wall clock and iterated over a hash map (spur, `cluster.rs`). Each controller says what its
//! state comes to, over all that a snapshot holds.

use std::collections::BTreeMap;

use super::{Facts, Findings};

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let mut digests: BTreeMap<u64, Vec<(&str, &str)>> = BTreeMap::new();
    for (controller, digest) in &facts.record.digests {
        digests.entry(digest.index).or_default().push((controller, &digest.digest));
    }
    for (index, same) in digests {
        let (first, digest) = same[0];
        // One alone agrees with itself only.
        findings.counted += if same.len() > 1 { same.len() as u64 } else { 0 };
        for (controller, other) in &same[1..] {
            findings.expect(*other == digest, None, || {
                format!("after entry {index}, {first} has {digest} and {controller} has {other}")
            });
        }
    }
    findings
}
