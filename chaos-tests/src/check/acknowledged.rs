//! No acknowledged job is lost, none is made twice, and a number is given once.
//!
//! Sources: Jepsen's report on NATS 2.12.1 (acknowledged writes that a power cut took); faults that
//! users of other job managers met: numbers that began at 1 again after a second cluster was formed
//! (spur PR 806), and jobs submitted twice after "Socket timed out" (Slurm). Each submission has a
//! name of its own, so whether it was carried out can be read from the log whatever the client was
//! told.

use std::collections::{BTreeMap, HashMap};

use common::machine::{Answer, Event};

use super::{Facts, Findings};
use crate::record::{Call, Operation, Outcome};

/// Name → places in the log, and the numbers that were given.
type Named<'a> = HashMap<&'a str, Vec<(usize, u32)>>;

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let mut named: Named = HashMap::new();
    for (position, event) in facts.events() {
        if let Event::JobSubmitted { job, spec, .. } = event {
            named.entry(&spec.name).or_default().push((position, job.0));
        }
    }
    for operation in &facts.record.operations {
        if let Call::Submit { name, .. } = &operation.call {
            findings.count();
            let made = named.get(name.as_str()).map_or(&[][..], Vec::as_slice);
            submission(facts, operation, name, made, &mut findings);
        }
    }
    findings
}

fn submission(
    facts: &Facts,
    operation: &Operation,
    name: &str,
    made: &[(usize, u32)],
    findings: &mut Findings,
) {
    let numbers: Vec<u32> = made.iter().map(|(_, job)| *job).collect();
    findings.expect(made.len() <= 1, operation.end, || {
        format!("`{name}` was submitted once and is in the log as jobs {numbers:?}")
    });
    match &operation.outcome {
        Outcome::Submitted { job } => {
            let is_there = numbers.contains(job);
            findings.expect(is_there, operation.end, || {
                format!("job {job} (`{name}`) was acknowledged and is not in the log")
            });
            answered(facts, operation, *job, findings);
        }
        Outcome::Refused { words } => findings.expect(made.is_empty(), operation.end, || {
            format!("`{name}` was refused ({words}) and is in the log as jobs {numbers:?}")
        }),
        // It was carried out, or not.
        Outcome::Unknown { .. } => {}
        Outcome::Done | Outcome::Seen(_) | Outcome::Listed { .. } => {
            findings.add(operation.end, format!("`{name}` was submitted and got another's answer"));
        }
    }
}

/// The entry that answers the request gives the number that the client was given.
fn answered(facts: &Facts, operation: &Operation, job: u32, findings: &mut Findings) {
    let Some(position) = facts.position(operation) else {
        if operation.request.is_some() {
            let text = format!("job {job} was acknowledged, and no entry answers its request");
            findings.add(operation.end, text);
        }
        return;
    };
    let fact = &facts.log[position];
    let given = fact.entry.request.as_ref().map(|answered| &answered.answer);
    let same = given.is_some_and(|given| matches!(given, Ok(Answer::Job(id)) if id.0 == job));
    findings.expect(same, operation.end, || {
        format!("job {job} was acknowledged, and entry {} answers {given:?}", fact.index)
    });
}

/// Numbers are given once: in the log, to clients, and to requests.
pub(super) fn ids(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    for (job, places) in &facts.submitted {
        findings.count();
        findings.expect(places.len() == 1, facts.not_after(places[places.len() - 1]), || {
            let indexes: Vec<u64> = places.iter().map(|place| facts.log[*place].index).collect();
            format!("number {job} was given {} times, in entries {indexes:?}", places.len())
        });
    }
    let mut told: BTreeMap<u32, &Operation> = BTreeMap::new();
    for operation in &facts.record.operations {
        if let Outcome::Submitted { job } = operation.outcome
            && let Some(before) = told.insert(job, operation)
        {
            let (one, other) = (&before.client, &operation.client);
            findings.add(operation.end, format!("{one} and {other} were both told of job {job}"));
        }
    }
    for (request, places) in &facts.requests {
        findings.expect(places.len() == 1, facts.not_after(places[places.len() - 1]), || {
            let indexes: Vec<u64> = places.iter().map(|place| facts.log[*place].index).collect();
            format!("request {request} was answered in entries {indexes:?}")
        });
    }
    findings
}
