//! Which nodes a class may have at which time: those that are kept for others are behind a veil.
//!
//! What is free is the same for all; a veil only hides some of it. Where there is none, nothing is
//! looked up.

use super::{ClassId, MaskId, Timeline, ask::Ask, slot::Slot};

/// A veil that the timeline knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VeilId(usize);

/// What is seen through a veil in one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The nodes that may be had; none: all.
    pub open: Option<MaskId>,
    /// When whoever starts in the slot is through at the latest; `u64::MAX`: nothing says so.
    pub ends: u64,
}

impl Timeline {
    /// The slots as they are now: from when until when each lasts.
    #[must_use]
    pub fn spans(&self) -> Vec<(u64, u64)> {
        let ends = self.slots.iter().skip(1).map(|slot| slot.begin).chain([u64::MAX]);
        self.slots.iter().map(|slot| slot.begin).zip(ends).collect()
    }

    /// Makes a veil known by what is seen through it in each slot.
    ///
    /// # Panics
    /// Where that is not said of each.
    pub fn veil(&mut self, sights: &[Sight]) -> VeilId {
        assert_eq!(sights.len(), self.slots.len(), "each slot is seen in some way");
        for (slot, sight) in self.slots.iter_mut().zip(sights) {
            slot.sights.push(*sight);
        }
        VeilId(self.slots[0].sights.len() - 1)
    }

    fn sight(&self, ask: &Ask, slot: &Slot) -> Option<Sight> {
        ask.veil.map(|veil| slot.sights[veil.0])
    }

    /// The nodes that the class may have in the slot; none: all.
    pub(super) fn open(&self, ask: &Ask, slot: &Slot) -> Option<&[u64]> {
        let open = self.sight(ask, slot)?.open?;
        Some(&self.masks[open.0])
    }

    /// Whether the class may not have the node in the slot.
    pub(super) fn hides(&self, ask: &Ask, slot: &Slot, node: usize) -> bool {
        self.open(ask, slot).is_some_and(|open| open[node / 64] >> (node % 64) & 1 == 0)
    }

    /// How many nodes the class may have in the slot.
    pub(super) fn seen(&self, ask: &Ask, slot: &Slot) -> u32 {
        let open = self.open(ask, slot);
        open.map_or(u32::MAX, |open| open.iter().map(|word| word.count_ones()).sum())
    }

    /// When it would be through that starts in the slot.
    pub(super) fn through(&self, ask: &Ask, slot: usize) -> u64 {
        let slot = &self.slots[slot];
        let until = ask.limit.map_or(u64::MAX, |limit| slot.begin.saturating_add(limit));
        self.sight(ask, slot).map_or(until, |sight| until.min(sight.ends))
    }

    /// The veil of the class.
    #[must_use]
    pub fn veil_of(&self, class: ClassId) -> Option<VeilId> {
        self.ask(class).veil
    }
}
