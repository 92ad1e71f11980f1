//! How CPUs are taken of a node: not one by one, where cores or sockets are given out whole.

use super::{CpuLayout, Grain};

/// The steps in which tasks take a node's CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Steps {
    /// CPUs that each step takes.
    pub taken: u32,
    /// CPUs of each step that tasks use; memory goes with these.
    pub used: u32,
    /// How many of those each task uses.
    pub of_task: u32,
}

impl Steps {
    /// Those of a node, for tasks of so many CPUs.
    #[must_use]
    pub fn of(layout: CpuLayout, grain: Grain, of_task: u32) -> Self {
        let step = layout.step(grain);
        Self { taken: step, used: step, of_task }
    }

    /// Whether CPUs are taken as they are asked for.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.taken == 1 && self.used == 1
    }

    /// How many steps so many tasks take, and `least` CPUs at least. Saturates.
    #[must_use]
    pub fn count(&self, tasks: u32, least: u32) -> u32 {
        tasks.saturating_mul(self.of_task).max(least).div_ceil(self.used)
    }

    /// How many tasks fit into so many steps.
    #[must_use]
    pub fn tasks(&self, steps: u32) -> u32 {
        let used = u64::from(steps) * u64::from(self.used);
        let tasks = used.checked_div(u64::from(self.of_task)).unwrap_or(u64::MAX);
        u32::try_from(tasks).unwrap_or(u32::MAX)
    }
}
