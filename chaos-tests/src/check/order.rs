//! Each answer fits a moment between question and answer, in the order of the log.
//!
//! Source: Herlihy and Wing, "Linearizability" (1990), decided not by a search but by a witness: a
//! change took effect where its entry stands in the log, so the log's order must agree with real
//! time, and its answer must be the one that the reference model gives there: a refusal, too, has
//! an entry. What has none (a question, and what a command refuses by itself) took effect at some
//! state of the log between those that its real time allows; the earliest that fits is taken, which
//! is never the wrong choice, since what comes later can only be pushed on.
//!
//! A change whose outcome nobody knows is in the log once, or not at all.

pub(super) mod model;

use std::collections::VecDeque;

use common::machine::{Entry, State, decide};

use super::{
    Facts, Findings,
    facts::{Fact, follow},
};
use crate::record::{Nanos, Operation, Outcome};

pub(super) fn check(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    answers(facts, &mut findings);
    Timeline::new(facts).run(&mut findings);
    findings
}

/// Replays each change through the model, at its place in the log.
fn answers(facts: &Facts, findings: &mut Findings) {
    let mut asked: Vec<Option<&Operation>> = vec![None; facts.log.len()];
    for operation in &facts.record.operations {
        if let Some(position) = facts.position(operation) {
            asked[position] = Some(operation);
        }
    }
    // Where the model can't follow, another checker says so.
    let _ = facts.replay(|position, state, entry| {
        if let Some(operation) = asked[position] {
            let index = facts.log[position].index;
            for wrong in answer(state, entry, operation) {
                findings.add(operation.end, format!("entry {index}: {wrong}"));
            }
        }
    });
}

/// What is wrong with the answer to a change, given the state that it met.
fn answer(state: &State, entry: &Entry, operation: &Operation) -> Vec<String> {
    let mut wrong = Vec::new();
    let call = &operation.call;
    let given = entry.request.as_ref().expect("it answers the operation's request");
    let refused = given.answer.as_ref().err().map(|refused| &refused.words);
    match &operation.outcome {
        Outcome::Refused { words } => match refused {
            None => wrong.push(format!("{call:?} was refused ({words}) and carried out")),
            Some(given) if given != words => {
                wrong.push(format!("{call:?} was refused ({words}), and the log has ({given})"));
            }
            Some(_) => {}
        },
        Outcome::Submitted { .. } | Outcome::Done => {
            if let Some(given) = refused {
                wrong.push(format!("{call:?} was acknowledged, and the log refuses it ({given})"));
            }
        }
        Outcome::Unknown { .. } => {}
        Outcome::Seen(_) | Outcome::Listed { .. } => {
            wrong.push(format!("{call:?} was answered as a question"));
        }
    }
    let Some(command) = model::command(operation) else {
        return wrong;
    };
    match decide(state, entry.at, command) {
        Ok(decided) if refused.is_none() && decided.events == entry.events => {}
        Err(refusal) if refused.is_some_and(|words| *words == refusal.to_string()) => {}
        Ok(decided) => wrong.push(format!(
            "{call:?} caused {:?}, where the model has {:?}",
            entry.events, decided.events
        )),
        Err(refusal) => wrong.push(match refused {
            None => format!("{call:?} was carried out; the model says: {refusal}"),
            Some(words) => format!("{call:?} was refused ({words}); the model says: {refusal}"),
        }),
    }
    wrong
}

/// An operation with what is known of the moment at which it took effect. A moment is a number of
/// entries: that many were applied.
struct Placed<'a> {
    operation: &'a Operation,
    /// Its entry's place.
    entry: Option<usize>,
    /// Before the first change that began after it had ended.
    upper: usize,
}

/// The states of the log from some entry on, as far as they were asked for.
struct States<'a> {
    log: &'a [Fact],
    first: usize,
    states: VecDeque<State>,
    broken: bool,
}

impl<'a> States<'a> {
    fn new(log: &'a [Fact]) -> Self {
        let states = VecDeque::from([State::default()]);
        Self { log, first: 0, states, broken: false }
    }

