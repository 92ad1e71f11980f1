//! Where and when there is room.

use super::{
    Timeline,
    ask::{Ask, ClassId, ShapeId, Start},
    choice::Choice,
    slot::Slot,
};

/// Words of nodes that are looked at together.
const BLOCK: usize = 4;

/// Equal requests, and how far the search for them has come.
#[derive(Clone, Debug)]
pub(super) struct Class {
    pub(super) ask: Ask,
    /// There is no room that begins earlier; `u64::MAX`: none at all.
    from: u64,
    /// There is none at that moment on the nodes of earlier words, for a job of one node.
    word: usize,
}

impl Class {
    /// How far the search has come.
    pub(super) fn known(&self) -> (u64, usize) {
        (self.from, self.word)
    }

    pub(super) fn set_known(&mut self, known: (u64, usize)) {
        (self.from, self.word) = known;
    }

    /// Something was given back from that moment on, so that there may be room for whatever would
    /// still run then.
    pub(super) fn look_again(&mut self, from: u64) {
        let reaches = self.ask.limit.map_or(0, |limit| from.saturating_sub(limit));
        (self.from, self.word) = (self.from.min(reaches), 0);
    }
}

/// The slots that a run would take.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    pub(super) from: usize,
    pub(super) to: usize,
}

/// A bit that was found to be stale: a slot and a node.
type Stale = (usize, usize);

impl Timeline {
    /// Makes an ask known. What is known of smaller ones counts for it, too: where less does not
    /// fit, nor does more.
    pub fn class(&mut self, ask: &Ask) -> ClassId {
        if let Some(known) = self.class_ids.get(ask) {
            return *known;
        }
        let id = ClassId(self.classes.len());
        let alike = self.alike.entry((ask.shape, ask.mask)).or_default();
        let less = alike.iter().map(|id| &self.classes[id.0]);
        let less = less.filter(|class| {
            let free = class.ask.required.is_empty() || class.ask.required == ask.required;
            free && ask.dominates(&class.ask)
        });
        let from = less.map(|class| class.from).max().unwrap_or(0);
        alike.push(id);
        self.classes.push(Class { ask: ask.clone(), from, word: 0 });
        self.class_ids.insert(ask.clone(), id);
        id
    }

    #[must_use]
    pub fn ask(&self, class: ClassId) -> &Ask {
        &self.classes[class.0].ask
    }

    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// The first moment from which on there is room for the class until its limit, and where; none
    /// where there is not up to `latest`.
    pub fn earliest(&mut self, class: ClassId, latest: u64) -> Option<Start> {
        self.earliest_from(class, 0, latest)
    }

    /// The same, of those at `least` or later.
    pub fn earliest_from(&mut self, class: ClassId, least: u64, latest: u64) -> Option<Start> {
        let begin = self.classes[class.0].from;
        if begin == u64::MAX || begin.max(least) > latest {
            return None;
        }
        let ask = self.classes[class.0].ask.clone();
        let mut from = self.position(begin);
        let first = self.slots.partition_point(|slot| slot.begin < least);
        // What is passed over was not looked at.
        let all = first <= from;
        from = from.max(first);
        let mut counted = from;
        while from < self.slots.len() && self.slots[from].begin <= latest {
            let begin = self.slots[from].begin;
            let until = self.through(&ask, from);
            let to = self.end(until).max(from + 1);
            if let Some(scarce) = self.scarce(&ask, counted.max(from), to) {
                from = scarce + 1;
                counted = from;
                continue;
            }
            counted = to;
            if let Some(nodes) = self.room(class, &ask, Stretch { from, to }) {
                if all {
                    let word = if is_single(&ask) { nodes[0].0 / 64 } else { 0 };
                    let class = &mut self.classes[class.0];
                    (class.from, class.word) = (begin, word);
                }
                return Some(Start { at: begin, until, nodes });
            }
            from += 1;
        }
        if all {
            let seen = self.slots.get(from).map_or(u64::MAX, |slot| slot.begin);
            let class = &mut self.classes[class.0];
            (class.from, class.word) = (seen, 0);
        }
        None
    }

    /// Until when, from this moment on and without a break, one of the nodes has room for a task.
    /// `u64::MAX`: for ever. This moment: not even now.
    #[must_use]
    pub fn reach(&self, shape: ShapeId, nodes: impl IntoIterator<Item = usize>) -> u64 {
        let mut reach = self.slots[0].begin;
        for node in nodes {
            let Some(least) = self.shapes[shape.0].least[self.capacity[node]] else { continue };
            let full = |slot: &&Slot| !self.packing.fits(least, slot.free[node]);
            let until = self.slots.iter().find(full).map_or(u64::MAX, |slot| slot.begin);
            reach = reach.max(until);
        }
        reach
    }

