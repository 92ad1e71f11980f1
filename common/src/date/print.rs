//! Moments, printed.

use jiff::{fmt::strtime, tz::TimeZone};

use crate::time::Timestamp;

/// What `SLURM_TIME_FORMAT` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// `2026-11-23T23:08:09`.
    #[default]
    Standard,
    /// `23:08:09` today, `Ystday 23:08`, `Tomorr 23:08`, `Fri 23:08` in the week ahead,
    /// `3 Dec 23:08` in this year, and `3 Dec 2027` in others.
    Relative,
    /// A format of strftime(3).
    Custom(String),
}

const STANDARD: &str = "%Y-%m-%dT%H:%M:%S";

impl TimeFormat {
    /// Reads the value of `SLURM_TIME_FORMAT`. A format that can't be followed counts as the
    /// standard one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "" | "standard" => Self::Standard,
            "relative" => Self::Relative,
            custom
                if zoned(Timestamp(0), &TimeZone::UTC).is_some_and(|at| can_print(custom, &at)) =>
            {
                Self::Custom(custom.to_owned())
            }
            _ => Self::Standard,
        }
    }

    /// The moment in this format.
    #[must_use]
    pub fn print(&self, at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
        let (Some(at_zoned), Some(now)) = (zoned(at, zone), zoned(now, zone)) else {
            return at.to_string();
        };
        let format = match self {
            Self::Standard => STANDARD,
            Self::Relative => relative(&at_zoned, &now),
            Self::Custom(format) => format,
        };
        strtime::format(format, &at_zoned).unwrap_or_else(|_| at.to_string())
    }
}

/// The moment in Slurm's standard format, `YYYY-MM-DDTHH:MM:SS`, on the clocks of this zone.
#[must_use]
pub fn format(at: Timestamp, zone: &TimeZone) -> String {
    TimeFormat::Standard.print(at, at, zone)
}

/// None beyond the year 9999.
fn zoned(at: Timestamp, zone: &TimeZone) -> Option<jiff::Zoned> {
    let at = jiff::Timestamp::from_second(i64::try_from(at.seconds()).ok()?).ok()?;
    Some(at.to_zoned(zone.clone()))
}

fn can_print(format: &str, at: &jiff::Zoned) -> bool {
    strtime::format(format, at).is_ok()
}

/// The format that tells how far this is from now.
fn relative(at: &jiff::Zoned, now: &jiff::Zoned) -> &'static str {
    let days = now.date().until(at.date()).map_or(i32::MAX, |span| span.get_days());
    match days {
        0 => "%H:%M:%S",
        -1 => "Ystday %H:%M",
        1 => "Tomorr %H:%M",
        2..=6 => "%a %H:%M",
        _ if at.year() == now.year() => "%-d %b %H:%M",
        _ => "%-d %b %Y",
    }
}
