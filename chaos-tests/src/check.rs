//! The checkers: what must hold in every record of a run, whatever was broken meanwhile.
//!
//! Each is a function of the record alone, in a file of its own which says where the rule comes
//! from. Most read the record through `Facts`. A violation on a run without a planted bug is a
//! bug: of the checker, of the driver, or of Rafter.

mod accounting;
mod acknowledged;
mod books;
mod cpus;
mod digests;
mod down;
mod ends;
mod facts;
mod fencing;
mod linearizable;
mod logs;
mod order;
mod replay;
mod runs;
mod settled;
mod transitions;
mod watchers;

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::record::{Nanos, Record};
use facts::Facts;

/// What a checker came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    pub name: String,
    /// The rule, in a sentence.
    pub rule: String,
    /// How many things it looked at: where it is 0, nothing was proven.
    pub counted: u64,
    /// What was counted, such as `entries`.
    pub unit: String,
    pub violations: Vec<Violation>,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    pub text: String,
    /// When it showed, where that is known.
    pub at: Option<Nanos>,
}

/// What a checker finds on its way.
#[derive(Debug, Default)]
struct Findings {
    counted: u64,
    violations: Vec<Violation>,
}

impl Findings {
    /// One more was looked at.
    fn count(&mut self) {
        self.counted += 1;
    }

    fn add(&mut self, at: impl Into<Option<Nanos>>, text: impl Display) {
        self.violations.push(Violation { text: text.to_string(), at: at.into() });
    }

    /// Adds a violation where something does not hold.
    fn expect(&mut self, holds: bool, at: impl Into<Option<Nanos>>, text: impl FnOnce() -> String) {
        if !holds {
            self.add(at, text());
        }
    }
}

/// A checker's name, its rule, what it counts, and itself.
type Row = (&'static str, &'static str, &'static str, fn(&Facts) -> Findings);

const TABLE: &[Row] = &[
    (
        "acknowledged",
        "no acknowledged job is lost, and none is made twice",
        "submissions",
        acknowledged::check,
    ),
    ("ids", "a job's number is given once", "jobs", acknowledged::ids),
    (
        "order",
        "each answer fits a moment between question and answer, in the order of the log",
        "operations",
        order::check,
    ),
    (
        "linearizable",
        "each job's answers are those of one job, without a look at the log",
        "operations",
        linearizable::check,
    ),
    ("logs", "controllers have the same log, whose terms never fall", "entries", logs::check),
    (
        "digests",
        "controllers that followed the same entries have the same state",
        "controllers",
        digests::check,
    ),
    (
        "replay",
        "the reference model follows the log, and comes to the same at every entry",
        "entries",
        replay::check,
    ),
    (
        "transitions",
        "a job goes from state to state as it may, and never starts once it is cancelled",
        "events",
        transitions::check,
    ),
    ("ends", "each run ends once, and how it ended is not lost", "runs", ends::check),
    ("books", "no node gives more than it has, at any entry of the log", "entries", books::check),
    (
        "accounting",
        "what is charged is what was held, and nothing is held at the end",
        "runs",
        accounting::check,
    ),
    (
        "runs",
        "a run happens once, where and after the log says so; what completed has run",
        "runs",
        runs::check,
    ),
    ("cpus", "no CPU and no GPU is used by two jobs at any instant", "runs", cpus::check),
    (
        "fencing",
        "nothing that is over, cancelled or of an old leader begins",
        "runs",
        fencing::check,
    ),
    ("down", "no node that could be reached is called down", "changes of nodes", down::check),
    (
        "watchers",
        "who follows sees each event once, in order, without gaps",
        "events",
        watchers::check,
    ),
    (
        "settled",
        "once all is healed, everything comes right in time, and nothing is left over",
        "runs",
        settled::check,
    ),
];

/// Runs all checkers.
///
/// # Errors
/// Where the record can't be understood: it then proves nothing.
pub fn all(record: &Record) -> Result<Vec<Checked>, String> {
    let facts = Facts::read(record)?;
    let run = |&(name, rule, unit, check): &Row| {
        let Findings { counted, violations } = check(&facts);
        Checked { name: name.into(), rule: rule.into(), counted, unit: unit.into(), violations }
    };
    Ok(TABLE.iter().map(run).collect())
}

#[cfg(test)]
mod tests;
