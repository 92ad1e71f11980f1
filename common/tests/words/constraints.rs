//! `--constraint` against what real Slurm 22.05 took, and against arbitrary texts.

use common::job::{Constraint, Features, Join, assign};
use proptest::prelude::*;

/// The nodes that a constraint on each node leaves, of five with these features.
fn left(text: &str) -> Vec<usize> {
    const NODES: [&[&str]; 5] = [&["a", "b"], &["a", "c"], &["b", "c"], &["b"], &["d"]];
    let every = Constraint::parse(text).expect("it is one").every.expect("of each node");
    let met = |node: &usize| every.met(&|name| NODES[node - 1].contains(&name));
    (1..=5).filter(met).collect()
}

#[test]
fn features_are_joined_from_left_to_right() {
    #[rustfmt::skip]
    let stories: [(&str, &[usize]); 8] = [
        ("a",       &[1, 2]),
        ("a&b",     &[1]),
        ("a,b",     &[1]),
        ("a|b",     &[1, 2, 3, 4]),
        ("a|b&c",   &[2, 3]),
        ("b&c|d",   &[3, 5]),
        ("(a|b)&c", &[2, 3]),
        ("b&(a|c)", &[1, 3]),
    ];
    for (text, expected) in stories {
        assert_eq!(left(text), expected, "{text}");
    }
}

/// What was read, without the text.
fn read(text: &str) -> Constraint {
    let read = Constraint::parse(text).expect("it is one");
    assert_eq!(read.text, text.replace(',', "&"));
    Constraint { text: String::new(), ..read }
}

#[test]
fn what_is_asked_of_all_nodes_together_stands_beside_it() {
    let one = |name: &str| Features::One(name.to_owned());
    assert_eq!(read("[a|b]"), Constraint { same: vec![one("a"), one("b")], ..Default::default() });
    assert_eq!(read("c&[a|b]"), Constraint { every: Some(one("c")), ..read("[a|b]") });
    assert_eq!(read("[a|b]&c"), read("c&[a|b]"));
    assert_eq!(read("a*2"), Constraint { counts: vec![(one("a"), 2)], ..Default::default() });
    assert_eq!(read("[a*1&b*3]"), Constraint { apart: true, ..read("a*1&b*3") });
    assert_eq!(read("[a*2]"), read("a*2"));
    assert_eq!(read("a*1&b"), Constraint { every: Some(one("b")), ..read("a*1") });
    let both = Features::Chain { first: Box::new(one("a")), rest: vec![(Join::And, one("b"))] };
    assert_eq!(read("[(a&b)|c]").same, [both, one("c")]);
    assert_eq!(read("x&[(a&b)|c]&d*2").names(), ["x", "a", "b", "c", "d"]);
    let least = |text: &str| read(text).least_nodes();
    assert_eq!([least("[a*2&b*3]"), least("a*2&b*3"), least("a")], [5, 3, 0]);
    assert_eq!((read("[a|b]").alternatives().count(), read("a").alternatives().count()), (2, 1));
}

#[test]
fn a_node_counts_for_one_thing_and_gives_way_where_that_helps() {
    let apart = |counts: &[u32], nodes: &[&str]| assigned(counts, true, nodes);
    assert_eq!(apart(&[1], &["b", "a", "a"]), Some(vec![1]), "earlier ones first");
    assert_eq!(apart(&[2], &["a", "b"]), None);
    assert_eq!(apart(&[1, 1], &["ab", "a"]), Some(vec![0, 1]), "the first gives way");
    assert_eq!(apart(&[1, 1, 1], &["ab", "bc", "a"]), Some(vec![0, 1, 2]), "so do two in a row");
    assert_eq!(apart(&[1, 1], &["ab", "c"]), None, "no node counts twice");
    assert_eq!(apart(&[2, 2], &["ab", "ab", "a", "c", "b"]), Some(vec![0, 1, 2, 4]));
    assert_eq!(apart(&[u32::MAX], &["a"]), None);
    assert_eq!(apart(&[], &["a"]), Some(vec![]));
}

#[test]
fn a_node_counts_for_all_that_it_has() {
    let together = |counts: &[u32], nodes: &[&str]| assigned(counts, false, nodes);
    assert_eq!(together(&[1, 1], &["c", "ab"]), Some(vec![1]));
    assert_eq!(together(&[1, 2], &["b", "b", "ab"]), Some(vec![0, 2]), "who has most is first");
    assert_eq!(together(&[2, 1], &["a", "b"]), None);
    assert_eq!(together(&[2, 1], &["a", "b", "a"]), Some(vec![0, 1, 2]));
    assert_eq!(together(&[u32::MAX], &["a"]), None);
}

