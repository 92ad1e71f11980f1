//! Nodes beside few switches (`topology/tree`).

use std::cmp::Reverse;

use super::{Timeline, ask::Ask};

/// A switch, and which nodes are below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// 0: nodes are beside it.
    pub level: u32,
    /// A bit for each node.
    pub nodes: Vec<u64>,
}

/// What a job wants of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaves {
    /// No more than so many,
    pub most: u32,
    /// as long as it starts before this moment.
    pub until: u64,
}

impl Switch {
    fn has(&self, node: usize) -> bool {
        self.nodes[node / 64] >> (node % 64) & 1 == 1
    }
}

type Nodes = Vec<(usize, u32)>;

impl Timeline {
    /// Says which switches there are, those below before those above. Each node is below one that
    /// is a leaf.
    pub fn connect(&mut self, switches: Vec<Switch>) {
        self.leaf = vec![usize::MAX; self.capacity.len()];
        for (at, switch) in switches.iter().enumerate().filter(|(_, switch)| switch.level == 0) {
            for (node, leaf) in self.leaf.iter_mut().enumerate() {
                if switch.has(node) {
                    *leaf = at;
                }
            }
        }
        self.beneath = vec![vec![]; switches.len()];
        let mut known = vec![false; switches.len()];
        for (node, leaf) in self.leaf.iter().enumerate() {
            if !std::mem::replace(&mut known[*leaf], true) {
                let above = switches.iter().enumerate().filter(|(_, switch)| switch.has(node));
                above.for_each(|(at, _)| self.beneath[at].push(*leaf));
            }
        }
        self.switches = switches;
    }

    /// The best fit below the lowest switch that suffices; of several, the one with the least
    /// room. Lighter nodes come first, as far as they suffice.
    pub(super) fn below_one(
        &self,
        ask: &Ask,
        slot: Option<usize>,
        fitting: &[(usize, u32)],
        leaves: Option<Leaves>,
    ) -> Option<Nodes> {
        let begins = slot.map(|slot| self.slots[slot].begin);
        // On idle nodes nobody asks when.
        let bound = leaves.filter(|leaves| begins.is_some_and(|begin| begin < leaves.until));
        let most = bound.map_or(usize::MAX, |leaves| leaves.most as usize);
        let weight = |one: &(usize, u32)| self.seat_of(one.0).weight;
        let mut weights: Vec<u32> = fitting.iter().map(weight).collect();
        weights.sort_unstable();
        weights.dedup();
        weights.into_iter().find_map(|heaviest| {
            let named = |one: &(usize, u32)| ask.required.binary_search(&one.0).is_ok();
            let light = fitting.iter().filter(|one| weight(one) <= heaviest || named(one));
            self.below(ask, &light.copied().collect::<Nodes>(), most)
        })
    }

    fn below(&self, ask: &Ask, fitting: &[(usize, u32)], most: usize) -> Option<Nodes> {
        // What each leaf has, and from that each switch: nodes are gone through once.
        let mut rooms = vec![(0_u64, 0_usize); self.switches.len()];
        for (node, tasks) in fitting {
            let (room, count) = &mut rooms[self.leaf[*node]];
            *room += u64::from(*tasks);
            *count += 1;
        }
        let mut candidates: Vec<(u32, u64, usize)> = Vec::new();
        for (at, switch) in self.switches.iter().enumerate() {
            let leaves = self.beneath[at].iter().map(|leaf| rooms[*leaf]);
            let (room, count) = leaves.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            let named = ask.required.iter().all(|node| switch.has(*node));
            if named && room >= u64::from(ask.tasks) && count >= ask.nodes_min as usize {
                candidates.push((switch.level, room, at));
            }
        }
        candidates.sort_unstable();
        candidates.into_iter().find_map(|(.., at)| {
            let there = fitting.iter().filter(|one| self.switches[at].has(one.0)).copied();
            let chosen = self.choose(ask, self.leaf_by_leaf(ask, there.collect()))?;
            (self.leaves_of(&chosen) <= most).then_some(chosen)
        })
    }

    fn leaves_of(&self, nodes: &[(usize, u32)]) -> usize {
        let mut leaves: Vec<usize> = nodes.iter().map(|(node, _)| self.leaf[*node]).collect();
        leaves.sort_unstable();
        leaves.dedup();
        leaves.len()
    }

    /// The nodes in the order in which leaves are filled: those of the required ones first, then
    /// the smallest leaf that suffices for the rest, else the largest.
    fn leaf_by_leaf(&self, ask: &Ask, there: Nodes) -> Nodes {
        let named = ask.required.len();
        let mut ordered: Nodes = there[..named].to_vec();
        let own: Vec<usize> = ordered.iter().map(|(node, _)| self.leaf[*node]).collect();
        let mut left = there[named..].to_vec();
        left.sort_by_key(|(node, _)| self.leaf[*node]);
        let mut leaves: Vec<Nodes> = left
            .chunk_by(|one, other| self.leaf[one.0] == self.leaf[other.0])
            .map(<[_]>::to_vec)
            .collect();
        leaves.sort_by_key(|leaf| Reverse(room(leaf)));
        // Beside the required ones first.
        leaves.sort_by_key(|leaf| !own.contains(&self.leaf[leaf[0].0]));
        let beside = leaves.iter().filter(|leaf| own.contains(&self.leaf[leaf[0].0])).count();
        ordered.extend(leaves.drain(..beside).flatten());
        while !leaves.is_empty() {
            let tasks = u64::from(ask.tasks).saturating_sub(room(&ordered));
            let nodes = (ask.nodes_min as usize).saturating_sub(ordered.len());
            let suffices = |leaf: &Nodes| room(leaf) >= tasks && leaf.len() >= nodes;
            // They are the larger, the earlier.
            let next = leaves.iter().rposition(suffices).unwrap_or(0);
            ordered.extend(leaves.remove(next));
        }
        ordered
    }
}

fn room(nodes: &[(usize, u32)]) -> u64 {
    nodes.iter().map(|(_, tasks)| u64::from(*tasks)).sum()
}
