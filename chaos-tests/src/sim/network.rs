//! Who hears whom, and when.
//!
//! A stream between a node and a controller delivers in order, or breaks: as TCP does. While it
//! lives, single messages may be lost or doubled nevertheless: orders and reports must bear it.

use std::collections::BTreeSet;

use super::world::Random;

/// A place in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Controller(usize),
    Node(usize),
    User,
}

#[derive(Debug, Default)]
pub(super) struct Network {
    /// Pairs of which the first does not reach the second.
    cut: BTreeSet<(Place, Place)>,
    /// How bad it is: thousandths of messages that are lost or doubled.
    pub(super) loss: u32,
    pub(super) doubling: u32,
    /// Milliseconds.
    pub(super) delay_max: u64,
}

impl Network {
    pub(super) fn cut(&mut self, from: Place, to: Place) {
        self.cut.insert((from, to));
    }

    pub(super) fn mend(&mut self, from: Place, to: Place) {
        self.cut.remove(&(from, to));
    }

    pub(super) fn cut_off(&mut self, place: Place, others: impl IntoIterator<Item = Place>) {
        for other in others {
            if other != place {
                self.cut(place, other);
                self.cut(other, place);
            }
        }
    }

    pub(super) fn heal(&mut self) {
        *self = Self { delay_max: 2, ..Self::default() };
    }

    pub(super) fn mend_cuts(&mut self) {
        self.cut.clear();
    }

    pub(super) fn reaches(&self, from: Place, to: Place) -> bool {
        !self.cut.contains(&(from, to))
    }

    pub(super) fn joined(&self, one: Place, other: Place) -> bool {
        self.reaches(one, other) && self.reaches(other, one)
    }

    pub(super) fn delay(&self, random: &mut Random) -> u64 {
        // Most are quick; a few take as long as it gets.
        let most = if random.chance(100) { self.delay_max } else { self.delay_max.min(3) };
        random.below(most + 1)
    }

    /// How often a message arrives.
    pub(super) fn copies(&self, random: &mut Random) -> u32 {
        if random.chance(self.loss) {
            0
        } else if random.chance(self.doubling) {
            2
        } else {
            1
        }
    }
}