    /// Whether there would be room if the nodes were idle.
    #[must_use]
    pub fn could(&self, class: ClassId) -> bool {
        let ask = &self.classes[class.0].ask;
        let packed = &self.shapes[ask.shape.0];
        let tasks = |node: usize| {
            let capacity = self.capacity[node];
            packed.tasks(&self.packing, capacity, self.left_idle(ask, self.totals[capacity]))
        };
        let mask = self.masks[ask.mask.0].iter().enumerate();
        let nodes = mask.flat_map(|(at, bits)| ones(*bits).map(move |bit| at * 64 + bit));
        let others = nodes.filter(|node| ask.required.binary_search(node).is_err());
        let mut others: Vec<_> = others.map(|node| (node, tasks(node))).collect();
        others.retain(|(_, tasks)| *tasks > 0);
        let mut fitting: Vec<_> = ask.required.iter().map(|node| (*node, tasks(*node))).collect();
        let named = fitting.iter().all(|(_, tasks)| *tasks > 0);
        fitting.append(&mut others);
        named && self.chosen(ask, None, fitting).is_some()
    }

    /// The first of the slots in which too few nodes have room, if there is one.
    fn scarce(&mut self, ask: &Ask, from: usize, to: usize) -> Option<usize> {
        let shape = ask.shape.0;
        (from..to).find(|slot| {
            if ask.veil.is_some() && self.seen(ask, &self.slots[*slot]) < ask.nodes_min {
                return true;
            }
            let (packed, slot) = (&self.shapes[shape], &mut self.slots[*slot]);
            slot.count(shape, packed, &self.packing, &self.uniform, &self.capacity) < ask.nodes_min
        })
    }

    /// The nodes that have room for the whole stretch, if they suffice.
    fn room(&mut self, class: ClassId, ask: &Ask, stretch: Stretch) -> Option<Vec<(usize, u32)>> {
        let begin = self.slots[stretch.from].begin;
        let known = &self.classes[class.0];
        let word = if known.from == begin { known.word } else { 0 };
        let mut stale = Vec::new();
        let found = if is_single(ask) {
            self.first(ask, stretch, word, &mut stale).map(|node| vec![(node, 1)])
        } else {
            self.several(ask, stretch, &mut stale)
        };
        for (slot, node) in stale {
            self.slots[slot].clear(ask.shape.0, node);
        }
        found
    }

    /// The first node with room, not before those of `word`.
    fn first(
        &self,
        ask: &Ask,
        stretch: Stretch,
        word: usize,
        stale: &mut Vec<Stale>,
    ) -> Option<usize> {
        let words = self.uniform.len();
        let first = word / BLOCK * BLOCK;
        (first..words).step_by(BLOCK).find_map(|at| {
            let (bits, wide) = self.block(ask, stretch, at);
            let mut nodes = bits[..wide]
                .iter()
                .enumerate()
                .flat_map(|(word, bits)| ones(*bits).map(move |bit| (at + word) * 64 + bit));
            nodes.find(|node| self.tasks(ask, stretch, *node, stale) > 0)
        })
    }

    /// Where the bits of all slots are set, for the nodes of a few words.
    fn block(&self, ask: &Ask, stretch: Stretch, at: usize) -> ([u64; BLOCK], usize) {
        let mask = &self.masks[ask.mask.0];
        let wide = BLOCK.min(mask.len() - at);
        let mut bits = [0; BLOCK];
        bits[..wide].copy_from_slice(&mask[at..at + wide]);
        for slot in &self.slots[stretch.from..stretch.to] {
            let fits = &slot.bits(ask.shape.0)[at..at + wide];
            let mut left = 0;
            for (bits, fits) in bits.iter_mut().zip(fits) {
                *bits &= fits;
                left |= *bits;
            }
            if let Some(open) = self.open(ask, slot) {
                left = 0;
                for (bits, open) in bits.iter_mut().zip(&open[at..at + wide]) {
                    *bits &= open;
                    left |= *bits;
                }
            }
            if left == 0 {
                break;
            }
        }
        (bits, wide)
    }

