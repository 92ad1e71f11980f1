//! Which of the nodes that have room a job is given, where not simply the first of them.

use std::cmp::Reverse;

use common::job::assign;

use super::{Timeline, ask::Ask, tree::Leaves};

/// How nodes are chosen for a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Choice {
    /// The first ones, with as many tasks on each as fit.
    #[default]
    First,
    /// Such as follow each other.
    InARow,
    /// As many as there are tasks, with about as many on each.
    Spread,
    /// Those with the most idle CPUs.
    Idlest,
    /// Beside as few switches as may be.
    Close(Option<Leaves>),
}

/// Where a node stands among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    pub weight: u32,
    /// Those whose ranks follow each other stand beside each other.
    pub rank: usize,
}

/// Nodes, and the tasks on each.
type Nodes = Vec<(usize, u32)>;

impl Timeline {
    /// Says where the nodes stand. As long as nobody does, it is by their numbers, and all weigh
    /// the same.
    pub fn seat(&mut self, seats: Vec<Seat>) {
        self.seats = seats;
    }

    pub(super) fn seat_of(&self, node: usize) -> Seat {
        self.seats.get(node).copied().unwrap_or(Seat { weight: 0, rank: node })
    }

    /// Chooses among the nodes on which as many tasks fit, of which the required ones come first.
    /// `slot` is where the job would start, if that is known.
    pub(super) fn chosen(&self, ask: &Ask, slot: Option<usize>, fitting: Nodes) -> Option<Nodes> {
        match ask.manner.choice {
            Choice::First => self.choose(ask, fitting),
            Choice::InARow => self.in_a_row(ask, fitting),
            Choice::Spread => self.evenly(ask, fitting),
            Choice::Close(leaves) => self.below_one(ask, slot, &fitting, leaves),
            Choice::Idlest => self.choose(ask, self.idlest_first(ask, slot, fitting)),
        }
    }

    /// The lightest row that suffices, and of these the tightest, as Slurm's best fit.
    fn in_a_row(&self, ask: &Ask, mut fitting: Nodes) -> Option<Nodes> {
        fitting.sort_by_key(|(node, _)| self.seat_of(*node).rank);
        let follows = |one: &(usize, u32), other: &(usize, u32)| {
            self.seat_of(one.0).rank + 1 == self.seat_of(other.0).rank
        };
        let rows = fitting.chunk_by(follows).filter_map(|row| {
            let chosen = self.of_row(ask, row)?;
            let heaviest = chosen.iter().map(|(node, _)| self.seat_of(*node).weight).max();
            Some(((heaviest, room(row)), chosen))
        });
        rows.min_by_key(|(key, _)| *key).map(|(_, chosen)| chosen)
    }

    /// The fewest of a row that are enough, and have all among them that must be; of as many, the
    /// first.
    fn of_row(&self, ask: &Ask, row: &[(usize, u32)]) -> Option<Nodes> {
        let any = ask.required.is_empty() && ask.counts.is_empty();
        if !any && !self.has_all(ask, row) {
            return None;
        }
        let is_required = |(node, _): &(usize, u32)| ask.required.contains(node);
        let first = row.iter().position(is_required).unwrap_or(row.len());
        let span = row.iter().rposition(is_required).map_or(0, |last| last + 1 - first);
        let least = (ask.nodes_min as usize).max(span);
        let most = row.len().min(ask.nodes_max as usize);
        // More nodes than least help only where some must be among them.
        let most = if any { most.min(least) } else { most };
        (least..=most).find_map(|must| {
            let mut left = room(row);
            for from in 0..row.len().min(first + 1) {
                let rest = &row[from..];
                if left < u64::from(ask.tasks) || rest.len() < must {
                    return None;
                }
                left -= u64::from(row[from].1);
                let chosen = ask.spread(rest, must).filter(|chosen| self.has_all(ask, chosen));
                if chosen.is_some() {
                    return chosen;
                }
            }
            None
        })
    }

    fn has_all(&self, ask: &Ask, chosen: &[(usize, u32)]) -> bool {
        let has = |node: &usize| chosen.iter().any(|(other, _)| other == node);
        ask.required.iter().all(has) && self.counted_among(ask, chosen).is_some()
    }

    /// Which of the nodes are those that are counted.
    pub(super) fn counted_among(&self, ask: &Ask, nodes: &[(usize, u32)]) -> Option<Vec<usize>> {
        let counts: Vec<u32> = ask.counts.iter().map(|(_, count)| *count).collect();
        let has = |thing: usize, at: usize| {
            let (node, mask) = (nodes[at].0, ask.counts[thing].0);
            self.masks[mask.0][node / 64] & (1 << (node % 64)) != 0
        };
        assign(&counts, ask.apart, nodes.len(), &has)
    }

    fn evenly(&self, ask: &Ask, mut fitting: Nodes) -> Option<Nodes> {
        let most = ask.tasks.min(ask.nodes_max) as usize;
        let chosen = self.even(ask, &fitting, most);
        if chosen.is_some() || fitting.len() <= most {
            return chosen;
        }
        fitting[ask.required.len()..].sort_by_key(|(_, tasks)| Reverse(*tasks));
        self.even(ask, &fitting, most)
    }

    /// The first `most` of the nodes, or more where they must be, with about as many tasks on each.
    fn even(&self, ask: &Ask, fitting: &[(usize, u32)], most: usize) -> Option<Nodes> {
        let (mut nodes, must) = self.ordered(ask, fitting)?;
        nodes.truncate(most.max(must));
        let count = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
        let enough = room(&nodes) >= u64::from(ask.tasks);
        if !enough || !(ask.nodes_min..=ask.nodes_max).contains(&count) {
            return None;
        }
        let mut left = ask.tasks.saturating_sub(count);
        let mut chosen: Nodes = nodes.iter().map(|(node, _)| (*node, 1)).collect();
        while left > 0 {
            let full = |(one, (_, fits)): &(&mut (usize, u32), &(usize, u32))| one.1 >= *fits;
            let open = chosen.iter_mut().zip(&nodes).filter(|pair| !full(pair));
            for (one, _) in open.take(left as usize) {
                one.1 += 1;
                left -= 1;
            }
        }
        Some(chosen)
    }

    fn idlest_first(&self, ask: &Ask, slot: Option<usize>, mut fitting: Nodes) -> Nodes {
        let Some(slot) = slot else { return fitting };
        let idle = |node: usize| self.packing.unpacked(self.slots[slot].free[node]).0[0];
        let others = &mut fitting[ask.required.len()..];
        others.sort_by_key(|(node, _)| (self.seat_of(*node).weight, Reverse(idle(*node))));
        fitting
    }
}

fn room(nodes: &[(usize, u32)]) -> u64 {
    nodes.iter().map(|(_, tasks)| u64::from(*tasks)).sum()
}
