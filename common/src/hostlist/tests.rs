//! What `scontrol show hostnames|hostlist|hostlistsorted` of Slurm 26.05 printed, and properties.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn list(text: &str) -> Hostlist {
    Hostlist::parse(text).expect("the test's list is valid")
}

fn names(text: &str) -> Vec<String> {
    list(text).iter().collect()
}

fn refusal(text: &str) -> String {
    Hostlist::parse(text).expect_err("the list is invalid").to_string()
}

#[test]
fn hostnames_as_captured() {
    let cases: &[(&str, &[&str])] = &[
        ("n[1-4]", &["n1", "n2", "n3", "n4"]),
        ("n[1,3,5-7]", &["n1", "n3", "n5", "n6", "n7"]),
        ("n[001-003],m5", &["n001", "n002", "n003", "m5"]),
        ("a[1-2]b[1-2]", &["a1b1", "a1b2", "a2b1", "a2b2"]),
        ("n1,n1,n2", &["n1", "n1", "n2"]),
        ("", &[]),
        (
            "rack[0-1]node[00-03]",
            &[
                "rack0node00",
                "rack0node01",
                "rack0node02",
                "rack0node03",
                "rack1node00",
                "rack1node01",
                "rack1node02",
                "rack1node03",
            ],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(names(text), *expected, "{text}");
        assert_eq!(list(text).len(), expected.len(), "{text}");
    }
}

#[test]
fn hostlists_as_captured() {
    // The list, `show hostlist`, `show hostlistsorted`.
    let cases = [
        ("n1,n2,n3", "n[1-3]", "n[1-3]"),
        ("n1,n3", "n[1,3]", "n[1,3]"),
        ("n3,n1,n2", "n[3,1-2]", "n[1-3]"),
        ("n01,n1,n02", "n[01,1,02]", "n[1,01-02]"),
        ("n1,n1,n2", "n[1,1-2]", "n[1,1-2]"),
        ("n09,n10,n11", "n[09-11]", "n[09-11]"),
        ("n9,n10,n11", "n[9-11]", "n[9-11]"),
        ("a1b1,a1b2,a2b1", "a1b[1-2],a2b1", "a1b[1-2],a2b1"),
        ("", "", ""),
        ("x", "x", "x"),
        ("n[1-3],n[5-9]", "n[1-3,5-9]", "n[1-3,5-9]"),
        ("node-1,node-2", "node-[1-2]", "node-[1-2]"),
        ("n001,n2", "n[001,2]", "n[2,001]"),
        ("10,11,12", "[10-12]", "[10-12]"),
    ];
    for (text, ranged, sorted) in cases {
        assert_eq!(list(text).to_string(), ranged, "{text}");
        assert_eq!(list(text).sorted().to_string(), sorted, "{text} sorted");
    }
}

/// Cases that the captures lack, as Slurm 22.05.8 printed them.
#[test]
fn hostlists_as_slurm_prints_them() {
    let cases = [
        ("n[1-3],n4,n[5-6]", "n[1-6]", "n[1-6]"),
        ("n[08-100]", "n[08-100]", "n[08-100]"),
        ("n[1-010]", "n[1-10]", "n[1-10]"),
        ("n[001-10]", "n[001-010]", "n[001-010]"),
        ("n[01-1]", "n01", "n01"),
        ("n1,n01,n2,n02", "n[1,01,2,02]", "n[1-2,01-02]"),
        ("n099,n100", "n[099-100]", "n[099-100]"),
        ("n010,n100,n9", "n[010,100,9]", "n[9,010,100]"),
        ("n1,m1,n2", "n1,m1,n2", "m1,n[1-2]"),
        ("n,m,n2,m1", "n,m,n2,m1", "m,m1,n,n2"),
        ("n[1-3],n[1-3]", "n[1-3,1-3]", "n[1,1-2,2-3,3]"),
        ("tux[0-9],tux1", "tux[0-9,1]", "tux[0-1,1-9]"),
        ("node-[1-2],node3", "node-[1-2],node3", "node3,node-[1-2]"),
        ("a10b1,a2b1", "a10b1,a2b1", "a2b1,a10b1"),
        ("r2n1,r02n1,r10n1,r010n1", "r2n1,r02n1,r10n1,r010n1", "r010n1,r02n1,r2n1,r10n1"),
        ("A1,a1,B1", "A1,a1,B1", "A1,B1,a1"),
        ("a-1,a1,a.1", "a-1,a1,a.1", "a1,a-1,a.1"),
        (" a, b\tc,,", "a,b,c", "a,b,c"),
        ("x1y,x2y", "x1y,x2y", "x1y,x2y"),
        ("n,n", "n,n", "n,n"),
        (
            "a[1-2]b[1-2]c[1-2]",
            "a1b1c[1-2],a2b1c[1-2],a1b2c[1-2],a2b2c[1-2]",
            "a1b1c[1-2],a1b2c[1-2],a2b1c[1-2],a2b2c[1-2]",
        ),
    ];
    for (text, ranged, sorted) in cases {
        assert_eq!(list(text).to_string(), ranged, "{text}");
        assert_eq!(list(text).sorted().to_string(), sorted, "{text} sorted");
    }
}

#[test]
fn text_after_a_bracket() {
    assert_eq!(names("n[1-2,4]-ib"), ["n1-ib", "n2-ib", "n4-ib"]);
    assert_eq!(list("n[1-2].example.com").to_string(), "n1.example.com,n2.example.com");
    assert_eq!(names("n[1-2]03"), ["n103", "n203"]);
    assert_eq!(list("n[1-2][08-10]").to_string(), "n[108-110,208-210]");
    assert_eq!(list("n1[9-10]"), list("n19,n110"));
}

#[test]
fn refusals() {
    // The first two are captured; Slurm 22.05.8 has the same texts for the others with backquotes,
    // except that it reads `n[1-]` as `n1`.
    assert_eq!(refusal("n[3-1]"), "Invalid range: `3-1'");
    assert_eq!(refusal("n[1-10:2]"), "Invalid range: `1-10:2'");
    assert_eq!(refusal("n[]"), "Invalid range: `'");
    assert_eq!(refusal("n[1,,2]"), "Invalid range: `'");
    assert_eq!(refusal("n[a]"), "Invalid range: `a'");
    assert_eq!(refusal("n[1-]"), "Invalid range: `1-'");
    assert_eq!(refusal("n[1-2-3]"), "Invalid range: `1-2-3'");
    assert_eq!(refusal("n[+1]"), "Invalid range: `+1'");
    assert_eq!(refusal("n[1, 2]"), "Invalid range: ` 2'");
    assert_eq!(refusal("n[1-65537]"), "Too many hosts in range `1-65537'");
    for text in ["n[1", "n]", "n[[1]]", "n[1[2]", "n[1]]", "a,n[1-2"] {
        assert!(
            matches!(Hostlist::parse(text), Err(HostlistError::Brackets(_))),
            "{text} has unmatched brackets"
        );
    }
}

#[test]
fn what_would_expand_too_far_is_refused() {
    use HostlistError::{TooLong, TooManyInRange, TooManyNames, TooManyRanges};
    assert_eq!(list("n[0-65535]").len(), 65_536);
    assert!(matches!(Hostlist::parse("n[0-65536]"), Err(TooManyInRange(_))));
    assert!(matches!(Hostlist::parse("n[0-999999999999999999]"), Err(TooManyInRange(_))));
    // 2^48, and more than an u64 counts.
    let deep = "n".to_owned() + &"[0-65535]".repeat(3);
    assert!(matches!(Hostlist::parse(&deep), Err(TooManyNames { .. })));
    let deeper = "n".to_owned() + &"[0-65535]".repeat(20);
    assert!(matches!(Hostlist::parse(&deeper), Err(TooManyNames { .. })));
    let long = ["n[0-65535]"; 17].join(",");
    assert!(matches!(Hostlist::parse(&long), Err(TooManyNames { .. })));
    assert!(matches!(Hostlist::parse("n[0-65535]b,m[0-65535]b"), Err(TooManyRanges { .. })));
    assert!(matches!(Hostlist::parse("n[0-65535][0,2]x"), Err(TooManyRanges { .. })));
    assert!(matches!(Hostlist::parse(&"n".repeat(256)), Err(TooLong { .. })));
    assert!(Hostlist::parse(&"n".repeat(255)).is_ok());
}

#[test]
fn numbers_of_any_length() {
    for name in ["n18446744073709551616", "n999999999999999999", "00000000000000000000000000"] {
        assert_eq!(names(name), [name]);
        assert_eq!(list(name).to_string(), name);
    }
    let across = ["n999999999999999999", "n1000000000000000000", "n1000000000000000001"];
    let crossing = Hostlist::from_names(across);
    assert_eq!(crossing.iter().collect::<Vec<_>>(), across);
    assert_eq!(list(&crossing.to_string()), crossing);
    assert_eq!(
        list("n123456789012345678[9-10]"),
        list("n1234567890123456789,n12345678901234567810")
    );
}

#[test]
fn places() {
    let nodes = list("n[3,1-2],login,r1n[08-11]");
    for (place, name) in nodes.iter().enumerate() {
        assert_eq!(nodes.position(&name), Some(place));
        assert_eq!(nodes.nth(place), Some(name));
    }
    assert_eq!(nodes.nth(nodes.len()), None);
    assert_eq!(nodes.first().as_deref(), Some("n3"));
    for absent in ["n4", "n01", "n", "log", "login1", "r1n8", "r1n12", "r1n", ""] {
        assert!(!nodes.contains(absent), "{absent}");
    }
}

#[test]
fn sets() {
    let (left, right) = (list("n[1-10],n[005-020],x"), list("n[2-3,9-100],n010,y"));
    assert_eq!(left.union(&right).to_string(), "n[1-99,005-020,100],x,y");
    assert_eq!(left.intersection(&right).to_string(), "n[2-3,9-10,010]");
    assert_eq!(left.difference(&right).to_string(), "n[1,4-8,005-009,011-020],x");
    assert_eq!(list("n1,n[1-3],n1,x,x").unique().to_string(), "n[1-3],x");
    assert!(list("n[2-3]").is_subset(&left));
    assert!(!left.is_subset(&right));
    assert!(left.intersects(&right));
    assert!(!list("n[1-3]").intersects(&list("n[01-03]")));
}

#[test]
fn set_operations_do_not_expand() {
    let all: Vec<String> = (0..16).map(|rack| format!("r{rack}n[0-65535]")).collect();
    let (all, odd) = (list(&all.join(",")), list("r[3,5]n[1-65535]"));
    let left = all.difference(&odd);
    assert_eq!(left.len(), 16 * 65_536 - 2 * 65_535);
    assert_eq!(left.union(&odd), all);
    // A range for each length that the numbers have is the most that is held.
    assert_eq!(left.ranges.len(), 16);
}

/// Names of which many share prefixes and numbers, so that ranges join, touch and overlap.
fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "(n|r2n|n-)(0|00)?(8|9|1[0-2]|9[89]|10[01])",
        1 => "[a-c]?[0-3]{1,3}[xy]?",
        1 => "x(99|[0-9]{17,20})",
    ]
}

