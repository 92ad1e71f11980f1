//! Heterogeneous jobs: several jobs that start, run and end as one.
//!
//! Each component is a job with a number of its own, and asks for what it asks for. The first one
//! leads: its batch script is the only one that runs, and what becomes of its run becomes of all.

use super::Job;
use crate::id::JobId;

/// Which component of a heterogeneous job a job is. Their numbers follow each other, the leader's
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HetPart {
    pub leader: JobId,
    /// Its place among the components: 0 is the leader's.
    pub offset: u32,
    /// How many there are.
    pub size: u32,
}

impl HetPart {
    /// The most components that one has (Slurm's `MAX_HET_JOB_COMPS`).
    pub const MOST: u32 = 128;

    #[must_use]
    pub fn leads(self) -> bool {
        self.offset == 0
    }

    /// The numbers of all components, in their order.
    pub fn all(self) -> impl Iterator<Item = JobId> {
        (0..self.size).map(move |offset| JobId(self.leader.0.saturating_add(offset)))
    }

    /// The numbers of those that the leader leads.
    pub fn led(self) -> impl Iterator<Item = JobId> {
        self.all().skip(1)
    }
}

impl Job {
    /// Which component of a heterogeneous job it is.
    #[must_use]
    pub fn het(&self) -> Option<HetPart> {
        self.spec.het
    }

    /// The component that leads it, where that is another one.
    #[must_use]
    pub fn led_by(&self) -> Option<JobId> {
        self.het().filter(|part| !part.leads()).map(|part| part.leader)
    }

    #[must_use]
    pub fn is_led(&self) -> bool {
        self.led_by().is_some()
    }
}
