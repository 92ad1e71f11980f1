//! The text of a hostlist, read with bounds on what it may stand for.
//!
//! **Invariant:** what a text would expand to is counted before any of it is built.

use thiserror::Error;

use super::{
    Hostlist, MAX_DIGITS, MAX_IN_RANGE, MAX_NAME, MAX_NAMES, MAX_RANGES, Numbers, number_start,
    power_of_ten,
};

/// Why a text is no hostlist. Where Slurm has a text for it, that is the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HostlistError {
    #[error("Invalid range: `{0}'")]
    Range(String),
    #[error("Too many hosts in range `{0}'")]
    TooManyInRange(String),
    #[error("brackets do not match in `{0}'")]
    Brackets(String),
    #[error("`{name}' makes the list longer than {MAX_NAMES} names")]
    TooManyNames { name: String },
    #[error("`{name}' makes the list longer than {MAX_RANGES} separate ranges")]
    TooManyRanges { name: String },
    #[error("`{name}...' is longer than {MAX_NAME} bytes")]
    TooLong { name: String },
}

pub(super) fn list(text: &str) -> Result<Hostlist, HostlistError> {
    let mut list = Hostlist::new();
    let mut names = 0;
    for part in parts(text)? {
        let name = Pattern::parse(part)?;
        name.check(part, names, list.ranges.len())?;
        names += name.count();
        name.push_onto(&mut list);
    }
    Ok(list)
}

/// Cuts the list at commas and blanks that stand outside brackets.
fn parts(text: &str) -> Result<Vec<&str>, HostlistError> {
    let mut parts = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' if !inside => inside = true,
            b']' if inside => inside = false,
            b'[' | b']' => return Err(HostlistError::Brackets(quote(&text[start..]))),
            b',' | b' ' | b'\t' | b'\r' | b'\n' if !inside => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err(HostlistError::Brackets(quote(&text[start..])));
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.is_empty());
    Ok(parts)
}

/// As much of a text as an error repeats.
fn quote(text: &str) -> String {
    text.chars().take(80).collect()
}

/// One name with its brackets: each has the text before it, and the ranges in it.
struct Pattern<'text> {
    brackets: Vec<(&'text str, Vec<Numbers>)>,
    suffix: &'text str,
}

impl<'text> Pattern<'text> {
    /// The text holds brackets in pairs, as [`parts`] made sure.
    fn parse(text: &'text str) -> Result<Self, HostlistError> {
        let mut brackets = Vec::new();
        let mut suffix = text;
        while let Some((before, rest)) = suffix.split_once('[') {
            let (inside, after) = rest.split_once(']').expect("parts() pairs the brackets");
            brackets.push((before, inside.split(',').map(range).collect::<Result<_, _>>()?));
            suffix = after;
        }
        Ok(Self { brackets, suffix })
    }

    /// How many names this stands for.
    fn count(&self) -> u64 {
        self.brackets.iter().fold(1, |all, (_, ranges)| all.saturating_mul(count(ranges)))
    }

    /// How many ranges this adds at most.
    fn range_count(&self) -> u64 {
        match self.brackets.split_last() {
            Some(((_, last), leading)) if self.suffix.is_empty() => leading
                .iter()
                .fold(last.len() as u64, |all, (_, ranges)| all.saturating_mul(count(ranges))),
            Some(_) | None => self.count(),
        }
    }

    /// The length of the longest name.
    fn longest(&self) -> usize {
        self.brackets.iter().fold(self.suffix.len(), |all, (before, ranges)| {
            let widest = ranges.iter().map(|range| range.digits_of(range.high)).max();
            all + before.len() + widest.unwrap_or(0)
        })
    }

    /// Refuses what would not fit a list that holds this many names and ranges already.
    fn check(&self, text: &str, names: u64, ranges: usize) -> Result<(), HostlistError> {
        if self.longest() > MAX_NAME {
            return Err(HostlistError::TooLong { name: quote(text) });
        }
        if names.saturating_add(self.count()) > MAX_NAMES {
            return Err(HostlistError::TooManyNames { name: quote(text) });
        }
        if self.range_count().saturating_add(ranges as u64) > MAX_RANGES as u64 {
            return Err(HostlistError::TooManyRanges { name: quote(text) });
        }
        Ok(())
    }

    fn push_onto(&self, list: &mut Hostlist) {
        let Some(((before, last), leading)) = self.brackets.split_last() else {
            return list.push(self.suffix);
        };
        for mut prefix in prefixes(leading) {
            prefix.push_str(before);
            for numbers in last {
                if self.suffix.is_empty() {
                    list.push_numbers(&prefix, *numbers);
                } else {
                    for number in spelled(numbers) {
                        list.push(&format!("{prefix}{number}{}", self.suffix));
                    }
                }
            }
        }
    }
}

/// Every text that the leading brackets can make; the first bracket varies fastest, as in Slurm.
fn prefixes(leading: &[(&str, Vec<Numbers>)]) -> Vec<String> {
    leading.iter().rev().fold(vec![String::new()], |tails, (before, ranges)| {
        let heads: Vec<String> = ranges.iter().flat_map(spelled).collect();
        let with_tail = |tail: &String| -> Vec<String> {
            heads.iter().map(|head| format!("{before}{head}{tail}")).collect()
        };
        tails.iter().flat_map(with_tail).collect()
    })
}

fn spelled(numbers: &Numbers) -> impl Iterator<Item = String> + use<> {
    let width = numbers.width;
    (numbers.low..=numbers.high).map(move |number| format!("{number:0width$}"))
}

fn count(ranges: &[Numbers]) -> u64 {
    ranges.iter().map(|range| range.len()).sum()
}

/// `7` or `001-128`. The padding is that of the lower bound.
fn range(text: &str) -> Result<Numbers, HostlistError> {
    let invalid = || HostlistError::Range(quote(text));
    let number = |text: &str| {
        let valid = (1..=MAX_DIGITS).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit());
        valid.then(|| text.parse().ok()).flatten()
    };
    let (low_text, high_text) = text.split_once('-').unwrap_or((text, text));
    let low: u64 = number(low_text).ok_or_else(invalid)?;
    let high: u64 = number(high_text).ok_or_else(invalid)?;
    if low > high {
        return Err(invalid());
    }
    if high - low >= MAX_IN_RANGE {
        return Err(HostlistError::TooManyInRange(quote(text)));
    }
    Ok(Numbers { width: low_text.len(), low, high })
}

impl Hostlist {
    /// Appends the prefix with each number, digits at the end of the prefix becoming part of the
    /// number. Its bounds have at most [`MAX_DIGITS`] digits.
    fn push_numbers(&mut self, prefix: &str, numbers: Numbers) {
        let mut low = numbers.low;
        while low <= numbers.high {
            let length = numbers.digits_of(low);
            let high = numbers.high.min(power_of_ten(length) - 1);
            let (prefix, moved) = prefix.split_at(number_start(prefix, MAX_DIGITS - length));
            let above = moved.parse::<u64>().unwrap_or(0) * power_of_ten(length);
            let width = moved.len() + length;
            let moved = Numbers { width, low: above + low, high: above + high };
            self.push_range(prefix, Some(moved));
            low = high + 1;
        }
    }
}
