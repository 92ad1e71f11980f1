//! Sorting, and the operations on sets of names, each done on ranges.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use super::{Hostlist, Numbers, Range, order::natural, power_of_ten};

/// Names of one prefix whose numbers are in a row and equally long as written, so that their
/// order is that of the numbers.
#[derive(Clone)]
struct Run {
    prefix: Arc<str>,
    /// The number's length in digits; zero for a name without a number, whose bounds are zero.
    length: usize,
    low: u64,
    high: u64,
}

impl Run {
    /// The order of names: by prefix, then the shorter number first, then by its value.
    fn order(&self, other: &Self) -> Ordering {
        self.group_order(other).then(self.low.cmp(&other.low)).then(self.high.cmp(&other.high))
    }

    fn group_order(&self, other: &Self) -> Ordering {
        natural(&self.prefix, &other.prefix).then(self.length.cmp(&other.length))
    }

    fn within(&self, low: u64, high: u64) -> Self {
        Self { prefix: Arc::clone(&self.prefix), length: self.length, low, high }
    }
}

impl Hostlist {
    /// The names in order, repeated ones still repeated: `scontrol show hostlistsorted`.
    #[must_use]
    pub fn sorted(&self) -> Self {
        let runs = sorted_runs(&[self]);
        let groups = runs.chunk_by(|left, right| left.group_order(right).is_eq());
        groups.flat_map(repeated).collect()
    }

    /// The names in order, each once.
    #[must_use]
    pub fn unique(&self) -> Self {
        merged_runs(&[self]).into_iter().collect()
    }

    /// The names that are in either list, in order, each once.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        merged_runs(&[self, other]).into_iter().collect()
    }

    /// The names that are in both lists, in order, each once.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        common_runs(&merged_runs(&[self]), &merged_runs(&[other])).into_iter().collect()
    }

    /// The names that are in this list and not in the other, in order, each once.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        left_runs(&merged_runs(&[self]), &merged_runs(&[other])).into_iter().collect()
    }

    /// Whether every name of this list is in the other.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.difference(other).is_empty()
    }

    /// Whether some name is in both lists.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        !self.intersection(other).is_empty()
    }
}

impl FromIterator<Run> for Hostlist {
    fn from_iter<Runs: IntoIterator<Item = Run>>(runs: Runs) -> Self {
        let mut list = Self::new();
        for Run { prefix, length, low, high } in runs {
            let numbers = (length > 0).then_some(Numbers { width: length, low, high });
            list.push_range(&prefix, numbers);
        }
        list
    }
}

/// The runs of a range, one for each length that its numbers have.
fn runs(range: &Range) -> Vec<Run> {
    let run = |length, low, high| Run { prefix: Arc::clone(&range.prefix), length, low, high };
    let Some(numbers) = range.numbers else {
        return vec![run(0, 0, 0)];
    };
    let mut runs = Vec::new();
    let mut low = numbers.low;
    while low <= numbers.high {
        let length = numbers.digits_of(low);
        let high = numbers.high.min(power_of_ten(length) - 1);
        runs.push(run(length, low, high));
        low = high + 1;
    }
    runs
}

fn sorted_runs(lists: &[&Hostlist]) -> Vec<Run> {
    let mut all: Vec<Run> =
        lists.iter().flat_map(|list| list.ranges.iter().flat_map(runs)).collect();
    all.sort_by(Run::order);
    all
}

/// Sorted runs that neither overlap nor touch.
fn merged_runs(lists: &[&Hostlist]) -> Vec<Run> {
    let mut merged: Vec<Run> = Vec::new();
    for run in sorted_runs(lists) {
        match merged.last_mut() {
            Some(last) if last.group_order(&run).is_eq() && run.low <= last.high + 1 => {
                last.high = last.high.max(run.high);
            }
            Some(_) | None => merged.push(run),
        }
    }
    merged
}

/// What both have in common; both are merged.
fn common_runs(left: &[Run], right: &[Run]) -> Vec<Run> {
    let mut common = Vec::new();
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(ours), Some(theirs)) = (left.peek(), right.peek()) {
        let group = ours.group_order(theirs);
        let (low, high) = (ours.low.max(theirs.low), ours.high.min(theirs.high));
        if group.is_eq() && low <= high {
            common.push(ours.within(low, high));
        }
        match group.then(ours.high.cmp(&theirs.high)) {
            Ordering::Less => left.next(),
            Ordering::Equal | Ordering::Greater => right.next(),
        };
    }
    common
}

/// What is left of the first without the second; both are merged.
fn left_runs(first: &[Run], second: &[Run]) -> Vec<Run> {
    let mut left = Vec::new();
    let mut holes = second.iter().peekable();
    for run in first {
        let mut low = run.low;
        while let Some(hole) = holes.peek() {
            let group = hole.group_order(run);
            if group.is_gt() || (group.is_eq() && hole.low > run.high) {
                break;
            }
            if group.is_eq() && hole.high >= low {
                if hole.low > low {
                    left.push(run.within(low, hole.low - 1));
                }
                low = hole.high + 1;
            }
            if group.is_eq() && hole.high > run.high {
                break;
            }
            holes.next();
        }
        if low <= run.high {
            left.push(run.within(low, run.high));
        }
    }
    left
}

/// The runs of one group, sorted by name with each repetition: where several overlap, every name
/// is a run of its own, as many times as it occurs.
fn repeated(group: &[Run]) -> Vec<Run> {
    let mut changes = BTreeMap::<u64, (usize, usize)>::new();
    for run in group {
        changes.entry(run.low).or_default().0 += 1;
        changes.entry(run.high + 1).or_default().1 += 1;
    }
    let mut sorted = Vec::new();
    let (mut since, mut times) = (0, 0_usize);
    for (at, (begin, end)) in changes {
        if times == 1 {
            sorted.push(group[0].within(since, at - 1));
        } else if times > 1 {
            for number in since..at {
                sorted.extend(std::iter::repeat_n(group[0].within(number, number), times));
            }
        }
        times = (times + begin).checked_sub(end).expect("a run ends after it began");
        since = at;
    }
    sorted
}
