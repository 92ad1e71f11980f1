use common::{
    date::{self, TimeFormat},
    time::Timestamp,
};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use crate::captures;

/// A moment of UTC, written as Slurm prints it.
fn at(text: &str) -> Timestamp {
    let civil: jiff::civil::DateTime = text.parse().expect("the tests write moments rightly");
    let zoned = civil.to_zoned(TimeZone::UTC).expect("UTC has every moment");
    Timestamp::from_seconds(zoned.timestamp().as_second().cast_unsigned())
}

fn read(text: &str, now: &str) -> Result<String, String> {
    let moment = date::parse(text, at(now), &TimeZone::UTC);
    moment.map(|moment| date::format(moment, &TimeZone::UTC)).map_err(|error| error.to_string())
}

#[test]
fn begin_times_are_read_as_slurm_reads_them() {
    for capture in captures::parse(include_str!("../captures/sbatch-begin-formats.txt")) {
        let text = capture.argument("--begin=", " --wrap");
        if capture.exit != 0 {
            let error = read(text, "2026-11-23T23:08:11").expect_err("Slurm refused it");
            assert_eq!(error, capture.stderr[0]);
            continue;
        }
        let submitted = capture.noted("submitted ");
        let eligible = at(capture.noted("EligibleTime="));
        // The command read its clock up to a second before the controller did.
        let read = date::parse(text, at(submitted), &TimeZone::UTC).expect(text);
        // What has passed is eligible at once.
        let read = read.max(at(submitted));
        assert!(read.seconds() - eligible.seconds() <= 1, "{text}: {read} is not {eligible}");
    }
}

const NOW: &str = "2026-11-25T20:00:55";

#[test]
fn moments_are_read() {
    let table = [
        ("now", "2026-11-25T20:00:55"),
        ("NOW + 1 Hour", "2026-11-25T21:00:55"),
        ("now+1minutes", "2026-11-25T20:01:55"),
        ("now-1hour", "2026-11-25T19:00:55"),
        ("16:00:30", "2026-11-26T16:00:30"),
        ("20:00:55", "2026-11-25T20:00:55"),
        ("4:00 PM", "2026-11-26T16:00:00"),
        ("11:00pm", "2026-11-25T23:00:00"),
        ("12:00am", "2026-11-26T00:00:00"),
        ("12:30pm", "2026-11-26T12:30:00"),
        ("elevenses", "2026-11-26T11:00:00"),
        ("TEATIME", "2026-11-26T16:00:00"),
        ("today", "2026-11-25T00:00:00"),
        ("today 23:50", "2026-11-25T23:50:00"),
        ("noon tomorrow", "2026-11-26T12:00:00"),
        ("tomorrowT12:00", "2026-11-26T12:00:00"),
        ("2030-01-20T12:34:56", "2030-01-20T12:34:56"),
        ("2030-01-20 12:34", "2030-01-20T12:34:00"),
        ("2030-01-20-12:34", "2030-01-20T12:34:00"),
        ("2030-01-20T4:00PM", "2030-01-20T16:00:00"),
        ("01.20.30", "2030-01-20T00:00:00"),
        ("0120", "2027-01-20T00:00:00"),
        ("1/2 12:00", "2027-01-02T12:00:00"),
        ("12:00 1/2", "2027-01-02T12:00:00"),
        ("12/24", "2026-12-24T00:00:00"),
        ("uts1900000000", "2030-03-17T17:46:40"),
        ("2040-01-01", "2040-01-01T00:00:00"),
    ];
    for (text, moment) in table {
        assert_eq!(read(text, NOW).as_deref(), Ok(moment), "{text}");
    }
}

