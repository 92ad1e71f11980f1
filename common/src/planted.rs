//! Known bugs, planted where the protection against each is.
//!
//! A harness that finds nothing proves nothing. So each protection that matters can be taken away,
//! and the harness must notice: `cargo xtask sim --gate` and `chaos-tests/BUGS.md` say how soon.
//!
//! All of it is behind the cargo feature `planted`, which no default and no release turns on.
//! Without it [`planted`] is the constant false, and the compiler drops what depends on it. With
//! it, one bug at most is planted in a process: the daemons take its name from `RAFTER_PLANTED`.
//! This crate itself reads no environment and no clock.

#[cfg(feature = "planted")]
mod plant;

#[cfg(feature = "planted")]
pub use plant::{clock_in_apply, plant, plant_named, planted, pull, set_clock};

/// A protection that is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Bug {
    /// The log's writes are reported as done and are not synced.
    SkipFsync = 1,
    /// A client is answered when its command is appended, wherever it is on disk.
    AcknowledgeBeforeCommit,
    /// A report about an earlier attempt of a job counts for the one that runs.
    IgnoreAttempt,
    /// A node obeys a leader of the past.
    IgnoreTerm,
    /// Nodes that a new leader has not heard of yet are given up at once.
    NoGrace,
    /// A reader gets whatever state the controller has that it asks.
    StaleReads,
    /// Orders follow from what the leader has decided, committed or not.
    LaunchBeforeIntent,
    /// A node forgets how its jobs ended when it loses its leader.
    DropCompletion,
    /// What a snapshot holds already is applied to it again.
    DoubleApply,
    /// A record that can't be read is passed over.
    SkipUndecodable,
    /// A restored snapshot gives the numbers of forgotten jobs again.
    ReuseIds,
    /// The state takes the time from the clock of the replica that applies.
    ClockInApply,
    /// A request that is asked again is carried out again.
    ForgetRequests,
    /// A request that was refused is carried out where another copy of it comes later.
    ForgetRefusals,
    /// A run is launched again on a node that has lost its disk, or was booted, since.
    IgnoreIncarnation,
}

impl Bug {
    pub const ALL: [Self; 15] = [
        Self::SkipFsync,
        Self::AcknowledgeBeforeCommit,
        Self::IgnoreAttempt,
        Self::IgnoreTerm,
        Self::NoGrace,
        Self::StaleReads,
        Self::LaunchBeforeIntent,
        Self::DropCompletion,
        Self::DoubleApply,
        Self::SkipUndecodable,
        Self::ReuseIds,
        Self::ClockInApply,
        Self::ForgetRequests,
        Self::ForgetRefusals,
        Self::IgnoreIncarnation,
    ];

    /// What `RAFTER_PLANTED` calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SkipFsync => "skip-fsync",
            Self::AcknowledgeBeforeCommit => "acknowledge-before-commit",
            Self::IgnoreAttempt => "ignore-attempt",
            Self::IgnoreTerm => "ignore-term",
            Self::NoGrace => "no-grace",
            Self::StaleReads => "stale-reads",
            Self::LaunchBeforeIntent => "launch-before-intent",
            Self::DropCompletion => "drop-completion",
            Self::DoubleApply => "double-apply",
            Self::SkipUndecodable => "skip-undecodable",
            Self::ReuseIds => "reuse-ids",
            Self::ClockInApply => "clock-in-apply",
            Self::ForgetRequests => "forget-requests",
            Self::ForgetRefusals => "forget-refusals",
            Self::IgnoreIncarnation => "ignore-incarnation",
        }
    }

    /// The bug of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bug| bug.name() == name)
    }
}

/// Whether this protection is taken away.
#[cfg(not(feature = "planted"))]
#[must_use]
pub const fn planted(_: Bug) -> bool {
    false
}

/// The moment that the state follows an entry of `at`: that one, on every replica.
#[cfg(not(feature = "planted"))]
#[must_use]
pub const fn clock_in_apply(at: crate::time::Timestamp) -> crate::time::Timestamp {
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_their_bugs() {
        for bug in Bug::ALL {
            assert_eq!(Bug::named(bug.name()), Some(bug));
        }
        assert_eq!(Bug::named("no-such-bug"), None);
    }
}
