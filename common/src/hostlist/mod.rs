//! Lists of host names, written as Slurm writes them: `n[001-128,130],login`.
//!
//! A list is held as ranges and worked on as ranges: a thousand nodes in a row cost as much as
//! one. Names are spelled out only by [`Hostlist::iter`]. The grammar is that of the HOSTLIST
//! section of slurm.conf(5) and of `scontrol show hostlist`.
//!
//! A name is its prefix and the number that it ends in, if any; the number keeps its length, so
//! `n1`, `n01` and `n001` are three hosts.
//!
//! **Invariant:** ranges are as long as the order of the names allows, and a prefix ends in a digit
//! only where the number has as many digits as are counted. So equal sequences of names are equal
//! values, whatever text they came from.

mod order;
mod parse;
mod set;

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr, sync::Arc};

pub use parse::HostlistError;

/// The most names that one range within brackets may stand for, as in Slurm.
pub const MAX_IN_RANGE: u64 = 65_536;

/// The most names that one parsed list may stand for.
pub const MAX_NAMES: u64 = 1 << 20;

/// The most ranges that one parsed list may hold; each is an allocation, where a name is not.
pub const MAX_RANGES: usize = 65_536;

/// The longest name that is parsed, in bytes: that of a name in the DNS.
pub const MAX_NAME: usize = 255;

/// The most digits that are counted as a name's number, so that every number and its successor
/// fit an `u64`. Digits before them belong to the prefix.
const MAX_DIGITS: usize = 18;

/// Host names in the order in which they were given; a name may occur more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hostlist {
    ranges: Vec<Range>,
}

/// Names that follow each other: one prefix, and numbers in a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Range {
    prefix: Arc<str>,
    /// None: a single name that ends in no digit.
    numbers: Option<Numbers>,
}

/// The numbers `low..=high`, each filled with zeros from the left to `width` digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Numbers {
    /// The length of `low` as written; never less than its digits need.
    width: usize,
    low: u64,
    high: u64,
}

impl Numbers {
    fn len(self) -> u64 {
        self.high - self.low + 1
    }

    /// The number's length as written here, in digits.
    fn digits_of(self, number: u64) -> usize {
        self.width.max(digits(number))
    }

    /// Whether `later` goes on where this ends, with the same padding.
    fn continues(self, later: Self) -> bool {
        later.low == self.high + 1 && later.width == self.digits_of(later.low)
    }
}

/// How many decimal digits the number has; one for zero.
fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Ten to the power of `digits`, which is at most [`MAX_DIGITS`].
fn power_of_ten(digits: usize) -> u64 {
    (0..digits).fold(1, |power, _| power * 10)
}

/// Where the number at the end of the text begins, counting at most `most` digits.
fn number_start(text: &str, most: usize) -> usize {
    let digits = text.bytes().rev().take(most).take_while(u8::is_ascii_digit).count();
    text.len() - digits
}

/// A name's prefix, and the number that it ends in.
fn split_name(name: &str) -> (&str, Option<Numbers>) {
    let (prefix, number) = name.split_at(number_start(name, MAX_DIGITS));
    let numbers = (!number.is_empty()).then(|| {
        let value = number.parse().expect("at most MAX_DIGITS digits fit an u64");
        Numbers { width: number.len(), low: value, high: value }
    });
    (prefix, numbers)
}

impl Range {
    fn len(&self) -> u64 {
        self.numbers.map_or(1, Numbers::len)
    }

    /// The name at this offset, which the caller keeps below [`Range::len`].
    fn name(&self, offset: u64) -> String {
        match self.numbers {
            Some(Numbers { width, low, .. }) => {
                format!("{}{:0width$}", self.prefix, low + offset)
            }
            None => self.prefix.to_string(),
        }
    }

    /// Where in this range a single name stands, which was split into its parts.
    fn position(&self, prefix: &str, number: Option<Numbers>) -> Option<u64> {
        if *self.prefix != *prefix {
            return None;
        }
        match (self.numbers, number) {
            (None, None) => Some(0),
            (Some(all), Some(one)) => {
                let inside = (all.low..=all.high).contains(&one.low);
                (inside && one.width == all.digits_of(one.low)).then(|| one.low - all.low)
            }
            (None, Some(_)) | (Some(_), None) => None,
        }
    }
}

