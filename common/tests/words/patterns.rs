use common::pattern::{BATCH, Names, expand};
use proptest::prelude::*;

use crate::captures;

/// The task of an array whose files are in the capture.
const CAPTURED: Names<'_> = Names {
    job: 167,
    array: Some((167, 5)),
    step: BATCH,
    node: Some("n3"),
    node_index: 0,
    task: 0,
    user: "alice",
    job_name: "pat tern",
};

const PLAIN: Names<'_> = Names {
    job: 7,
    array: None,
    step: BATCH,
    node: Some("n1.example.org"),
    node_index: 2,
    task: 3,
    user: "bob",
    job_name: "j",
};

#[test]
fn files_are_named_as_slurm_names_them() {
    let captures = captures::parse(include_str!("../captures/filename-patterns.txt"));
    let files = &captures[0].stdout;
    let patterns = ["pat.o.%%.%A.%a.%j.%J.%s.%N.%n.%t.%u.%x.%4j.%08a.%b.out", "pat.e.%x.err"];
    for pattern in patterns {
        let name = expand(pattern, &CAPTURED);
        assert!(files.contains(&name), "{name} is not among the files that Slurm made");
    }
    let step = Names { step: "0", ..CAPTURED };
    let name = expand("pat.step.%J.%j.%s.%t.%n.%N.%A.%a.%x.%3t.out", &step);
    assert!(files.contains(&name), "{name} is not among the files that Slurm made");
}

#[test]
fn symbols_are_filled_in() {
    let table = [
        ("slurm-%j.out", "slurm-7.out"),
        ("%A_%a", "7_4294967294"),
        ("%3n-%02t", "002-03"),
        ("%5N", "n1"),
        ("%q %4q 100%", "%q %4q 100%"),
        ("%%j", "%j"),
        ("%%%j", "%7"),
        ("%99j", "0000000007"),
        ("%99999999999999999999999j", "0000000007"),
        ("", ""),
        (r"a\%j", "a%j"),
        (r"%j\\%x", r"%j\%x"),
        ("%\u{e9}", "%\u{e9}"),
    ];
    for (pattern, name) in table {
        assert_eq!(expand(pattern, &PLAIN), name, "{pattern}");
    }
    assert_eq!(expand("%A_%a.%b", &Names { array: Some((3, 15)), ..PLAIN }), "3_15.5");
    assert_eq!(expand("%N.%u", &Names { node: None, ..PLAIN }), "%N.bob");
}

proptest! {
    #[test]
    fn any_pattern_is_filled_in(pattern in "\\PC*", close in "[%0-9AajJbNnstux\\\\]*") {
        for pattern in [pattern, close] {
            let name = expand(&pattern, &PLAIN);
            prop_assert!(name.len() <= pattern.len() * 10 + 10);
            if !pattern.contains(['%', '\\']) {
                prop_assert_eq!(name, pattern);
            }
        }
    }

    #[test]
    fn doubled_signs_protect_any_name(name in "[^\\\\]*") {
        prop_assert_eq!(expand(&name.replace('%', "%%"), &PLAIN), name);
    }
}
