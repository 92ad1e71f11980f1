//! The flags of a reservation.

use thiserror::Error;

use super::{DAY, HOUR};
use crate::time::Span;

/// What a reservation may be beside its times and nodes (scontrol(1)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flag {
    /// For maintenance: may be made over others, and its nodes are shown as such.
    Maint,
    /// Its jobs may begin before it, go on after it, and have other nodes.
    Flex,
    /// May be made over others.
    Overlap,
    /// What runs on its nodes does not matter to it.
    IgnoreJobs,
    Hourly,
    Daily,
    Weekday,
    Weekend,
    Weekly,
    /// Its nodes were named.
    SpecNodes,
    /// All nodes.
    AllNodes,
    /// All nodes of its partition.
    PartNodes,
    /// Ends early where nobody uses it.
    PurgeComp,
    /// Jobs that wait for it when it ends go on to wait as others do.
    NoHoldJobsAfterEnd,
    /// Whoever may use it does so without asking.
    Magnetic,
    /// Its users may delete it.
    UserDelete,
}

/// In the order in which Slurm shows them.
const ALL: [(Flag, &str); 16] = [
    (Flag::Maint, "MAINT"),
    (Flag::Flex, "FLEX"),
    (Flag::Overlap, "OVERLAP"),
    (Flag::IgnoreJobs, "IGNORE_JOBS"),
    (Flag::Hourly, "HOURLY"),
    (Flag::Daily, "DAILY"),
    (Flag::Weekday, "WEEKDAY"),
    (Flag::Weekend, "WEEKEND"),
    (Flag::Weekly, "WEEKLY"),
    (Flag::SpecNodes, "SPEC_NODES"),
    (Flag::AllNodes, "ALL_NODES"),
    (Flag::PartNodes, "PART_NODES"),
    (Flag::PurgeComp, "PURGE_COMP"),
    (Flag::NoHoldJobsAfterEnd, "NO_HOLD_JOBS_AFTER_END"),
    (Flag::Magnetic, "MAGNETIC"),
    (Flag::UserDelete, "USER_DELETE"),
];

/// What Slurm has and this does not, and why.
const REFUSED: [(&str, &str); 9] = [
    ("REPLACE", REPLACE),
    ("REPLACE_DOWN", REPLACE),
    ("TIME_FLOAT", "a reservation stays where it is"),
    ("FIRST_CORES", WHOLE),
    ("STATIC_ALLOC", REPLACE),
    ("ANY_NODES", "it is for licences, of which reservations have none"),
    ("GANG_SCHED", "there is no gang scheduling"),
    ("FORCE_START", "a reservation begins at its time"),
    ("STATIC", REPLACE),
];
const REPLACE: &str = "the nodes of a reservation are chosen once, and stay";
const WHOLE: &str = "reservations are of whole nodes";

/// Which of them a reservation has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

/// Why a list of flags is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FlagsError {
    #[error("Error parsing flags {0}")]
    Unknown(String),
    #[error("the flag {0} is not supported: {1}")]
    Unsupported(&'static str, &'static str),
}

impl Flags {
    #[must_use]
    pub fn has(self, flag: Flag) -> bool {
        self.0 & 1 << flag as u32 != 0
    }

    #[must_use]
    pub fn with(self, flag: Flag) -> Self {
        Self(self.0 | 1 << flag as u32)
    }

    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Reads a list as scontrol(1) takes it, in any case and abbreviated to three letters or more.
    /// `PURGE_COMP` may say how long: that is left to the caller.
    ///
    /// # Errors
    /// Where a word is no flag, or one that is not supported.
    pub fn parse(text: &str) -> Result<(Self, Option<&str>), FlagsError> {
        let unknown = || FlagsError::Unknown(text.to_owned());
        let (mut flags, mut purge) = (Self::default(), None);
        for word in text.split(',') {
            let (word, value) = match word.split_once('=') {
                Some((word, value)) => (word, Some(value)),
                None => (word, None),
            };
            let word = word.trim().to_ascii_uppercase();
            let is = |name: &str| name == word || word.len() >= 3 && name.starts_with(&word);
            let exact = ALL.iter().find(|(_, name)| *name == word);
            let found = exact.or_else(|| ALL.iter().find(|(_, name)| is(name)));
            let Some((flag, _)) = found else {
                let (name, why) = REFUSED.iter().find(|(name, _)| is(name)).ok_or_else(unknown)?;
                return Err(FlagsError::Unsupported(name, why));
            };
            if value.is_some() {
                if *flag != Flag::PurgeComp {
                    return Err(unknown());
                }
                purge = value;
            }
            flags = flags.with(*flag);
        }
        Ok((flags, purge))
    }

    /// Those that it has, in Slurm's order, with their names.
    pub fn iter(self) -> impl Iterator<Item = (Flag, &'static str)> {
        ALL.into_iter().filter(move |(flag, _)| self.has(*flag))
    }

    /// For the wire: one bit each.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// None where there is a bit that means nothing.
    #[must_use]
    pub fn from_bits(bits: u32) -> Option<Self> {
        (bits >> ALL.len() == 0).then_some(Self(bits))
    }

    /// How long after an instance the next one may begin: the shortest where several are given.
    #[must_use]
    pub fn period(self) -> Option<Span> {
        let days = [Flag::Daily, Flag::Weekday, Flag::Weekend];
        if self.has(Flag::Hourly) {
            Some(Span(HOUR))
        } else if days.into_iter().any(|flag| self.has(flag)) {
            Some(Span(DAY))
        } else {
            self.has(Flag::Weekly).then_some(Span(7 * DAY))
        }
    }
}