impl Hostlist {
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Reads `n[001-003,7],m5`: names and brackets, separated by commas or blanks. Brackets may
    /// stand anywhere in a name, several times; Slurm allows them at its end only.
    ///
    /// Names come in Slurm's order: the last bracket varies fastest, then the first, the second
    /// and so on.
    ///
    /// # Errors
    /// Where brackets don't match, what is in them is no range, or it would stand for more than
    /// [`MAX_IN_RANGE`], [`MAX_NAMES`], [`MAX_RANGES`] or [`MAX_NAME`] allow. Nothing is allocated
    /// for what is refused.
    pub fn parse(text: &str) -> Result<Self, HostlistError> {
        parse::list(text)
    }

    /// The list of these names, each as it stands: brackets in it have no meaning.
    #[must_use]
    pub fn from_names<Name: AsRef<str>>(names: impl IntoIterator<Item = Name>) -> Self {
        let mut list = Self::new();
        for name in names {
            list.push(name.as_ref());
        }
        list
    }

    /// Appends one name as it stands. An empty one is no name and is left out.
    pub fn push(&mut self, name: &str) {
        if !name.is_empty() {
            let (prefix, numbers) = split_name(name);
            self.push_range(prefix, numbers);
        }
    }

    /// Appends all names of the other list.
    pub fn append(&mut self, other: &Self) {
        for range in &other.ranges {
            self.push_range(&range.prefix, range.numbers);
        }
    }

    /// Appends a range that keeps the invariant on prefixes, joined to the last one if it goes on
    /// where that one ends.
    fn push_range(&mut self, prefix: &str, numbers: Option<Numbers>) {
        let last = self.ranges.last_mut().filter(|last| *last.prefix == *prefix);
        let shared = match last {
            Some(last) => {
                if let (Some(before), Some(after)) = (&mut last.numbers, numbers)
                    && before.continues(after)
                {
                    before.high = after.high;
                    return;
                }
                Arc::clone(&last.prefix)
            }
            None => Arc::from(prefix),
        };
        self.ranges.push(Range { prefix: shared, numbers });
    }

    /// How many names there are, repeated ones counted each time.
    #[must_use]
    pub fn len(&self) -> usize {
        let names = self.ranges.iter().map(Range::len).sum::<u64>();
        usize::try_from(names).expect("a list was pushed name by name, or is below MAX_NAMES")
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The names, one by one, in order.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        self.ranges.iter().flat_map(|range| (0..range.len()).map(|offset| range.name(offset)))
    }

    /// The first name.
    #[must_use]
    pub fn first(&self) -> Option<String> {
        self.ranges.first().map(|range| range.name(0))
    }

    /// The name at this place, counted from zero.
    #[must_use]
    pub fn nth(&self, place: usize) -> Option<String> {
        let mut offset = u64::try_from(place).ok()?;
        for range in &self.ranges {
            if offset < range.len() {
                return Some(range.name(offset));
            }
            offset -= range.len();
        }
        None
    }

    /// The place, counted from zero, at which this name stands for the first time.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        let (prefix, number) = split_name(name);
        let mut before = 0;
        for range in &self.ranges {
            if let Some(offset) = range.position(prefix, number) {
                return usize::try_from(before + offset).ok();
            }
            before += range.len();
        }
        None
    }

    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.position(name).is_some()
    }
}

impl fmt::Display for Hostlist {
    /// As `scontrol show hostlist` prints it: names that share a prefix and stand side by side
    /// share a bracket, and keep their order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.ranges.chunk_by(|left, right| {
            left.prefix == right.prefix && left.numbers.is_some() && right.numbers.is_some()
        });
        for (index, group) in groups.enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write_group(f, group)?;
        }
        Ok(())
    }
}

/// Ranges of one prefix; a group holds a name without a number only alone.
fn write_group(f: &mut fmt::Formatter<'_>, group: &[Range]) -> fmt::Result {
    if let [single] = group
        && single.len() == 1
    {
        return f.write_str(&single.name(0));
    }
    write!(f, "{}[", group[0].prefix)?;
    for (index, Numbers { width, low, high }) in
        group.iter().filter_map(|range| range.numbers).enumerate()
    {
        if index > 0 {
            f.write_str(",")?;
        }
        write!(f, "{low:0width$}")?;
        if high > low {
            write!(f, "-{high:0width$}")?;
        }
    }
    f.write_str("]")
}

impl FromStr for Hostlist {
    type Err = HostlistError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl<Name: AsRef<str>> FromIterator<Name> for Hostlist {
    fn from_iter<Names: IntoIterator<Item = Name>>(names: Names) -> Self {
        Self::from_names(names)
    }
}
