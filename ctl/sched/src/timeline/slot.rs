//! One stretch of time, in which what is free stays the same.

use std::collections::BTreeMap;

use super::{
    Sight,
    amount::{Amounts, Packing},
    ask::Packed,
};

/// What is given back of a node.
pub(super) struct Given {
    pub(super) node: usize,
    /// The node's place among the capacities.
    pub(super) capacity: usize,
    pub(super) amounts: Amounts,
    /// The same, if it is no more than nodes have.
    pub(super) packed: Option<u64>,
}

/// What is known of where one shape fits.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// The slot's count of changes when the bits were made; none: they were not.
    made: Option<u32>,
    /// How many bits are set.
    count: u32,
}

/// See the module. It lasts until the next one begins.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) begin: u64,
    /// By node, packed.
    pub(super) free: Vec<u64>,
    /// By node, what runs hold beyond all that it has, since it has become smaller.
    beyond: BTreeMap<usize, Amounts>,
    /// How many nodes' shares were taken since the beginning of the plan.
    pub(super) changes: u32,
    /// What is seen through each veil.
    pub(super) sights: Vec<Sight>,
    known: Vec<Known>,
    /// For each shape a bit for each node: clear where it does not fit. Set bits may be stale.
    bits: Vec<u64>,
}

impl Slot {
    pub(super) fn new(begin: u64, free: Vec<u64>) -> Self {
        let (beyond, sights, known, bits) = (BTreeMap::new(), vec![], vec![], vec![]);
        Self { begin, free, beyond, changes: 0, sights, known, bits }
    }

    /// The same from another moment on.
    pub(super) fn again(&self, begin: u64) -> Self {
        Self { begin, ..self.clone() }
    }

    pub(super) fn bytes(&self) -> usize {
        8 * (self.free.capacity() + self.bits.capacity()) + 12 * self.known.capacity()
    }

    fn words(&self) -> usize {
        self.free.len().div_ceil(64)
    }

    /// On how many nodes the shape may fit at most. Finds out where that is not known, or where so
    /// much was taken since that it would be far too many.
    pub(super) fn count(
        &mut self,
        shape: usize,
        packed: &Packed,
        packing: &Packing,
        uniform: &[Option<usize>],
        capacity: &[usize],
    ) -> u32 {
        let words = self.words();
        if shape >= self.known.len() {
            self.known.resize(shape + 1, Known { made: None, count: 0 });
            self.bits.resize((shape + 1) * words, 0);
        }
        let stale = u32::try_from(self.free.len() / 16).unwrap_or(u32::MAX).max(16);
        let known = self.known[shape];
        let fresh = |made: u32| known.count == 0 || self.changes - made <= stale;
        if known.made.is_some_and(fresh) {
            return known.count;
        }
        let bits = &mut self.bits[shape * words..][..words];
        let mut count = 0;
        for ((at, free), word) in self.free.chunks(64).enumerate().zip(bits) {
            *word = match uniform[at] {
                Some(capacity) => match packed.least[capacity] {
                    Some(least) => packing.fitting(least, free),
                    None => 0,
                },
                None => free.iter().enumerate().fold(0, |word, (bit, free)| {
                    let least = packed.least[capacity[at * 64 + bit]];
                    let fits = least.is_some_and(|least| packing.fits(least, *free));
                    word | u64::from(fits) << bit
                }),
            };
            count += word.count_ones();
        }
        self.known[shape] = Known { made: Some(self.changes), count };
        count
    }

    /// The bits of a shape that was counted.
    pub(super) fn bits(&self, shape: usize) -> &[u64] {
        let words = self.words();
        &self.bits[shape * words..][..words]
    }

    /// The shape does not fit on the node.
    pub(super) fn clear(&mut self, shape: usize, node: usize) {
        let word = &mut self.bits[shape * self.free.len().div_ceil(64) + node / 64];
        let bit = 1 << (node % 64);
        if *word & bit != 0 {
            *word &= !bit;
            self.known[shape].count -= 1;
        }
    }

    pub(super) fn set_beyond(&mut self, node: usize, amounts: Amounts) {
        if amounts == Amounts::NONE {
            self.beyond.remove(&node);
        } else {
            self.beyond.insert(node, amounts);
        }
    }

    /// What the node has of what is given back.
    fn of_its_own(&mut self, given: &Given) -> Amounts {
        let Some(beyond) = self.beyond.get(&given.node).copied() else { return given.amounts };
        self.set_beyond(given.node, beyond.without(given.amounts));
        given.amounts.without(beyond)
    }

    /// Takes amounts of a node; what there is not, is held beyond what it has.
    pub(super) fn hold(&mut self, node: usize, amounts: Amounts, packing: &Packing) {
        let there = amounts.min(packing.unpacked(self.free[node]));
        self.free[node] -= packing.asked(there).expect("as much is free");
        self.changes += 1;
        let known = self.beyond.get(&node).copied().unwrap_or(Amounts::NONE);
        self.set_beyond(node, known.plus(amounts.without(there)));
    }

    /// Gives back amounts of nodes, and sets the bits of the shapes that fit.
    pub(super) fn give_back(
        &mut self,
        nodes: &[Given],
        totals: &[u64],
        shapes: &[Packed],
        packing: &Packing,
    ) {
        let words = self.words();
        for given in nodes {
            let packed = if self.beyond.is_empty() {
                given.packed
            } else {
                packing.asked(self.of_its_own(given))
            };
            let packed = packed.expect("what was taken can be packed");
            let free = &mut self.free[given.node];
            *free = packing.plus(*free, packed, totals[given.capacity]);
        }
        let made = self.known.iter_mut().enumerate().filter(|(_, known)| known.made.is_some());
        for (shape, known) in made {
            let bits = &mut self.bits[shape * words..][..words];
            for Given { node, capacity, .. } in nodes {
                let (word, bit) = (&mut bits[node / 64], 1 << (node % 64));
                let least = shapes[shape].least[*capacity];
                if *word & bit == 0
                    && least.is_some_and(|least| packing.fits(least, self.free[*node]))
                {
                    *word |= bit;
                    known.count += 1;
                }
            }
        }
    }
}
