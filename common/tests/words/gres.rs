//! Generic resources as texts.

use common::gres::{
    Gres, GresError, Wanted, choose, free, give_back, parse_count, ranges, take, used_text,
};
use proptest::prelude::*;

fn list(text: &str) -> Result<String, GresError> {
    let texts = |list: Vec<Wanted>| list.iter().map(|one| one.text('=')).collect::<Vec<_>>();
    Wanted::parse_list(text).map(|list| texts(list).join(" "))
}

#[test]
fn requests_are_read_as_slurm_reads_them() {
    let good = [
        ("gpu", "gpu=1"),
        ("gpu:2", "gpu=2"),
        ("gpu:a100", "gpu:a100=1"),
        ("gpu:a100:2,tmp:1", "gpu:a100=2 tmp=1"),
        ("gpu:a100:2,gpu:v100:1", "gpu:a100=2 gpu:v100=1"),
        ("gpu:4g.20gb:1", "gpu:4g.20gb=1"),
        ("tmp:10K", "tmp=10240"),
        ("gres/gpu:2", "gpu=2"),
        ("gres:gpu:2", "gpu=2"),
        ("gpu:0", ""),
        ("none", ""),
    ];
    for (text, expected) in good {
        assert_eq!(list(text).as_deref(), Ok(expected), "{text}");
    }
    for text in ["", "gpu:", "gpu::", "gpu:a:b:1", ":1", "gpu:a100:x", "gpu:2,gpu:3", "g u", ","] {
        assert_eq!(list(text), Err(GresError::Malformed), "{text}");
    }
    assert_eq!(list("gpu:1,gpu:a100:1"), Err(GresError::Mixed));
    let gpus = |text: &str| Wanted::parse_gpus(text).map(|list| list[0].text(':'));
    assert_eq!(gpus("2").as_deref(), Ok("gpu:2"));
    assert_eq!(gpus("a100:2").as_deref(), Ok("gpu:a100:2"));
    assert_eq!(gpus("a100").as_deref(), Ok("gpu:a100:1"));
    assert_eq!(gpus("1:2:3"), Err(GresError::Malformed));
}

#[test]
fn counts_have_binary_units() {
    assert_eq!(parse_count("3"), Some(3));
    assert_eq!(parse_count("2k"), Some(2_048));
    assert_eq!(parse_count("1P"), Some(1 << 50));
    for text in ["", "K", "1KB", "-1", "1.5", "99999999999999999999", "99999999P"] {
        assert_eq!(parse_count(text), None, "{text}");
    }
}

fn gpus(kind: &str, ids: &[u32]) -> Gres {
    let (name, kind) = ("gpu".to_owned(), Some(kind.to_owned()));
    Gres { name, kind, count: ids.len() as u64, ids: ids.to_vec() }
}

fn counted(name: &str, count: u64) -> Gres {
    Gres { name: name.to_owned(), kind: None, count, ids: vec![] }
}

#[test]
fn what_is_held_is_shown_with_its_ids() {
    let total = [gpus("a100", &[0, 1, 2, 3]), counted("tmp", 10_240)];
    let used = |used: &[Gres]| used_text(&total, used).expect("there is something");
    assert_eq!(used(&[]), "gpu:a100:0(IDX:N/A),tmp:0");
    assert_eq!(used(&[gpus("a100", &[0, 1, 3])]), "gpu:a100:3(IDX:0-1,3),tmp:0");
    assert_eq!(used(&[counted("tmp", 2_048)]), "gpu:a100:0(IDX:N/A),tmp:2048");
    assert_eq!(used_text(&[], &[]), None);
    assert_eq!(gpus("a100", &[2]).detailed(), "gpu:a100:1(IDX:2)");
    assert_eq!(counted("tmp", 3).detailed(), "tmp(CNT:3)");
    assert_eq!(ranges(&[]), "");
}

#[test]
fn an_id_is_held_whatever_has_become_of_its_type() {
    let held = [gpus("a100", &[0, 1])];
    let now = [gpus("v100", &[0, 1, 2])];
    assert_eq!(free(&now, &held), [gpus("v100", &[2])]);
    assert_eq!(choose(&free(&now, &held), &[gpus("v100", &[])]), Some(vec![gpus("v100", &[])]));
    let one = Gres { count: 1, ..gpus("v100", &[]) };
    assert_eq!(
        choose(&free(&now, &held), std::slice::from_ref(&one)),
        Some(vec![gpus("v100", &[2])])
    );
    assert_eq!(choose(&free(&now, &held), &[one.clone(), one]), None);
}

#[test]
#[should_panic(expected = "is held already")]
fn nothing_is_held_twice() {
    let mut held = vec![gpus("a100", &[0, 1])];
    take(&mut held, &[gpus("v100", &[1])]);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9:,./ =KM]{0,24}") {
        if let Ok(list) = Wanted::parse_list(&text) {
            let again: Vec<String> = list.iter().map(|one| one.text(':')).collect();
            if !again.is_empty() {
                prop_assert_eq!(Wanted::parse_list(&again.join(",")), Ok(list));
            }
        }
        let _ = Wanted::parse_gpus(&text);
    }

    /// Whatever is chosen out of what is free, and given back in any order: it adds up.
    #[test]
    fn what_is_taken_and_given_back_adds_up(
        wants in proptest::collection::vec((0..3_u64, 0..3_u64, 0..40_u64), 1..12),
        order in any::<u64>(),
    ) {
        let total = [gpus("a", &[0, 1, 2, 3]), gpus("b", &[4, 5]), counted("tmp", 100)];
        let (mut held, mut shares): (Vec<Gres>, Vec<Vec<Gres>>) = (vec![], vec![]);
        for (a, b, tmp) in wants {
            let want = |gres: &Gres, count| Gres { count, ids: vec![], ..gres.clone() };
            let wanted = [want(&total[0], a), want(&total[1], b), want(&total[2], tmp)];
            if let Some(share) = choose(&free(&total, &held), &wanted) {
                take(&mut held, &share);
                shares.push(share);
            }
        }
        let sum = |name: &str, kind: Option<&str>| -> u64 {
            let all = shares.iter().flatten().filter(|gres| gres.is(name, kind));
            all.map(|gres| gres.count).sum()
        };
        for gres in &total {
            let left = free(&total, &held);
            let left = left.iter().find(|left| left.is(&gres.name, gres.kind.as_deref()));
            let left = left.expect("it is listed").count;
            prop_assert_eq!(left + sum(&gres.name, gres.kind.as_deref()), gres.count);
        }
        while !shares.is_empty() {
            let at = usize::try_from(order % shares.len() as u64).expect("small");
            give_back(&mut held, &shares.swap_remove(at));
        }
        prop_assert_eq!(held, vec![]);
    }
}
