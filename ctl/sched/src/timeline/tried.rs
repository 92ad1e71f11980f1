//! Starts that are only tried: several at one moment, which must not take from each other.

use super::{Amounts, ClassId, Start, Timeline, tenants::Tenants};

/// What was taken to see what is left. As it is taken back, all is as it was before.
#[derive(Debug)]
pub struct Trial {
    /// How far the search for each class had come.
    known: Vec<(u64, usize)>,
    taken: Vec<Taken>,
}

#[derive(Debug)]
struct Taken {
    held: Vec<(usize, Amounts)>,
    from: u64,
    until: u64,
    /// The border that was made for it.
    border: Option<u64>,
    /// Whose it is, where that was booked.
    booked: Option<(ClassId, Start)>,
}

impl Timeline {
    #[must_use]
    pub fn trial(&self) -> Trial {
        let known = self.classes.iter().map(|class| class.known()).collect();
        Trial { known, taken: vec![] }
    }

    /// As [`Self::book`].
    pub fn try_book(&mut self, trial: &mut Trial, class: ClassId, start: &Start) {
        let slots = self.slots.len();
        let until = self.book(class, start);
        let border = (self.slots.len() > slots).then_some(start.until);
        let nodes = start.nodes.iter();
        let held = nodes.map(|(node, tasks)| (*node, self.held(class, *node, *tasks))).collect();
        let booked = Some((class, start.clone()));
        trial.taken.push(Taken { held, from: start.at, until, border, booked });
    }

    /// As [`Self::take`].
    pub fn try_take(&mut self, trial: &mut Trial, node: usize, amounts: Amounts, at: (u64, u64)) {
        let (from, until) = at;
        let amounts = amounts.min(self.least(node, from, until));
        self.take(node, amounts, from, until);
        let (held, border, booked) = (vec![(node, amounts)], None, None);
        trial.taken.push(Taken { held, from, until, border, booked });
    }

    pub fn take_back(&mut self, trial: Trial) {
        for Taken { held, from, until, border, booked } in trial.taken.into_iter().rev() {
            if let Some((class, start)) = booked {
                self.leave(class, &start, until);
            }
            self.give_back(held, from, until);
            if let Some(border) = border {
                self.slots.retain(|slot| slot.begin != border);
            }
        }
        // What was not found may be there now.
        let fresh = std::iter::repeat((0, 0));
        for (class, known) in self.classes.iter_mut().zip(trial.known.into_iter().chain(fresh)) {
            class.set_known(known);
        }
    }

    /// The next moment at which something else may be free.
    #[must_use]
    pub fn border_after(&self, at: u64) -> Option<u64> {
        let next = self.slots.partition_point(|slot| slot.begin <= at);
        self.slots.get(next).map(|slot| slot.begin)
    }

    /// The same nodes, if nothing ran.
    #[must_use]
    pub fn idle(&self) -> Self {
        let mut idle = Self { tenants: Tenants::default(), ..self.clone() };
        idle.slots.truncate(1);
        let slot = &mut idle.slots[0];
        let totals = self.capacity.iter().map(|capacity| self.totals[*capacity]).collect();
        *slot = super::slot::Slot::new(slot.begin, totals);
        slot.sights.clone_from(&self.slots[0].sights);
        for class in &mut idle.classes {
            class.set_known((0, 0));
        }
        idle
    }
}
