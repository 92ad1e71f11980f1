//! Figures as people read them.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

/// Durations in order.
pub(super) struct Sorted(Vec<Duration>);

impl Sorted {
    /// `times` must not be empty.
    pub(super) fn of(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty(), "something was measured");
        times.sort_unstable();
        Self(times)
    }

    /// The time that `hundredths` of all do not exceed: the nearest rank.
    pub(super) fn at(&self, hundredths: usize) -> Duration {
        let rank = (self.0.len() * hundredths).div_ceil(100);
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Milliseconds, or microseconds where that is little, with as many digits as mean something.
pub(super) fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        ms if ms < 0.1 => format!("{:.1} µs", ms * 1e3),
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 100.0 => format!("{ms:.1} ms"),
        ms => format!("{} ms", grouped(ms)),
    }
}

/// How many a second.
pub(super) fn rate(count: usize, time: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let rate = count as f64 / time.as_secs_f64();
    format!("{}/s", grouped(rate))
}

/// A whole number with its thousands apart.
pub(super) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Prints a table under its title. The first column is words, the others are figures.
pub(super) fn table(title: &str, heads: &[&str], rows: &[Vec<String>]) {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(heads).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("\n{title}\n\n{table}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rank_is_taken() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let sorted = Sorted::of(times);
        assert_eq!(sorted.at(50), Duration::from_millis(100));
        assert_eq!(sorted.at(99), Duration::from_millis(198));
        assert_eq!(sorted.at(100), Duration::from_millis(200));
        let one = Sorted::of(vec![Duration::from_secs(1)]);
        assert_eq!((one.at(0), one.at(100)), (Duration::from_secs(1), Duration::from_secs(1)));
    }

    #[test]
    fn figures_are_readable() {
        assert_eq!(ms(Duration::from_nanos(1_540)), "1.5 µs");
        assert_eq!(ms(Duration::from_micros(1_234)), "1.23 ms");
        assert_eq!(ms(Duration::from_micros(56_780)), "56.8 ms");
        assert_eq!(ms(Duration::from_millis(12_345)), "12,345 ms");
        assert_eq!(rate(1_500_000, Duration::from_secs(1)), "1,500,000/s");
        assert_eq!(rate(30, Duration::from_secs(2)), "15/s");
    }
}
