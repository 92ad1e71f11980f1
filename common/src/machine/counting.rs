//! The priority that counts down, as in `priority/basic`. Where a multifactor one counts, it is
//! what the jobs have that are not held.

use super::State;
use crate::job::JobSpec;

/// Slurm's first priority where priorities only count down; the next job gets one less.
const TOP_PRIORITY: u32 = 4_294_901_759;

impl State {
    /// The priority of the next job, lower by its niceness: jobs run in the order in which they
    /// began to wait.
    #[must_use]
    pub fn priority(&self, nice: i64) -> u32 {
        let lowered = i64::from(self.top_priority()).saturating_sub(nice);
        u32::try_from(lowered.clamp(1, i64::from(u32::MAX))).expect("clamped to the range")
    }

    /// What a job begins to wait with.
    #[must_use]
    pub fn first_priority(&self, spec: &JobSpec) -> u32 {
        spec.asks().priority.unwrap_or_else(|| self.priority(spec.nice))
    }

    /// What the next job gets that is not nice.
    pub(super) fn top_priority(&self) -> u32 {
        if self.next_priority == 0 { TOP_PRIORITY } else { self.next_priority }
    }
}
