use common::{
    count::{Count, CountError, parse_nodes, parse_positive},
    size::{Mib, SizeError, parse_mib},
};
use proptest::prelude::*;

use crate::captures;

#[test]
fn memory_is_read_and_printed_as_slurm_does() {
    for capture in captures::parse(include_str!("../captures/sbatch-mem-formats.txt")) {
        let text = capture.argument("--mem=", " --wrap");
        let mib = parse_mib(text);
        if capture.exit == 0 {
            let mib = Mib(mib.expect(text));
            assert_eq!(mib.to_string(), capture.noted("squeue %m: "), "{text}");
        } else {
            assert_eq!(mib, Err(SizeError), "{text}");
        }
    }
}

#[test]
fn memory_is_read() {
    let table = [
        ("1023K", 1),
        ("1025K", 2),
        ("16GB", 16_384),
        ("16gb", 16_384),
        ("5B", 5),
        ("1Kb", 1),
        ("0G", 0),
        ("2T", 2_097_152),
    ];
    for (text, mib) in table {
        assert_eq!(parse_mib(text), Ok(mib), "{text}");
    }
    for text in ["", "G", "10X", "-1", "1 G", "1GiB", "1P", "5MBx", "99999999999999T", "1e3"] {
        assert_eq!(parse_mib(text), Err(SizeError), "{text}");
    }
}

#[test]
fn memory_is_printed_in_the_largest_whole_unit() {
    let table = [
        (0, "0"),
        (1, "1M"),
        (1_023, "1023M"),
        (1_024, "1G"),
        (1_025, "1025M"),
        (16_000, "16000M"),
        (128_000, "125G"),
        (1_048_576, "1T"),
        (1 << 30, "1P"),
        ((1 << 30) + 1_024, "1048577G"),
    ];
    for (mib, text) in table {
        assert_eq!(Mib(mib).to_string(), text);
    }
    assert_eq!(format!("{:>6}", Mib(2_048)), "    2G");
}

#[test]
fn counts_of_nodes_are_read() {
    let table = [("2", 2, 2), ("2-4", 2, 4), ("1k", 1_024, 1_024), ("2K-4k", 2_048, 4_096)];
    let odd = [
        ("0", 0, 0),
        ("-1", 1, 1),
        ("+3", 3, 3),
        (" 2", 2, 2),
        ("0-3", 0, 3),
        ("1m", 1 << 20, 1 << 20),
    ];
    for (text, min, max) in table.into_iter().chain(odd) {
        assert_eq!(parse_nodes(text), Ok(Count { min, max: Some(max) }), "{text}");
    }
    for text in ["abc", "", "-", "1-", "2-k", "3*", "1-10%2", "99999999999", "9999999k"] {
        assert_eq!(parse_nodes(text), Err(CountError::Invalid(text.to_owned())), "{text}");
    }
    for text in ["1,3", "1-5:2"] {
        assert_eq!(parse_nodes(text), Err(CountError::List(text.to_owned())), "{text}");
    }
    let reversed = parse_nodes("2-1").map_err(|error| error.to_string());
    assert_eq!(reversed, Err("Maximum node count 1 is less than minimum node count 2".to_owned()));
    let invalid = parse_nodes("abc").map_err(|error| error.to_string());
    assert_eq!(invalid, Err("\"abc\" is not a valid node count".to_owned()));
}

#[test]
fn positive_numbers_are_read() {
    assert_eq!(parse_positive("1"), Some(1));
    assert_eq!(parse_positive("+12"), Some(12));
    assert_eq!(parse_positive("2147483647"), Some(2_147_483_647));
    for text in ["0", "-3", "x", "", "+", "1x", "1 ", "2147483648", "1k"] {
        assert_eq!(parse_positive(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn memory_comes_back(mib in 0..=u64::from(u32::MAX) << 8) {
        let text = Mib(mib).to_string();
        // No suffix beyond T is read, as in Slurm.
        prop_assume!(!text.ends_with(['P', 'E']));
        prop_assert_eq!(parse_mib(&text), Ok(mib));
    }

    #[test]
    fn any_text_is_answered(text in "\\PC*", close in "[-+0-9kKmMgGtTbB,: ]*") {
        for text in [text, close] {
            let _ = parse_positive(&text);
            if let Ok(mib) = parse_mib(&text) {
                let _ = Mib(mib).to_string();
            }
            if let Ok(Count { min, max }) = parse_nodes(&text) {
                prop_assert!(max.is_some_and(|max| max >= min));
            }
        }
    }
}