#[test]
fn what_is_no_moment_is_refused_where_it_goes_wrong() {
    let table = [
        ("now+1h", 4),
        ("now+1x", 4),
        ("now+", 3),
        ("now+-5", 3),
        ("now+1hour30min", 9),
        ("4:00p", 4),
        ("13:00pm", 5),
        ("tomorrow+1", 8),
        ("2030-01-20T12", 13),
        ("2030-1-2", 0),
        ("2030-13-01", 5),
        ("2030-01-20T24:00", 11),
        ("2030-01-20T23:60", 14),
        ("2030-01-20T12:34:56Z", 19),
        ("1/20/2030", 7),
        ("01-20", 2),
        ("01202030", 6),
        ("99:00", 0),
        ("7:5", 3),
        ("16:00:61", 6),
        ("12:34:56:78", 8),
        ("16:00+1hour", 5),
        ("monday", 0),
        ("13/1/30", 0),
        ("1/32/30", 2),
        ("2030-02-30", 8),
    ];
    for (text, position) in table {
        let error = format!("Invalid time specification (pos={position}): {text}");
        assert_eq!(read(text, NOW), Err(error));
    }
    for text in ["", " ", "2/29", "T"] {
        assert!(read(text, NOW).is_err(), "{text}");
    }
}

#[test]
fn the_zone_and_its_changes_count() {
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("the zone is well written");
    let read = |text, now| {
        let moment = date::parse(text, at(now), &zone).expect("the moment is well written");
        (date::format(moment, &TimeZone::UTC), date::format(moment, &zone))
    };
    let both = |utc: &str, local: &str| (utc.to_owned(), local.to_owned());
    let now = "2026-03-28T12:00:00";
    assert_eq!(read("tomorrow 01:30", now), both("2026-03-29T00:30:00", "2026-03-29T01:30:00"));
    // The clocks go from two to three.
    assert_eq!(read("tomorrow 02:30", now), both("2026-03-29T01:30:00", "2026-03-29T03:30:00"));
    // 23:30 in UTC is half past midnight of the next day.
    assert_eq!(read("today", "2026-03-27T23:30:00").1, "2026-03-28T00:00:00");
    // A day of the clock's change is as long as it is.
    assert_eq!(read("12:00", "2026-03-28T12:30:00").1, "2026-03-29T12:00:00");
}

#[test]
fn moments_are_printed_as_slurm_time_format_says() {
    let relative = [
        ("2025-10-21T20:01:43", "21 Oct 2025"),
        ("2026-01-29T20:01:43", "29 Jan 20:01"),
        ("2026-11-19T20:01:43", "19 Nov 20:01"),
        ("2026-11-24T23:01:43", "Ystday 23:01"),
        ("2026-11-25T19:01:43", "19:01:43"),
        ("2026-11-26T01:01:43", "Tomorr 01:01"),
        ("2026-11-27T20:01:43", "Fri 20:01"),
        ("2026-12-01T20:01:43", "Tue 20:01"),
        ("2026-12-02T20:01:43", "2 Dec 20:01"),
        ("2027-01-01T20:01:43", "1 Jan 2027"),
    ];
    let format = TimeFormat::parse("relative");
    for (moment, text) in relative {
        assert_eq!(format.print(at(moment), at(NOW), &TimeZone::UTC), text);
    }
    let print = |format: &str| TimeFormat::parse(format).print(at(NOW), at(NOW), &TimeZone::UTC);
    assert_eq!(print("standard"), NOW);
    assert_eq!(print(""), NOW);
    assert_eq!(print("%a %T"), "Wed 20:00:55");
    assert_eq!(print("%! no format"), NOW);
}

proptest! {
    #[test]
    fn what_is_printed_reads_the_same(seconds in 0..253_402_200_000_u64, offset in -12..=14_i8) {
        let zone = TimeZone::fixed(jiff::tz::offset(offset));
        let moment = Timestamp::from_seconds(seconds);
        let printed = date::format(moment, &zone);
        prop_assume!(!printed.starts_with("1969"));
        prop_assert_eq!(date::parse(&printed, at(NOW), &zone), Ok(moment));
    }

    #[test]
    fn any_text_is_answered(
        text in "\\PC*",
        close in "(now|today|noon|tomorrow|uts|am|PM|[-+0-9:/. T])*",
        seconds in any::<u64>(),
    ) {
        for text in [text, close] {
            let _ = date::parse(&text, Timestamp::from_seconds(seconds), &TimeZone::UTC);
            let now = at(NOW);
            if let Ok(moment) = date::parse(&text, now, &TimeZone::UTC) {
                let _ = date::format(moment, &TimeZone::UTC);
                let _ = TimeFormat::Relative.print(moment, now, &TimeZone::UTC);
            }
            let _ = TimeFormat::parse(&text).print(now, now, &TimeZone::UTC);
        }
    }
}
