//! Moments and lengths of time, and Slurm's time limits.

use std::{
    fmt,
    ops::{Add, Sub},
};

use thiserror::Error;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

/// A length of time, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

impl Timestamp {
    /// Whole seconds since the epoch, rounded down, as Slurm prints and stores them.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1_000
    }

    #[must_use]
    pub fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// How long after `earlier` this is; zero where it is before.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    #[must_use]
    pub const fn from_minutes(minutes: u64) -> Self {
        Self(minutes.saturating_mul(60_000))
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1_000
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;

    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// How long a job may run: Slurm counts whole minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeLimit {
    Minutes(u32),
    Unlimited,
}

/// A text that is no length of time. The commands name the option that it was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a time: minutes, mm:ss, hh:mm:ss, d-hh[:mm[:ss]] or UNLIMITED are")]
pub struct TimeError;

impl TimeLimit {
    /// The limit as a length of time; none where there is no limit.
    #[must_use]
    pub fn span(self) -> Option<Span> {
        match self {
            Self::Minutes(minutes) => Some(Span::from_minutes(u64::from(minutes))),
            Self::Unlimited => None,
        }
    }

    /// Reads a time limit as `--time` takes it: what [`parse_span`] reads, in whole minutes,
    /// rounded up. Zero asks for no limit (sbatch(1)). So does more than Slurm's 32 bits of
    /// seconds hold, 68 years, of which Slurm itself makes an arbitrary limit.
    ///
    /// # Errors
    /// Where the text is no time.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let Some(span) = parse_span(text)? else { return Ok(Self::Unlimited) };
        Ok(match u32::try_from(span.seconds().div_ceil(60)) {
            Ok(minutes @ 1..=Self::MOST_MINUTES) => Self::Minutes(minutes),
            Ok(_) | Err(_) => Self::Unlimited,
        })
    }

    /// The longest limit that is one, in minutes.
    pub const MOST_MINUTES: u32 = i32::MAX as u32 / 60;

    /// As `scontrol` prints it: `1-02:03:00`, `00:01:00`, `UNLIMITED`.
    #[must_use]
    pub fn padded(self) -> String {
        self.span().map_or_else(|| UNLIMITED.to_owned(), Span::padded)
    }

    /// As `squeue` prints it: `1-02:03:00`, `1:00`, `UNLIMITED`.
    #[must_use]
    pub fn brief(self) -> String {
        self.span().map_or_else(|| UNLIMITED.to_owned(), Span::brief)
    }
}

const UNLIMITED: &str = "UNLIMITED";

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Span {
    /// Days, hours, minutes and seconds.
    fn parts(self) -> (u64, u64, u64, u64) {
        let seconds = self.seconds();
        (seconds / DAY, seconds % DAY / HOUR, seconds % HOUR / MINUTE, seconds % MINUTE)
    }

    /// As `scontrol` prints lengths of time: `[days-]hh:mm:ss`.
    #[must_use]
    pub fn padded(self) -> String {
        match self.parts() {
            (0, hours, minutes, seconds) => format!("{hours:02}:{minutes:02}:{seconds:02}"),
            (days, hours, minutes, seconds) => {
                format!("{days}-{hours:02}:{minutes:02}:{seconds:02}")
            }
        }
    }

    /// As `squeue` prints lengths of time: `0:03`, `5:00`, `1:30:00`, `1-02:03:04`, and `INVALID`
    /// beyond 365 days.
    #[must_use]
    pub fn brief(self) -> String {
        if self.seconds() > 365 * DAY {
            return "INVALID".to_owned();
        }
        match self.parts() {
            (0, 0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
            (0, hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
            (days, hours, minutes, seconds) => {
                format!("{days}-{hours:02}:{minutes:02}:{seconds:02}")
            }
        }
    }
}

/// Reads a length of time in Slurm's forms: `minutes`, `mm:ss`, `hh:mm:ss`, `d-hh`, `d-hh:mm`,
/// `d-hh:mm:ss`, and `UNLIMITED`, `INFINITE` or a negative number for one without end (none). A
/// number may exceed what its place holds by rights: `1:99` is 159 seconds.
///
/// # Errors
/// Where the text is none of these.
pub fn parse_span(text: &str) -> Result<Option<Span>, TimeError> {
    if text.eq_ignore_ascii_case("UNLIMITED") || text.eq_ignore_ascii_case("INFINITE") {
        return Ok(None);
    }
    if text.strip_prefix('-').is_some_and(|rest| number(rest).is_ok()) {
        return Ok(None);
    }
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(number(days)?), clock),
        None => (None, text),
    };
    // A `-` with nothing behind it counts days alone.
    let clock = if days.is_some() && clock.is_empty() { "0" } else { clock };
    let fields = clock.split(':').map(number).collect::<Result<Vec<u64>, _>>()?;
    let units = match (days.is_some(), fields.len()) {
        (true, 1..=3) => [HOUR, MINUTE, 1].as_slice(),
        (false, 1 | 2) => [MINUTE, 1].as_slice(),
        (false, 3) => [HOUR, MINUTE, 1].as_slice(),
        _ => return Err(TimeError),
    };
    let clock = fields
        .iter()
        .zip(units)
        .fold(0_u64, |all, (field, unit)| all.saturating_add(field.saturating_mul(*unit)));
    let seconds = days.unwrap_or(0).saturating_mul(DAY).saturating_add(clock);
    Ok(Some(Span::from_seconds(seconds)))
}

/// Digits alone; more than fit count as the most that do.
fn number(digits: &str) -> Result<u64, TimeError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TimeError);
    }
    Ok(digits.parse().unwrap_or(u64::MAX))
}
