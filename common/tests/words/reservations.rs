//! When reservations hold, and how their flags are written.

use common::{
    id::NodeName,
    reservation::{Allowed, Flags, FlagsError, Reservation},
    time::{Span, Timestamp},
};
use proptest::prelude::*;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// A Monday, 2026-11-23T00:00:00Z.
const MONDAY: u64 = 1_795_392_000_000;

fn reservation(start: u64, length: u64, flags: &str) -> Reservation {
    Reservation {
        name: "one".to_owned(),
        number: 1,
        start: Timestamp(start),
        end: Timestamp(start + length),
        nodes: vec![NodeName::from("n1")],
        users: Allowed { names: vec!["alice".to_owned()], denied: false },
        accounts: Allowed::default(),
        groups: vec![],
        partition: None,
        features: None,
        flags: if flags.is_empty() {
            Flags::default()
        } else {
            Flags::parse(flags).expect("flags").0
        },
        purge_after: None,
        idle_since: None,
        utc_offset_s: 0,
    }
}

/// Hours from the Monday on at which the instances begin that are over after the first one's end.
fn begins(one: &Reservation, count: usize) -> Vec<u64> {
    let mut at = one.end;
    let mut begins = Vec::new();
    while begins.len() < count {
        let instance = one.instance(at).expect("it repeats");
        begins.push((instance.start.0 - MONDAY) / HOUR);
        assert_eq!(instance.end.since(instance.start), one.length());
        at = instance.end;
    }
    begins
}

#[test]
fn instances_follow_from_the_first_one() {
    let one = |flags| reservation(MONDAY + 8 * HOUR, HOUR, flags);
    assert_eq!(one("").instance(Timestamp(MONDAY + 9 * HOUR)), None, "it is over at its end");
    assert!(one("").holds(Timestamp(MONDAY + 9 * HOUR - 1)));
    assert_eq!(begins(&one("hourly"), 3), [9, 10, 11]);
    assert_eq!(begins(&one("daily"), 3), [32, 56, 80]);
    assert_eq!(begins(&one("weekly"), 2), [8 + 168, 8 + 336]);
    // Tuesday to Friday, and then Monday.
    assert_eq!(begins(&one("weekday"), 6), [32, 56, 80, 104, 8 + 168, 32 + 168]);
    assert_eq!(begins(&one("weekend"), 3), [8 + 5 * 24, 8 + 6 * 24, 8 + 12 * 24]);
    // In Tokyo, Friday evening is Saturday morning.
    let late = Reservation { utc_offset_s: 9 * 3_600, ..one("weekend") };
    let late = Reservation { start: Timestamp(MONDAY + 20 * HOUR), ..late };
    let late = Reservation { end: Timestamp(MONDAY + 21 * HOUR), ..late };
    assert_eq!(begins(&late, 3), [20 + 4 * 24, 20 + 5 * 24, 20 + 11 * 24]);
}

#[test]
fn those_collide_that_hold_a_node_at_a_time_now_or_weeks_later() {
    let daily = reservation(MONDAY + 8 * HOUR, HOUR, "daily");
    let at = |start, flags| reservation(MONDAY + start, HOUR, flags);
    assert!(at(8 * HOUR + 1, "").collides(&daily));
    assert!(!at(9 * HOUR, "").collides(&daily));
    assert!(daily.collides(&at(20 * DAY + 8 * HOUR, "")));
    assert!(!daily.collides(&at(20 * DAY + 9 * HOUR, "")));
    assert!(!at(8 * HOUR, "").collides(&at(9 * HOUR, "")));
    assert!(at(9 * HOUR, "hourly").collides(&daily));
    let elsewhere = Reservation { nodes: vec![NodeName::from("n2")], ..at(8 * HOUR, "") };
    assert!(!elsewhere.collides(&daily));
}

#[test]
fn flags_are_read_as_slurm_reads_them() {
    let read = |text| {
        Flags::parse(text).map(|(flags, purge)| {
            (
                flags.iter().map(|(_, name)| name).collect::<Vec<_>>().join(","),
                purge.map(str::to_owned),
            )
        })
    };
    let good = |names: &str| Ok((names.to_owned(), None));
    assert_eq!(read("daily,maint"), good("MAINT,DAILY"));
    assert_eq!(read("Ignore_Jobs,week"), good("IGNORE_JOBS,WEEKDAY"));
    assert_eq!(read("weekly"), good("WEEKLY"));
    let purge = ("PURGE_COMP".to_owned(), Some("00:10:00".to_owned()));
    assert_eq!(read("purge_comp=00:10:00"), Ok(purge));
    for wrong in ["", "bogus", "daily=1", "ma", "daily,", "daily+maint"] {
        assert_eq!(read(wrong), Err(FlagsError::Unknown(wrong.to_owned())), "{wrong}");
    }
    assert!(matches!(read("replace"), Err(FlagsError::Unsupported("REPLACE", _))));
    assert!(matches!(read("time_float"), Err(FlagsError::Unsupported("TIME_FLOAT", _))));
    assert_eq!(Flags::from_bits(1 << 31), None);
}

proptest! {
    /// An instance is the first that is over after the moment, and there is none between.
    #[test]
    fn the_instance_of_a_moment_is_the_next_that_is_not_over(
        flags in prop::sample::select(vec!["hourly", "daily", "weekly", "weekday", "weekend"]),
        length in 1..HOUR,
        after in 0..30 * DAY,
        offset in -12_i32..14,
    ) {
        let one = reservation(MONDAY, length, flags);
        let one = Reservation { utc_offset_s: 3_600 * offset, ..one };
        let at = Timestamp(MONDAY + after);
        let instance = one.instance(at).expect("it repeats");
        prop_assert!(instance.end > at);
        let every = instance.start.since(one.start).0 % one.period().expect("it repeats").0;
        prop_assert_eq!(every, 0);
        prop_assert_eq!(one.holds(at), instance.start <= at);
        prop_assert!(one.overlaps(at, instance.end));
        prop_assert!(!one.overlaps(at, instance.start));
        if instance.start > at {
            prop_assert_eq!(one.border_after(at), Some(instance.start));
            prop_assert_eq!(one.instance(instance.start), Some(instance));
        }
    }

    #[test]
    fn any_text_is_flags_or_none(text in "[a-zA-Z_,=0-9 ]{0,24}") {
        if let Ok((flags, _)) = Flags::parse(&text) {
            prop_assert!(!flags.is_empty());
            prop_assert_eq!(Flags::from_bits(flags.bits()), Some(flags));
            let again: Vec<&str> = flags.iter().map(|(_, name)| name).collect();
            prop_assert_eq!(Flags::parse(&again.join(",")).map(|(flags, _)| flags), Ok(flags));
        }
    }
}

/// The same length as the one that it was made of.
#[test]
fn lengths_are_whole() {
    assert_eq!(reservation(MONDAY, HOUR, "daily").length(), Span(HOUR));
}
