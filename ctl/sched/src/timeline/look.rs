//! What is free on a node at one moment, for whoever explains a plan.

use super::{ClassId, KINDS, Timeline, search::Stretch};

impl Timeline {
    /// How many tasks of the class the node has room for at that moment. Where each node takes as
    /// many, it is one or none.
    #[must_use]
    pub fn tasks_at(&self, class: ClassId, node: usize, at: u64) -> u32 {
        let from = self.position(at);
        self.tasks(self.ask(class), Stretch { from, to: from + 1 }, node, &mut vec![])
    }

    /// Of which kinds less is free on the node at that moment than a task of the class takes.
    #[must_use]
    pub fn lacking(&self, class: ClassId, node: usize, at: u64) -> [bool; KINDS] {
        let least = self.shapes[self.ask(class).shape.0].least[self.capacity[node]];
        let there = self.slots[self.position(at)].free[node];
        least.map_or([true; KINDS], |least| self.packing.lacking(least, there))
    }

    /// Whether the class may have the node at all.
    #[must_use]
    pub fn admits(&self, class: ClassId, node: usize) -> bool {
        self.masks[self.ask(class).mask.0][node / 64] >> (node % 64) & 1 == 1
    }

    /// The last border before that one, if there is one.
    #[must_use]
    pub fn border_before(&self, at: u64) -> Option<u64> {
        let slot = self.slots.partition_point(|slot| slot.begin < at).checked_sub(1)?;
        Some(self.slots[slot].begin)
    }
}
