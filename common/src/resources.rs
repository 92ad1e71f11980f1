//! Amounts of what a node has.

/// An amount of CPUs and memory: a node's, or a job's share of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resources {
    pub cpus: u32,
    pub memory_mib: u64,
}

impl Resources {
    /// Both together. Saturates, so that a hostile amount can't wrap round to a small one.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            cpus: self.cpus.saturating_add(other.cpus),
            memory_mib: self.memory_mib.saturating_add(other.memory_mib),
        }
    }

    /// What is left; none where `other` is more than there is.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        Some(Self {
            cpus: self.cpus.checked_sub(other.cpus)?,
            memory_mib: self.memory_mib.checked_sub(other.memory_mib)?,
        })
    }

    #[must_use]
    pub fn fits_in(self, other: Self) -> bool {
        self.cpus <= other.cpus && self.memory_mib <= other.memory_mib
    }
}
