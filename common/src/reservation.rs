//! Advance reservations: nodes that are kept for some, from one moment until another.
//!
//! **Invariant:** when a reservation holds is a function of its record and of a moment alone, also
//! of one that repeats: nothing has to happen for it to begin, to end, or to begin again.

mod flags;
mod request;

pub use flags::{Flag, Flags, FlagsError};
pub use request::{ListChange, NodesAsked, ReservationChanges, ReservationRequest};

use crate::{
    id::NodeName,
    time::{Span, Timestamp},
};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// A reservation, as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    pub name: String,
    /// Reservations are counted; never given again.
    pub number: u32,
    /// Of its first instance, where it repeats.
    pub start: Timestamp,
    pub end: Timestamp,
    /// In the order of the configuration.
    pub nodes: Vec<NodeName>,
    pub users: Allowed,
    pub accounts: Allowed,
    /// Whose members are among `users`, as its host knew them when it was made or changed.
    pub groups: Vec<String>,
    pub partition: Option<String>,
    /// What its nodes were to have, as it was asked for.
    pub features: Option<String>,
    pub flags: Flags,
    /// `PURGE_COMP`: how long it may stand idle before it ends.
    pub purge_after: Option<Span>,
    /// Since when nobody waits for it or runs in it; none while somebody does.
    pub idle_since: Option<Timestamp>,
    /// How far its creator's clock is before UTC, in seconds: what a week day is.
    pub utc_offset_s: i32,
}

/// Who may use a reservation, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// In the order in which they were given.
    pub names: Vec<String>,
    /// All but these.
    pub denied: bool,
}

impl Allowed {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether one that has one of these names may; everybody where nothing is said.
    #[must_use]
    pub fn admits(&self, has: impl Fn(&str) -> bool) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| has(name)) != self.denied
    }
}

/// One time that a reservation holds: from `start`, and no longer at `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Instance {
    #[must_use]
    pub fn holds(self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

impl Reservation {
    #[must_use]
    pub fn length(&self) -> Span {
        self.end.since(self.start)
    }

    /// How long after an instance the next one may begin, where there is one.
    #[must_use]
    pub fn period(&self) -> Option<Span> {
        self.flags.period()
    }

    /// The instance that goes on at that moment, or the next one; none where all are over.
    #[must_use]
    pub fn instance(&self, at: Timestamp) -> Option<Instance> {
        let first = Instance { start: self.start, end: self.end };
        if at < self.end {
            return Some(first);
        }
        let period = self.period()?;
        let length = self.length();
        // The first of those that are over only after that moment.
        let mut start = self.start + Span((at.0 - self.end.0) / period.0 * period.0) + period;
        while !self.is_on(start) {
            start = start + period;
        }
        Some(Instance { start, end: start + length })
    }

    /// Whether an instance that repeats the first may begin on that day.
    fn is_on(&self, start: Timestamp) -> bool {
        let local = i128::from(start.0) + i128::from(self.utc_offset_s) * 1_000;
        // The epoch was a Thursday; Sunday is 0.
        let day = (local.div_euclid(i128::from(DAY)) + 4).rem_euclid(7);
        let weekend = day == 0 || day == 6;
        match (self.flags.has(Flag::Weekday), self.flags.has(Flag::Weekend)) {
            (true, false) => !weekend,
            (false, true) => weekend,
            (true, true) | (false, false) => true,
        }
    }

    /// Whether it holds at some moment from `from` on and before `until`.
    #[must_use]
    pub fn overlaps(&self, from: Timestamp, until: Timestamp) -> bool {
        self.instance(from).is_some_and(|instance| instance.start < until)
    }

    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.instance(at).is_some_and(|instance| instance.holds(at))
    }

    /// Whether both may hold one of the same nodes at a time.
    #[must_use]
    pub fn collides(&self, other: &Self) -> bool {
        let shares = self.nodes.iter().any(|node| other.nodes.contains(node));
        // After so long, both have begun, and all of what they repeat has been seen.
        let horizon = self.start.max(other.start) + Span(8 * DAY) + self.length() + other.length();
        let mut at = self.start;
        while shares && let Some(Instance { start, end }) = self.instance(at) {
            if other.overlaps(start, end) {
                return true;
            }
            if start > horizon || end <= start {
                break;
            }
            at = end;
        }
        false
    }

    /// The next moment after that one at which it begins or ends to hold.
    #[must_use]
    pub fn border_after(&self, at: Timestamp) -> Option<Timestamp> {
        let instance = self.instance(at)?;
        Some(if instance.start > at { instance.start } else { instance.end })
    }

    /// When it ends early, if nobody comes to use it until then (`PURGE_COMP`): so long after it
    /// began, or after the last one left. None where it is over before, or is used.
    #[must_use]
    pub fn purged_at(&self) -> Option<Timestamp> {
        let after = self.purge_after.filter(|_| self.flags.has(Flag::PurgeComp))?;
        let idle = self.idle_since?;
        let due = |instance: Instance| {
            let at = instance.start.max(idle) + after;
            (at < instance.end).then_some(at)
        };
        let instance = self.instance(idle)?;
        due(instance).or_else(|| due(self.instance(instance.end)?))
    }

    /// Whether others' nodes don't count for its jobs.
    #[must_use]
    pub fn overrides(&self) -> bool {
        self.flags.has(Flag::Maint) || self.flags.has(Flag::Overlap)
    }
}
