//! A set of CPUs of one node.

use std::{fmt, iter};

/// No id is as large, so no set is larger than 8 KiB.
pub const MOST: u32 = 1 << 16;

const WORD: u32 = u64::BITS;
const LOW: u32 = 2;

/// Ids of CPUs, as bits. The first 128 lie in the set itself.
///
/// **Invariant:** the last of the further words is not zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuSet {
    low: [u64; LOW as usize],
    high: Box<[u64]>,
}

impl CpuSet {
    /// The first `count` ids.
    #[must_use]
    pub fn first(count: u32) -> Self {
        let mut set = Self::default();
        set.insert_run(0, count);
        set
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.low == [0; LOW as usize] && self.high.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.words().map(u64::count_ones).sum()
    }

    /// Its bits, 64 ids a word.
    pub fn words(&self) -> impl Iterator<Item = u64> {
        self.low.iter().chain(&self.high).copied()
    }

    fn word(&self, at: usize) -> u64 {
        self.low.iter().chain(&self.high).nth(at).copied().unwrap_or(0)
    }

    #[must_use]
    pub fn contains(&self, id: u32) -> bool {
        self.word((id / WORD) as usize) >> (id % WORD) & 1 == 1
    }

    /// Puts an id in.
    ///
    /// # Panics
    /// Where it is not below [`MOST`].
    pub fn insert(&mut self, id: u32) {
        self.insert_run(id, 1);
    }

    /// Puts `count` ids in, from `first` on.
    ///
    /// # Panics
    /// Where they are not below [`MOST`].
    pub fn insert_run(&mut self, first: u32, count: u32) {
        if count == 0 {
            return;
        }
        let end = first.checked_add(count).filter(|end| *end <= MOST);
        let end = end.expect("ids of CPUs are small");
        let (from, to) = (first / WORD, (end - 1) / WORD);
        self.reach(to);
        for at in from..=to {
            let start = if at == from { first % WORD } else { 0 };
            let stop = if at == to { (end - 1) % WORD + 1 } else { WORD };
            let bits = u64::MAX >> (WORD - (stop - start)) << start;
            *self.word_mut(at) |= bits;
        }
    }

    /// Makes room for a word.
    fn reach(&mut self, at: u32) {
        let words = (at + 1).saturating_sub(LOW) as usize;
        if words > self.high.len() {
            let mut high = std::mem::take(&mut self.high).into_vec();
            high.resize(words, 0);
            self.high = high.into();
        }
    }

    fn word_mut(&mut self, at: u32) -> &mut u64 {
        match at.checked_sub(LOW) {
            None => &mut self.low[at as usize],
            Some(at) => &mut self.high[at as usize],
        }
    }

    /// All that is in one of the two.
    pub fn add(&mut self, other: &Self) {
        if !other.high.is_empty() {
            self.reach(u32::try_from(other.high.len()).expect("sets are small") + LOW - 1);
        }
        for (one, other) in self.low.iter_mut().chain(&mut self.high).zip(other.words()) {
            *one |= other;
        }
    }

    /// What is not in the other.
    pub fn remove(&mut self, other: &Self) {
        for (one, other) in self.low.iter_mut().chain(&mut self.high).zip(other.words()) {
            *one &= !other;
        }
        let words = self.high.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
        if words < self.high.len() {
            self.high = self.high[..words].into();
        }
    }

    #[must_use]
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.words().zip(other.words()).all(|(one, other)| one & other == 0)
    }

    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        let words = self.words().chain(iter::repeat(0));
        words.zip(other.words()).all(|(one, other)| other & !one == 0)
    }

    /// The ids, rising.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        (0..).zip(self.words()).flat_map(|(at, mut bits)| {
            iter::from_fn(move || {
                let place = (bits != 0).then(|| bits.trailing_zeros());
                bits &= bits.wrapping_sub(1);
                place.map(|place| at * WORD + place)
            })
        })
    }

    /// The ids as runs: each first one, and how many there are.
    #[must_use]
    pub fn runs(&self) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = vec![];
        for id in self.iter() {
            match runs.last_mut() {
                Some((first, count)) if *first + *count == id => *count += 1,
                Some(_) | None => runs.push((id, 1)),
            }
        }
        runs
    }
}

/// As Slurm writes them: `0-5,8-11`.
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, count)) in self.runs().into_iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match count {
                1 => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{}", first + count - 1)?,
            }
        }
        Ok(())
    }
}

impl FromIterator<u32> for CpuSet {
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> Self {
        let mut set = Self::default();
        ids.into_iter().for_each(|id| set.insert(id));
        set
    }
}
