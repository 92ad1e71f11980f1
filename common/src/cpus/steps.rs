//! How CPUs are taken of a node: not one by one, where cores or sockets are given out whole.

use super::{CpuLayout, Grain};
use crate::job::CoreAsk;

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
    /// Those of a node, for what is placed in one piece: so many CPUs, and among them those of so
    /// many tasks.
    #[must_use]
    pub fn of(layout: CpuLayout, grain: Grain, (cpus, tasks): (u32, u32), ask: &CoreAsk) -> Self {
        let taken = layout.step(grain);
        if grain == Grain::Cpu || *ask == CoreAsk::NONE {
            return Self { taken, used: taken, of_task: cpus };
        }
        // Of each core, so many CPUs are used.
        let of_core = ask.threads.unwrap_or(u32::MAX).clamp(1, layout.threads);
        let alone = ask.tasks_per_core.map_or(0, |most| of_core.div_ceil(most.max(1)));
        let used = taken / layout.threads * of_core;
        Self { taken, used, of_task: cpus.max(tasks.saturating_mul(alone)) }
    }

    /// The CPUs that are taken for one task, on cores alone.
    #[must_use]
    pub fn taken_for_task(&self) -> u32 {
        self.of_task.saturating_mul(self.taken).div_ceil(self.used)
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
