//! Controllers have the same log, and its terms never fall.
//!
//! Source: Raft's Log Matching and State Machine Safety (Ongaro and Ousterhout, "In Search of an
//! Understandable Consensus Algorithm", 2014, figure 3): what one replica has applied at an index,
//! no other ever applies anything else at. A controller may be behind at the end of a run, but not
//! behind what was acknowledged before all was healed.

use super::{Facts, Findings, facts::Fact};

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let healed = facts.record.run.phases.healed;
    let settled = (0..facts.log.len()).filter(|place| facts.not_after(*place) <= healed).count();
    for (controller, log) in &facts.logs {
        findings.counted += log.len() as u64;
        let differs =
            |(one, other): &(&Fact, &Fact)| (one.index, &one.entry) != (other.index, &other.entry);
        if let Some((one, other)) = log.iter().zip(&facts.log).find(differs) {
            let (Fact { index, entry }, term) = (one, one.entry.term);
            findings.add(None, format!(
                "{controller} has entry {index} of term {term} with {:?}, where another has entry \
                 {} of term {} with {:?}",
                kinds(entry), other.index, other.entry.term, kinds(&other.entry),
            ));
        }
        findings.expect(log.len() >= settled, None, || {
            format!(
                "{controller} has {} of {settled} entries that were there before the faults \
                     were healed",
                log.len()
            )
        });
    }
    for pair in facts.log.windows(2) {
        ordered(&pair[0], &pair[1], &mut findings);
    }
    for name in &facts.record.run.controllers {
        findings.expect(facts.logs.contains_key(name.as_str()), None, || {
            format!("{name} has not given its log")
        });
    }
    findings
}

fn kinds(entry: &common::machine::Entry) -> Vec<&'static str> {
    entry.events.iter().map(common::machine::Event::kind).collect()
}

fn ordered(one: &Fact, next: &Fact, findings: &mut Findings) {
    let (before, after) = (&one.entry, &next.entry);
    let at = next.index;
    findings.expect(one.index <= next.index, None, || {
        format!("entry {} stands before entry {at}", one.index)
    });
    findings.expect(before.term <= after.term, None, || {
        format!("the term falls from {} to {} at entry {at}", before.term, after.term)
    });
    findings.expect(before.at <= after.at, None, || {
        format!("time runs backwards from {} to {} at entry {at}", before.at.0, after.at.0)
    });
    let expected = if before.term == after.term { before.sequence + 1 } else { 1 };
    findings.expect(before.term > after.term || after.sequence == expected, None, || {
        format!("entry {at} is number {} of its leader, not {expected}", after.sequence)
    });
}
