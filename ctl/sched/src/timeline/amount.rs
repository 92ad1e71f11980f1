//! Amounts of what nodes have, and how they are packed into one word.

/// How many kinds of resources are planned at most.
pub const KINDS: usize = 2 + common::config::MOST_KINDS;

/// CPUs, MiB of memory, and then generic resources, of which each kind of node has its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amounts(pub [u64; KINDS]);

impl Amounts {
    pub const NONE: Self = Self([0; KINDS]);

    /// More of each kind than there is.
    pub const ALL: Self = Self([u64::MAX; KINDS]);

    /// The first kinds; of the others, nothing.
    #[must_use]
    pub fn of<const N: usize>(first: [u64; N]) -> Self {
        Self(std::array::from_fn(|kind| first.get(kind).copied().unwrap_or(0)))
    }

    /// Of each kind the larger one.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self(std::array::from_fn(|kind| self.0[kind].max(other.0[kind])))
    }

    /// Of each kind the smaller one.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self(std::array::from_fn(|kind| self.0[kind].min(other.0[kind])))
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|kind| self.0[kind].saturating_add(other.0[kind])))
    }

    /// What is left of each kind; nothing where the other has more.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|kind| self.0[kind].saturating_sub(other.0[kind])))
    }

    /// As much of each kind, so many times over. Saturates.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self(self.0.map(|amount| amount.saturating_mul(u64::from(times))))
    }
}

/// One kind's place in the word. Above its bits is one more, the guard.
#[derive(Clone, Copy, Debug)]
struct Field {
    shift: u32,
    bits: u32,
    /// Amounts are counted in this power of two.
    unit: u32,
}

/// How amounts lie in a word, so that one subtraction compares all kinds: each field has a guard
/// bit above it, which a borrow clears. The top bit of the word stays free.
///
/// A kind of which no node has anything has no place: what is asked of it is nowhere.
#[derive(Clone, Debug)]
pub(super) struct Packing {
    /// Of the kinds that there are.
    fields: Vec<Field>,
    /// For each of them, which kind it is.
    kinds: Vec<usize>,
    guards: u64,
}

impl Packing {
    /// Wide enough for `most` of each kind. Where that is more than a word holds, the widest kinds
    /// are counted in larger units: what is there is rounded down, and what is asked for up.
    pub(super) fn new(most: Amounts) -> Self {
        let kinds: Vec<usize> = (0..KINDS).filter(|kind| most.0[*kind] > 0).collect();
        let field = |kind: &usize| Field {
            shift: 0,
            bits: u64::BITS - most.0[*kind].leading_zeros(),
            unit: 0,
        };
        let mut fields: Vec<Field> = kinds.iter().map(field).collect();
        let width = |fields: &[Field]| fields.iter().map(|field| field.bits + 1).sum::<u32>();
        while width(&fields) > u64::BITS - 1 {
            let widest = fields.iter_mut().max_by_key(|field| field.bits);
            let widest = widest.expect("there are kinds of resources");
            widest.bits -= 1;
            widest.unit += 1;
        }
        let (mut shift, mut guards) = (0, 0);
        for field in &mut fields {
            field.shift = shift;
            guards |= 1 << (shift + field.bits);
            shift += field.bits + 1;
        }
        Self { fields, kinds, guards }
    }

    fn with(&self, amounts: Amounts) -> impl Iterator<Item = (&Field, u64)> {
        self.fields.iter().zip(self.kinds.iter().map(move |kind| amounts.0[*kind]))
    }

    /// What is there.
    pub(super) fn there(&self, amounts: Amounts) -> u64 {
        self.with(amounts).fold(0, |word, (field, amount)| {
            let most = (1 << field.bits) - 1;
            word | (amount >> field.unit).min(most) << field.shift
        })
    }

    /// The amounts of a word.
    pub(super) fn unpacked(&self, word: u64) -> Amounts {
        let mut amounts = Amounts::NONE;
        for (field, kind) in self.fields.iter().zip(&self.kinds) {
            amounts.0[*kind] = ((word >> field.shift) & ((1 << field.bits) - 1)) << field.unit;
        }
        amounts
    }

    /// What is asked for; nothing where no node has as much.
    pub(super) fn asked(&self, amounts: Amounts) -> Option<u64> {
        let placed = |kind: &usize| self.kinds.contains(kind);
        if (0..KINDS).any(|kind| amounts.0[kind] > 0 && !placed(&kind)) {
            return None;
        }
        let mut word = 0;
        for (field, amount) in self.with(amounts) {
            let amount = amount.div_ceil(1 << field.unit);
            if amount >> field.bits != 0 {
                return None;
            }
            word |= amount << field.shift;
        }
        Some(word)
    }

    /// Whether `asked` is no more than `there` in each kind.
    pub(super) fn fits(&self, asked: u64, there: u64) -> bool {
        (((there | self.guards) - asked) & self.guards) == self.guards
    }

