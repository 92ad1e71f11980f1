//! What few jobs ask for beside nodes, CPUs and memory.

use super::{CoreAsk, Licenses, Placing};
use crate::time::{TimeLimit, Timestamp};

/// See the module. By default, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// `--licenses`
    pub licenses: Licenses,
    /// `--deadline`: it is over by then, or does not run.
    pub deadline: Option<Timestamp>,
    /// `--time-min`: its limit may be shortened to as little, so that it starts sooner.
    pub time_min: Option<TimeLimit>,
    /// `--priority`, which stays what it is.
    pub priority: Option<u32>,
    pub cores: CoreAsk,
    pub placing: Placing,
}

/// What `scontrol update job` changes of it; what is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskChanges {
    /// Empty ones: none any more.
    pub licenses: Option<Licenses>,
    pub deadline: Option<Timestamp>,
    pub time_min: Option<TimeLimit>,
}

impl AskChanges {
    /// Whether it changes when the job may run, or for how long.
    #[must_use]
    pub fn changes_times(&self) -> bool {
        self.deadline.is_some() || self.time_min.is_some()
    }
}

impl Asks {
    /// Asks for nothing.
    pub const NONE: Self = Self {
        licenses: Licenses::NONE,
        deadline: None,
        time_min: None,
        priority: None,
        cores: CoreAsk::NONE,
        placing: Placing::NONE,
    };

    /// The same after the changes.
    #[must_use]
    pub fn changed(&self, changes: &AskChanges) -> Self {
        let mut changed = self.clone();
        if let Some(licenses) = &changes.licenses {
            changed.licenses.clone_from(licenses);
        }
        changed.deadline = changes.deadline.or(self.deadline);
        changed.time_min = changes.time_min.or(self.time_min);
        changed
    }
}
