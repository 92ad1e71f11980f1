use common::time::{Span, TimeError, TimeLimit, parse_span};
use proptest::prelude::*;

use crate::captures;

/// What Slurm makes of this one is an overflow of its 32 bits: 1002 years become 49.
const OVERFLOWS: &str = "527040000";

#[test]
fn time_limits_are_read_and_printed_as_slurm_does() {
    for capture in captures::parse(include_str!("../captures/sbatch-time-formats.txt")) {
        let text = capture.argument("-t ", " --wrap");
        let limit = TimeLimit::parse(text);
        if capture.exit != 0 {
            assert_eq!(limit, Err(TimeError), "{text}");
        } else if text == OVERFLOWS {
            assert_eq!(limit, Ok(TimeLimit::Unlimited));
        } else {
            let limit = limit.expect(text);
            assert_eq!(limit.padded(), capture.noted("TimeLimit="), "{text}");
            assert_eq!(limit.brief(), capture.noted("squeue: "), "{text}");
        }
    }
}

#[test]
fn lengths_of_time_are_read() {
    let seconds = |text: &str| parse_span(text).map(|span| span.map(Span::seconds));
    let table = [
        ("1", 60),
        ("1:30", 90),
        ("1-0", 86_400),
        ("1-", 86_400),
        ("0", 0),
        ("1-25", 176_400),
        ("1-2:3", 93_780),
        ("1-2:3:4", 93_784),
        ("00:00:01", 1),
    ];
    for (text, expected) in table {
        assert_eq!(seconds(text), Ok(Some(expected)), "{text}");
    }
    for endless in ["-1", "-5", "INFINITE", "unlimited"] {
        assert_eq!(seconds(endless), Ok(None), "{endless}");
    }
    let wrong =
        ["", "-", "1:", ":5", "1::2", "1-2-3", " 5", "5 ", "+5", "inf", "1-2:3:4:5", "1:2:3-4"];
    for text in wrong {
        assert_eq!(seconds(text), Err(TimeError), "{text}");
    }
}

#[test]
fn a_limit_of_zero_is_none() {
    assert_eq!(TimeLimit::parse("0"), Ok(TimeLimit::Unlimited));
    assert_eq!(TimeLimit::parse("0:00"), Ok(TimeLimit::Unlimited));
}

#[test]
fn lengths_of_time_are_printed() {
    let table = [
        (0, "0:00", "00:00:00"),
        (3, "0:03", "00:00:03"),
        (300, "5:00", "00:05:00"),
        (3_599, "59:59", "00:59:59"),
        (86_399, "23:59:59", "23:59:59"),
        (93_784, "1-02:03:04", "1-02:03:04"),
        (31_536_000, "365-00:00:00", "365-00:00:00"),
        (31_536_001, "INVALID", "365-00:00:01"),
    ];
    for (seconds, brief, padded) in table {
        assert_eq!(Span::from_seconds(seconds).brief(), brief);
        assert_eq!(Span::from_seconds(seconds).padded(), padded);
    }
}

proptest! {
    #[test]
    fn what_is_printed_reads_the_same(seconds in 0..4_000_000_000_u64) {
        let span = Span::from_seconds(seconds);
        prop_assert_eq!(parse_span(&span.padded()), Ok(Some(span)));
    }

    #[test]
    fn limits_come_back(minutes in 1..=30_000_000_u32) {
        let limit = TimeLimit::Minutes(minutes);
        prop_assert_eq!(TimeLimit::parse(&limit.padded()), Ok(limit));
        prop_assert_eq!(TimeLimit::parse(&minutes.to_string()), Ok(limit));
    }

    #[test]
    fn any_text_is_answered(text in "\\PC*", numbers in "[-0-9: ]*") {
        for text in [text, numbers] {
            if let Ok(limit) = TimeLimit::parse(&text) {
                let _ = (limit.padded(), limit.brief());
            }
        }
    }
}
