//! What is free on a node at one moment, for whoever explains a plan.

use super::{Ask, ClassId, KINDS, Start, Timeline, search::Stretch, slot::Slot};

impl Timeline {
    /// How many tasks of the class the node has room for at that moment. Where each node takes as
    /// many, it is one or none.
    #[must_use]
    pub fn tasks_at(&self, class: ClassId, node: usize, at: u64) -> u32 {
        let from = self.position(at);
        self.tasks(self.ask(class), Stretch { from, to: from + 1 }, node, &mut vec![])
    }

    /// Until when the nodes of a start have room for it, and may be had; `u64::MAX`: for ever.
    #[must_use]
    pub fn lasts(&self, class: ClassId, start: &Start) -> u64 {
        let held = |(node, tasks): &(usize, u32)| {
            let held = self.packing.asked(self.held(class, *node, *tasks));
            (*node, held.expect("what fits a node can be packed"))
        };
        let held: Vec<(usize, u64)> = start.nodes.iter().map(held).collect();
        let ask = self.ask(class);
        let full = |slot: &&Slot| {
            let mut held = held.iter();
            held.any(|(node, held)| {
                !self.packing.fits(*held, slot.free[*node]) || self.hides(ask, slot, *node)
            })
        };
        let mut slots = self.slots[self.position(start.at)..].iter();
        let until = slots.find(full).map_or(u64::MAX, |slot| slot.begin);
        until.min(self.may_stay(class, start))
    }

    /// The same request with another limit.
    pub fn within(&mut self, class: ClassId, limit: Option<u64>) -> ClassId {
        let ask = Ask { limit, ..self.ask(class).clone() };
        self.class(&ask)
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