    /// How many tasks fit on the node for the whole stretch.
    pub(super) fn tasks(
        &self,
        ask: &Ask,
        stretch: Stretch,
        node: usize,
        stale: &mut Vec<Stale>,
    ) -> u32 {
        let (packed, capacity) = (&self.shapes[ask.shape.0], self.capacity[node]);
        let Some(least) = packed.least[capacity] else {
            return 0;
        };
        let mut free = u64::MAX >> 1;
        for (at, slot) in (stretch.from..).zip(&self.slots[stretch.from..stretch.to]) {
            let there = slot.free[node];
            if ask.veil.is_some() && self.hides(ask, slot, node) {
                return 0;
            }
            if !self.packing.fits(least, there) {
                stale.push((at, node));
                return 0;
            }
            free = if at == stretch.from { there } else { self.packing.min(free, there) };
        }
        if ask.manner.tenant.is_some() {
            match self.left_to(ask, stretch, node, free) {
                Some(left) if self.packing.fits(least, left) => free = left,
                Some(_) | None => return 0,
            }
        }
        if ask.is_elastic() { packed.tasks(&self.packing, capacity, free) } else { 1 }
    }

    fn several(
        &self,
        ask: &Ask,
        stretch: Stretch,
        stale: &mut Vec<Stale>,
    ) -> Option<Vec<(usize, u32)>> {
        let mut fitting = Vec::new();
        for node in &ask.required {
            match self.tasks(ask, stretch, *node, stale) {
                0 => return None,
                tasks => fitting.push((*node, tasks)),
            }
        }
        let words = self.uniform.len();
        let mut blocks = Vec::with_capacity(words.next_multiple_of(BLOCK));
        for at in (0..words).step_by(BLOCK) {
            blocks.extend(self.block(ask, stretch, at).0);
        }
        let count: u32 = blocks.iter().map(|bits| bits.count_ones()).sum();
        if count < ask.nodes_min {
            return None;
        }
        let suffices = |fitting: &[(usize, u32)], room: u64| {
            let nodes = fitting.len();
            // What is counted may be among the last of them.
            ask.counts.is_empty()
                && ask.manner.choice == Choice::First
                && room >= u64::from(ask.tasks)
                && nodes >= ask.nodes_min as usize
                && nodes <= ask.nodes_max as usize
        };
        let mut room: u64 = fitting.iter().map(|(_, tasks)| u64::from(*tasks)).sum();
        let bits = blocks.iter().enumerate();
        let mut nodes = bits.flat_map(|(at, bits)| ones(*bits).map(move |bit| at * 64 + bit));
        while !suffices(&fitting, room) {
            let Some(node) = nodes.next() else { break };
            if ask.required.binary_search(&node).is_ok() {
                continue;
            }
            let tasks = self.tasks(ask, stretch, node, stale);
            if tasks > 0 {
                room += u64::from(tasks);
                fitting.push((node, tasks));
            }
        }
        self.chosen(ask, Some(stretch.from), fitting)
    }

    /// Chooses among the nodes on which as many tasks fit, of which the required ones come first.
    pub(super) fn choose(
        &self,
        ask: &Ask,
        mut fitting: Vec<(usize, u32)>,
    ) -> Option<Vec<(usize, u32)>> {
        let named = ask.required.len();
        let chosen = self.counted(ask, &fitting);
        if chosen.is_some() || fitting.len() <= ask.nodes_max as usize {
            return chosen;
        }
        // Few nodes may be had: those come first that take most.
        fitting[named..].sort_by_key(|(_, tasks)| std::cmp::Reverse(*tasks));
        self.counted(ask, &fitting)
    }

    /// The first of them that are enough, with all that is counted among them.
    fn counted(&self, ask: &Ask, fitting: &[(usize, u32)]) -> Option<Vec<(usize, u32)>> {
        if ask.counts.is_empty() {
            return ask.spread(fitting, 0);
        }
        let (ordered, must) = self.ordered(ask, fitting)?;
        ask.spread(&ordered, must)
    }

    /// Those first that are required or counted, and how many these are.
    pub(super) fn ordered(
        &self,
        ask: &Ask,
        fitting: &[(usize, u32)],
    ) -> Option<(Vec<(usize, u32)>, usize)> {
        let taken = self.counted_among(ask, fitting)?;
        let must = |at: &usize| *at < ask.required.len() || taken.binary_search(at).is_ok();
        let (first, others): (Vec<usize>, Vec<usize>) = (0..fitting.len()).partition(must);
        let ordered = first.iter().chain(&others).map(|at| fitting[*at]).collect();
        Some((ordered, first.len()))
    }
}

/// Whether any one node will do.
fn is_single(ask: &Ask) -> bool {
    ask.nodes_min == 1
        && !ask.is_elastic()
        && ask.required.is_empty()
        && ask.counts.is_empty()
        && matches!(ask.manner.choice, Choice::First | Choice::InARow | Choice::Spread)
}

/// The places of the set bits.
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        place
    })
}