    /// The state after `moment` entries; none behind the end, or where the model can't follow.
    fn at(&mut self, moment: usize) -> Option<&State> {
        while self.first + self.states.len() <= moment && !self.broken {
            let next = self.log.get(self.first + self.states.len() - 1)?;
            let mut state = self.states.back().expect("there is always one").clone();
            self.broken = !state.precedes(&next.entry) || follow(&mut state, &next.entry).is_err();
            if !self.broken {
                self.states.push_back(state);
            }
        }
        self.states.get(moment.checked_sub(self.first)?)
    }

    /// Nobody asks for anything before `moment` any more.
    fn forget_before(&mut self, moment: usize) {
        while self.first < moment && self.states.len() > 1 {
            self.states.pop_front();
            self.first += 1;
        }
    }
}

struct Timeline<'a> {
    /// By their beginnings.
    placed: Vec<Placed<'a>>,
    states: States<'a>,
}

impl<'a> Timeline<'a> {
    fn new(facts: &'a Facts) -> Self {
        let place = |operation: &'a Operation| {
            let entry = facts.position(operation);
            Placed { operation, entry, upper: facts.log.len() }
        };
        let mut placed: Vec<Placed> = facts.record.operations.iter().map(place).collect();
        placed.sort_by_key(|placed| placed.operation.start);
        let mut changes: Vec<(Nanos, usize)> =
            placed.iter().filter_map(|p| Some((p.operation.start, p.entry?))).collect();
        for at in (1..changes.len()).rev() {
            changes[at - 1].1 = changes[at - 1].1.min(changes[at].1);
        }
        for placed in &mut placed {
            let after = changes.partition_point(|(start, _)| *start <= placed.operation.end);
            placed.upper = changes.get(after).map_or(facts.log.len(), |(_, entry)| *entry);
        }
        Self { placed, states: States::new(&facts.log) }
    }

    fn run(mut self, findings: &mut Findings) {
        let mut by_end: Vec<usize> = (0..self.placed.len()).collect();
        by_end.sort_by_key(|at| self.placed[*at].operation.end);
        let mut moments: Vec<Option<usize>> = vec![None; self.placed.len()];
        let (mut lower, mut done) = (0, 0);
        for at in 0..self.placed.len() {
            let start = self.placed[at].operation.start;
            while let Some(before) = by_end.get(done)
                && self.placed[*before].operation.end < start
            {
                lower = lower.max(moments[*before].unwrap_or(0));
                done += 1;
            }
            self.states.forget_before(lower);
            moments[at] = self.place(at, lower, findings);
        }
    }

    /// The moment after which the operation has certainly taken effect.
    fn place(&mut self, at: usize, lower: usize, findings: &mut Findings) -> Option<usize> {
        let Placed { operation, entry, upper } = self.placed[at];
        findings.count();
        let Operation { client, call, outcome, end, .. } = operation;
        let unknown = matches!(outcome, Outcome::Unknown { .. });
        if let Some(entry) = entry {
            findings.expect(entry >= lower, *end, || {
                let index = self.states.log[entry].index;
                format!(
                    "{call:?} of {client} is entry {index}, and began after what came later in the \
                     log had been answered"
                )
            });
            // One that nobody was told of bounds nothing by its end.
            return (!unknown).then_some(entry + 1);
        }
        if unknown {
            return None;
        }
        if !model::can_be_read(operation) {
            if !matches!(outcome, Outcome::Refused { .. }) {
                let text = format!("{call:?} of {client} was acknowledged and is not in the log");
                findings.add(*end, text);
            }
            return None;
        }
        for moment in lower..=upper.max(lower) {
            let Some(state) = self.states.at(moment) else { break };
            if model::fits(state, operation) {
                return Some(moment);
            }
        }
        let told = self.told(lower, upper, operation);
        findings.add(*end, format!("{client} asked {call:?} and was told {outcome:?}: {told}"));
        None
    }

    /// What the answer could have been.
    fn told(&mut self, lower: usize, upper: usize, operation: &Operation) -> String {
        let index = |moment: usize| {
            let entry = moment.checked_sub(1).and_then(|place| self.states.log.get(place));
            entry.map_or(0, |fact| fact.index)
        };
        let (from, to) = (index(lower), index(upper));
        let was = self.states.at(lower).map(|state| model::told(state, operation));
        format!(
            "after entry {from} it was {}; it fits none until entry {to}",
            was.unwrap_or_default()
        )
    }
}