fn any_names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(any_name(), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn names_survive_compression(given in any_names()) {
        let compressed = Hostlist::from_names(&given);
        prop_assert_eq!(compressed.iter().collect::<Vec<_>>(), given.clone());
        prop_assert_eq!(compressed.len(), given.len());
        let text = compressed.to_string();
        prop_assert_eq!(Hostlist::parse(&text), Ok(compressed), "{}", text);
    }

    #[test]
    fn sets_agree_with_sets_of_names(left in any_names(), right in any_names()) {
        let (lefts, rights) = (Hostlist::from_names(&left), Hostlist::from_names(&right));
        let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
        let spelled = |list: &Hostlist| {
            let names: Vec<String> = list.iter().collect();
            let set = set(&names);
            assert_eq!(names.len(), set.len(), "no name is repeated");
            set
        };
        let (left_set, right_set) = (set(&left), set(&right));
        prop_assert_eq!(spelled(&lefts.unique()), left_set.clone());
        prop_assert_eq!(spelled(&lefts.union(&rights)), &left_set | &right_set);
        prop_assert_eq!(spelled(&lefts.intersection(&rights)), &left_set & &right_set);
        prop_assert_eq!(spelled(&lefts.difference(&rights)), &left_set - &right_set);
        prop_assert_eq!(lefts.is_subset(&rights), left_set.is_subset(&right_set));
        for name in &right {
            prop_assert_eq!(lefts.contains(name), left_set.contains(name));
        }
    }

    #[test]
    fn sorting_keeps_every_repetition(given in any_names()) {
        let sorted = Hostlist::from_names(&given).sorted();
        let (mut before, mut after) = (given, sorted.iter().collect::<Vec<_>>());
        prop_assert_eq!(sorted.sorted(), sorted.clone());
        prop_assert_eq!(sorted.unique().sorted(), sorted.unique());
        before.sort();
        after.sort();
        prop_assert_eq!(before, after);
    }

    /// Equal names sort alike in whatever order they came.
    #[test]
    fn sorting_ignores_the_order(given in any_names()) {
        let reversed = Hostlist::from_names(given.iter().rev());
        prop_assert_eq!(Hostlist::from_names(&given).sorted(), reversed.sorted());
    }

    #[test]
    fn no_text_panics(text in "[n0-9a\\[\\], -]{0,40}|\\PC{0,40}") {
        if let Ok(list) = Hostlist::parse(&text) {
            prop_assert_eq!(Hostlist::parse(&list.to_string()), Ok(list.clone()));
            prop_assert_eq!(list.sorted().len(), list.len());
        }
    }
}
