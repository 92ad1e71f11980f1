//! The moment of the answer, and how moments and lengths of time are printed.

use std::fmt::Write as _;

use common::{
    date::TimeFormat,
    time::{Span, Timestamp},
};
use jiff::tz::TimeZone;

/// Now, by the controller that answered; and the zone and format in which moments are printed.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    pub(crate) now: Timestamp,
    pub(crate) zone: TimeZone,
    pub(crate) format: TimeFormat,
}

impl Clock {
    /// This host's zone, and the format that `SLURM_TIME_FORMAT` asks for.
    pub(crate) fn of_host(now: u64, environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let format = environment("SLURM_TIME_FORMAT").unwrap_or_default();
        Self { now: Timestamp(now), zone: TimeZone::system(), format: TimeFormat::parse(&format) }
    }

    /// Appends the moment, or `none` where there is none.
    pub(crate) fn put(&self, out: &mut String, at: Option<Timestamp>, none: &str) {
        match at {
            Some(at) => out.push_str(&self.format.print(at, self.now, &self.zone)),
            None => out.push_str(none),
        }
    }

    pub(crate) fn text(&self, at: Option<Timestamp>, none: &str) -> String {
        let mut out = String::new();
        self.put(&mut out, at, none);
        out
    }

    /// As ctime(3) has it: `Mon Nov 23 23:08:22 2026`.
    pub(crate) fn headline(&self) -> String {
        let format = TimeFormat::Custom("%a %b %e %H:%M:%S %Y".to_owned());
        format.print(self.now, self.now, &self.zone)
    }
}

/// Appends a length of time as `squeue` has it: `0:05`, `1:00:00`, `1-00:00:00`.
pub(crate) fn put_brief(out: &mut String, span: Span) {
    let seconds = span.seconds();
    // What every line shows is written without a String of its own.
    if seconds < 3600 {
        write!(out, "{}:{:02}", seconds / 60, seconds % 60).expect("a String takes it");
    } else {
        out.push_str(&span.brief());
    }
}