/// Each text is a node, and its letters what it has.
fn assigned(counts: &[u32], apart: bool, nodes: &[&str]) -> Option<Vec<usize>> {
    let has = |thing: usize, node: usize| nodes[node].contains(["a", "b", "c"][thing]);
    assign(counts, apart, nodes.len(), &has)
}

#[test]
fn what_slurm_refuses_is_refused() {
    let texts = "[a|b  a|b]  a*0  a*  [a&b*2]  ((a))  (a  a)  [a*2|b*1]  &a  a&&b  !a  [a&b]  \
                 [a|b&c]  [a*1&b*1]&c*1  a*1&[b*1&c*1]  x[a|b]  a|[b|c]  [b|c]|a  []  ()  a&  *2  a*2*3  a*99999999999";
    for text in texts.split_whitespace().chain(["", "a b"]) {
        assert!(Constraint::parse(text).is_err(), "{text}");
    }
}

/// Features as they may be written, and the names that are in them.
fn features() -> impl Strategy<Value = (String, Vec<String>)> {
    let names = prop::collection::vec("[a-z0-9_.:-]{1,6}", 1..4);
    (names, prop::collection::vec("[&|,]", 3)).prop_map(|(names, joins)| {
        let mut text = names[0].clone();
        for (name, join) in names[1..].iter().zip(joins) {
            text.push_str(&join);
            text.push_str(name);
        }
        if names.len() > 1 { (format!("({text})"), names) } else { (text, names) }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        every in prop::collection::vec(features(), 0..3),
        same in prop::collection::vec(features(), 0..3),
        counts in prop::collection::vec((features(), 1_u32..), 0..3),
    ) {
        let mut terms: Vec<String> = every.iter().map(|(text, _)| text.clone()).collect();
        if !same.is_empty() {
            let texts: Vec<&str> = same.iter().map(|(text, _)| text.as_str()).collect();
            terms.push(format!("[{}]", texts.join("|")));
        }
        terms.extend(counts.iter().map(|((text, _), count)| format!("{text}*{count}")));
        prop_assume!(!terms.is_empty());
        let read = Constraint::parse(&terms.join("&")).expect("it is well formed");
        prop_assert_eq!(read.every.is_some(), !every.is_empty());
        prop_assert_eq!(read.same.len(), same.len());
        let counted: Vec<u32> = read.counts.iter().map(|(_, count)| *count).collect();
        prop_assert_eq!(&counted, &counts.iter().map(|(_, count)| *count).collect::<Vec<_>>());
        let all = every.iter().chain(&same).chain(counts.iter().map(|(features, _)| features));
        let names = all.flat_map(|(_, names)| names.iter().map(String::as_str));
        let names: Vec<&str> = names.collect();
        prop_assert_eq!(read.names(), names);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-c0-2&|,*()\\[\\]]{0,16}|\\PC{0,40}") {
        if let Ok(read) = Constraint::parse(&text) {
            prop_assert!(!read.is_empty());
            prop_assert!(!read.names().is_empty());
            prop_assert_eq!(&Constraint::parse(&read.text), &Ok(read.clone()));
        }
    }

    /// As many count for each thing as are asked for, if any choice at all does.
    #[test]
    fn nodes_are_assigned_where_they_suffice(
        nodes in prop::collection::vec(0_u8..8, 0..7),
        counts in prop::collection::vec(0_u32..3, 0..4),
    ) {
        let has = |thing: usize, node: usize| nodes[node] & (1 << thing) != 0;
        // Hall: each set of things needs as many nodes that have one of them.
        let suffices = (0..1_u8 << counts.len()).all(|set| {
            let of_set = (0..counts.len()).filter(|at| set & (1 << at) != 0);
            let asked: u32 = of_set.map(|at| counts[at]).sum();
            nodes.iter().filter(|node| **node & set != 0).count() >= asked as usize
        });
        let given = assign(&counts, true, nodes.len(), &has);
        prop_assert_eq!(given.is_some(), suffices);
        let all: u32 = counts.iter().sum();
        prop_assert!(given.is_none_or(|given| given.len() == all as usize));
        let of = |thing: usize| (0..nodes.len()).filter(move |node| has(thing, *node));
        let enough = (0..counts.len()).all(|thing| of(thing).count() >= counts[thing] as usize);
        let given = assign(&counts, false, nodes.len(), &has);
        prop_assert_eq!(given.is_some(), enough);
        if let Some(given) = given {
            for (thing, count) in counts.iter().enumerate() {
                let taken = of(thing).filter(|node| given.contains(node)).count();
                prop_assert!(taken >= *count as usize);
            }
        }
    }
}
