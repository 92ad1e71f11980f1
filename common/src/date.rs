//! Moments as people write and read them: `--begin`, `--deadline`, and the times that are printed.
//!
//! The clock and the time zone come in as arguments. The forms are those of sbatch(1), "--begin".

use jiff::{
    ToSpan,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use thiserror::Error;

use crate::time::{Span, Timestamp};

mod print;
mod scan;

pub use print::{TimeFormat, format};
use scan::Scanner;

/// Why a text is no moment, as Slurm's commands say it on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("Invalid time specification (pos={position}): {text}")]
pub struct DateError {
    /// Where in the text it ceased to make sense, in bytes.
    pub position: usize,
    pub text: String,
}

/// Reads a moment: `now`, `now+2hours`, `today`, `tomorrow`, `midnight`, `noon`, `elevenses`,
/// `fika`, `teatime`, `HH:MM[:SS] [AM|PM]`, `MMDD[YY]`, `MM/DD[/YY]`, `MM.DD[.YY]`,
/// `YYYY-MM-DD[THH:MM[:SS]]`, a day and a time of day in either order, or `uts` and seconds since
/// the epoch.
///
/// A time of day alone that has passed today is tomorrow's, a date without a year that has passed
/// is next year's, and a date alone is its midnight. A local time that a change of the clocks
/// leaves out is taken an hour later; one that it brings twice is taken the first time.
///
/// # Errors
/// Where the text is none of these, or a date that no calendar has.
pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, DateError> {
    let mut scanner = Scanner::new(text);
    moment(&mut scanner, now, zone)
        .ok_or_else(|| DateError { position: scanner.position(), text: text.to_owned() })
}

/// What was read of a moment.
#[derive(Clone, Copy, Default)]
struct Parts {
    day: Option<Day>,
    time: Option<Time>,
}

#[derive(Clone, Copy)]
enum Day {
    /// With its year.
    Full(Date),
    /// Of this year or the next.
    Yearly { month: i8, day: i8 },
}

fn moment(scanner: &mut Scanner<'_>, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    if let Some(seconds) = scanner.epoch() {
        return scanner.is_at_end().then(|| Timestamp::from_seconds(seconds));
    }
    if scanner.word("now") {
        return relative(scanner, now);
    }
    let local = local(now, zone)?;
    let mut parts = Parts::default();
    scanner.skip_separators();
    while !scanner.is_at_end() {
        part(scanner, &mut parts, local)?;
        scanner.skip_separators();
    }
    let civil = complete(parts, local)?;
    let instant = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
    Some(Timestamp::from_seconds(u64::try_from(instant.as_second()).unwrap_or(0)))
}

/// The wall clock at this moment.
fn local(now: Timestamp, zone: &TimeZone) -> Option<DateTime> {
    let now = jiff::Timestamp::from_second(i64::try_from(now.seconds()).ok()?).ok()?;
    Some(zone.to_datetime(now))
}

/// What follows `now`: nothing, or `+` or `-`, a number, and a unit.
fn relative(scanner: &mut Scanner<'_>, now: Timestamp) -> Option<Timestamp> {
    let now = Timestamp::from_seconds(now.seconds());
    match scanner.delta() {
        None => scanner.is_at_end().then_some(now),
        Some((forward, seconds)) => scanner.is_at_end().then(|| {
            let span = Span::from_seconds(seconds);
            if forward { now + span } else { now - span }
        }),
    }
}

/// One day or one time of day; a later one takes the place of an earlier one.
fn part(scanner: &mut Scanner<'_>, parts: &mut Parts, local: DateTime) -> Option<()> {
    if let Some(hour) = scanner.hour_by_name() {
        parts.time = Some(Time::constant(hour, 0, 0, 0));
    } else if scanner.word("today") {
        parts.day = Some(Day::Full(local.date()));
    } else if scanner.word("tomorrow") {
        parts.day = Some(Day::Full(local.date().tomorrow().ok()?));
    } else if scanner.is_clock() {
        parts.time = Some(scanner.clock()?);
    } else {
        parts.day = Some(scanner.day()?);
    }
    Some(())
}

/// Fills in what the text left open.
fn complete(parts: Parts, local: DateTime) -> Option<DateTime> {
    let time = parts.time.unwrap_or_else(Time::midnight);
    match parts.day {
        Some(Day::Full(date)) => Some(date.to_datetime(time)),
        Some(Day::Yearly { month, day }) => {
            let of_year = |year| Some(Date::new(year, month, day).ok()?.to_datetime(time));
            match of_year(local.year()) {
                Some(this_year) if this_year >= local => Some(this_year),
                // A year that lacks the day has passed it by: there is no 29 February to come.
                Some(_) | None => of_year(local.year().checked_add(1)?),
            }
        }
        None => {
            let today = local.date().to_datetime(parts.time?);
            if today >= local { Some(today) } else { today.checked_add(1.day()).ok() }
        }
    }
}