    /// Of which kinds less is `there` than `asked`.
    pub(super) fn lacking(&self, asked: u64, there: u64) -> [bool; KINDS] {
        let left = (there | self.guards) - asked;
        let mut lacking = [false; KINDS];
        for (field, kind) in self.fields.iter().zip(&self.kinds) {
            lacking[*kind] = left >> (field.shift + field.bits) & 1 == 0;
        }
        lacking
    }

    /// One bit for each of 64 nodes at most: whether `asked` is there.
    pub(super) fn fitting(&self, asked: u64, there: &[u64]) -> u64 {
        let (guards, carry) = (self.guards, (1 << 63) - self.guards);
        there.iter().enumerate().fold(0, |bits, (at, there)| {
            // Only where all guards are left does the sum reach the top bit.
            let left = ((there | guards) - asked) & guards;
            bits | ((left + carry) >> 63) << at
        })
    }

    /// Of each kind the smaller one.
    pub(super) fn min(&self, left: u64, right: u64) -> u64 {
        let more = (left | self.guards) - right;
        self.fields.iter().fold(0, |word, field| {
            let bits = ((1 << field.bits) - 1) << field.shift;
            let guard = 1 << (field.shift + field.bits);
            word | (if more & guard == 0 { left } else { right } & bits)
        })
    }

    /// Both together, of no kind more than `most`.
    pub(super) fn plus(&self, left: u64, right: u64, most: u64) -> u64 {
        let room = most - self.min(most, left);
        left + self.min(room, right)
    }

    /// How often `each` fits into `there`, at most `times` times; where `most` of a kind is there,
    /// that kind sets no limit.
    pub(super) fn times(&self, each: Amounts, most: Amounts, there: u64, times: u32) -> u32 {
        let kinds = self.with(each).zip(&self.kinds);
        kinds.fold(times, |times, ((field, each), kind)| {
            let most = most.0[*kind];
            let there = ((there >> field.shift) & ((1 << field.bits) - 1)) << field.unit;
            match there.checked_div(each) {
                Some(fits) if there < most => times.min(u32::try_from(fits).unwrap_or(u32::MAX)),
                Some(_) | None => times,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(asked: Amounts, there: Amounts) -> bool {
        asked.0.iter().zip(there.0).all(|(asked, there)| *asked <= there)
    }

    fn amounts(most: u64) -> impl Strategy<Value = Amounts> {
        [0..=most, 0..=most, 0..=most].prop_map(Amounts::of)
    }

    proptest! {
        #[test]
        fn words_compare_as_the_amounts_do(
            most in prop_oneof![Just(3_u64), Just(130), Just(1_000_000)],
            pairs in proptest::collection::vec((amounts(130), amounts(130)), 1..64),
        ) {
            let packing = Packing::new(Amounts::of([most.max(130), 130, 131]));
            for (left, right) in &pairs {
                let (one, other) = (packing.there(*left), packing.there(*right));
                let asked = packing.asked(*left).expect("it is in the range");
                prop_assert_eq!(asked, one, "nothing is rounded");
                prop_assert_eq!(packing.fits(one, other), fits(*left, *right));
                let least = Amounts(std::array::from_fn(|kind| left.0[kind].min(right.0[kind])));
                prop_assert_eq!(packing.min(one, other), packing.there(least));
                prop_assert_eq!(packing.unpacked(one), *left);
            }
            let there: Vec<u64> = pairs.iter().map(|(_, right)| packing.there(*right)).collect();
            let asked = packing.there(pairs[0].0);
            let bits = packing.fitting(asked, &there);
            for (at, there) in there.iter().enumerate() {
                prop_assert_eq!(bits >> at & 1 == 1, packing.fits(asked, *there));
            }
        }

        /// Where units are large, nothing is given that is not there.
        #[test]
        fn rounding_takes_no_more_than_there_is(
            left in amounts(u64::MAX),
            right in amounts(u64::MAX),
        ) {
            let packing = Packing::new(Amounts::of([u64::MAX; 3]));
            if let Some(asked) = packing.asked(left) {
                prop_assert!(!packing.fits(asked, packing.there(right)) || fits(left, right));
            }
        }
    }

    #[test]
    fn tasks_are_limited_by_the_scarcest_kind() {
        let packing = Packing::new(Amounts::of([128, 1 << 21, 8]));
        let there = packing.there(Amounts::of([100, 1_000, 4]));
        let times = |each, most| packing.times(Amounts::of(each), most, there, 60);
        let all = Amounts([u64::MAX; KINDS]);
        assert_eq!(times([2, 0, 0], all), 50);
        assert_eq!(times([2, 300, 0], all), 3);
        assert_eq!(times([2, 300, 0], Amounts::of([u64::MAX, 1_000, 0])), 50, "all of it is there");
        assert_eq!(times([2, 300, 3], all), 1);
        assert_eq!(times([0, 0, 0], all), 60);
        assert_eq!(packing.asked(Amounts::of([256, 0, 0])), None);
    }
}
