//! Priorities, as the transcripts tell them.

use std::fmt::Write;

use common::{machine::State, time::Timestamp};
use sched::{Factors, Ranks, order};

/// The queue in its order.
pub(crate) fn told(state: &State, now: Timestamp) -> String {
    let mut ranks = Ranks::of(state, now);
    let mut text = String::new();
    for (turn, job) in order(state, now) {
        let factors = ranks.as_mut().and_then(|ranks| ranks.shown(job));
        let parts = factors.map(|factors| parts(&factors)).unwrap_or_default();
        writeln!(text, "{}: {}{parts}", job.id, turn.key.priority.0).expect("a text takes it");
    }
    text
}

/// Those that are not nothing.
pub(crate) fn parts(factors: &Factors) -> String {
    let Factors { age, assoc, fair_share, job_size, partition, qos, tres, nice } = *factors;
    let named = [
        ("age", age),
        ("assoc", assoc),
        ("fair share", fair_share),
        ("size", job_size),
        ("partition", partition),
        ("QOS", qos),
        ("TRES", tres),
        ("nice", -(nice as f64)),
    ];
    let told = named.iter().filter(|(_, part)| *part != 0.0);
    let told: Vec<String> = told.map(|(name, part)| format!("{name} {part:.1}")).collect();
    if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) }
}
