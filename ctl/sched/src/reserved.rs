//! Reservations in one pass: each way in which jobs may start sees the timeline through a veil of
//! its own.

use std::collections::BTreeMap;

use common::{
    machine::{State, Way},
    reservation::{Flag, Reservation},
    time::{Span, Timestamp},
};

use crate::{
    board::Board,
    timeline::{Sight, VeilId},
};

/// How many moments at which a reservation begins or ends are borders of the timeline, at most.
/// Beyond them it counts from the border before it to the one after it.
const BORDERS: usize = 512;

/// See the module.
pub(crate) struct Reserved<'a> {
    /// Those that hold, or will.
    all: Vec<&'a Reservation>,
    now: Timestamp,
    window: Span,
    /// By the reservation's number; none: of whoever is in none.
    veils: BTreeMap<Option<u32>, VeilId>,
}

impl<'a> Reserved<'a> {
    pub(crate) fn of(view: &'a State, now: Timestamp, window: Span) -> Self {
        let all = view.reservations.iter().filter(|one| one.instance(now).is_some());
        Self { all: all.collect(), now, window, veils: BTreeMap::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// When they begin and end.
    pub(crate) fn borders(&self) -> Vec<u64> {
        let mut borders = Vec::new();
        for one in &self.all {
            let mut at = self.now;
            while let Some(instance) = one.instance(at)
                && (one.period().is_none() || instance.start < self.now + self.window)
            {
                borders.extend([instance.start.0, instance.end.0]);
                at = instance.end;
            }
        }
        borders.sort_unstable();
        borders.dedup();
        borders.truncate(BORDERS);
        borders
    }

    /// When one begins or ends next.
    pub(crate) fn next_border(&self, now: Timestamp) -> Option<Timestamp> {
        self.all.iter().filter_map(|one| one.border_after(now)).min()
    }

    /// The veil of each way; none where there is no way.
    pub(crate) fn veils(
        &mut self,
        board: &mut Board,
        ways: &[Way<'a>],
    ) -> Option<Vec<Option<VeilId>>> {
        let open = |way: &&Way<'_>| match way {
            Way::Free => true,
            Way::In(one) => one.instance(self.now).is_some(),
        };
        let ways: Vec<&Way<'_>> = ways.iter().filter(open).collect();
        let veils: Vec<_> = ways.into_iter().map(|way| self.veil(board, *way)).collect();
        (!veils.is_empty()).then_some(veils)
    }

    /// None where nothing is hidden from who goes that way.
    fn veil(&mut self, board: &mut Board, way: Way<'a>) -> Option<VeilId> {
        if self.all.is_empty() {
            return None;
        }
        let key = match way {
            Way::Free => None,
            Way::In(one) => Some(one.number),
        };
        if let Some(known) = self.veils.get(&key) {
            return Some(*known);
        }
        let minded: Vec<_> = self.all.iter().filter(|one| way.minds(one)).copied().collect();
        // Of the same reservations, the same nodes are open.
        let mut known = BTreeMap::new();
        let mut sights = Vec::new();
        for (begin, end) in board.timeline.spans() {
            let (begin, end) = (Timestamp(begin), Timestamp(end));
            let inside = inside(way, begin, end);
            let there: Vec<_> = minded.iter().filter(|one| one.overlaps(begin, end)).collect();
            let key: (bool, Vec<u32>) =
                (inside.is_some(), there.iter().map(|o| o.number).collect());
            let open = *known.entry(key).or_insert_with(|| {
                let own = inside.flatten();
                (inside.is_none() || own.is_some() || !there.is_empty()).then(|| {
                    let open = |at: &usize| {
                        let name = &board.shares[*at].name;
                        inside.is_some()
                            && own.is_none_or(|own| own.nodes.contains(name))
                            && !there.iter().any(|one| one.nodes.contains(name))
                    };
                    let nodes: Vec<usize> = (0..board.shares.len()).filter(open).collect();
                    board.timeline.mask(nodes)
                })
            });
            let ends = way.ends(begin).map_or(u64::MAX, |ends| ends.0);
            sights.push(Sight { open, ends });
        }
        let veil = board.timeline.veil(&sights);
        self.veils.insert(key, veil);
        Some(veil)
    }
}

/// Whether the way is open from `begin` to `end`; and the reservation that bounds it, where one
/// does.
fn inside(way: Way<'_>, begin: Timestamp, end: Timestamp) -> Option<Option<&Reservation>> {
    match way {
        Way::In(one) if !one.flags.has(Flag::Flex) => {
            let instance = one.instance(begin)?;
            (instance.holds(begin) && end <= instance.end).then_some(Some(one))
        }
        Way::In(_) | Way::Free => Some(None),
    }
}
