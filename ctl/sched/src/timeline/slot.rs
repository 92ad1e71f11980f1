//! One stretch of time, in which what is free stays the same.

use super::{Sight, amount::Packing, ask::Packed};

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
        Self { begin, free, changes: 0, sights: vec![], known: vec![], bits: vec![] }
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

    /// Gives back amounts of nodes of that capacity, and sets the bits of the shapes that fit.
    pub(super) fn give_back(
        &mut self,
        nodes: &[(usize, usize, u64)],
        totals: &[u64],
        shapes: &[Packed],
        packing: &Packing,
    ) {
        let words = self.words();
        for (node, capacity, amounts) in nodes {
            let free = &mut self.free[*node];
            *free = packing.plus(*free, *amounts, totals[*capacity]);
        }
        let made = self.known.iter_mut().enumerate().filter(|(_, known)| known.made.is_some());
        for (shape, known) in made {
            let bits = &mut self.bits[shape * words..][..words];
            for (node, capacity, _) in nodes {
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
