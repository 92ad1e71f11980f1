//! What `--array` says.

use std::collections::BTreeSet;

use common::job::{ArraySpec, MAX_ARRAY_SIZE, TaskRun, TaskSet};
use proptest::prelude::*;

/// As `squeue` shows it.
fn read(text: &str) -> Option<String> {
    let array = ArraySpec::parse(text, MAX_ARRAY_SIZE).ok()?;
    let limit = array.limit.map(|limit| format!("%{limit}")).unwrap_or_default();
    Some(format!("{}{limit}", array.tasks))
}

/// Each of these was given to Slurm, which shows it so.
#[test]
fn it_is_read_and_shown_as_slurm_does_it() {
    for (given, shown) in [
        ("0-3", "0-3"),
        ("3,1,2", "1-3"),
        ("1-7:2", "1,3,5,7"),
        ("1-7:2%2", "1,3,5,7%2"),
        ("5", "5"),
        ("0-3%0", "0-3"),
        ("0-3%", "0-3"),
        ("[1-2]%1", "1-2%1"),
        ("1-3,2", "1-3"),
        ("1-3:9", "1"),
        ("0-1000", "0-1000"),
        ("1,3-5:2,9%4", "1,3,5,9%4"),
        ("0-3%x", "0-3"),
        ("0-3%999999", "0-3%999999"),
        ("01-03", "1-3"),
        ("1%2,3", "1,3%2"),
        ("0-999:4%50", "0-996:4%50"),
        ("0-20:4", "0-20:4"),
        ("0-16:4", "0,4,8,12,16"),
        ("0-12:4", "0,4,8,12"),
        ("0-100:50,3", "0,3,50,100"),
        ("0-20:4,21", "0,4,8,12,16,20-21"),
        ("0-16:4,1-17:4", "0-1,4-5,8-9,12-13,16-17"),
        ("0-5:2,7", "0,2,4,7"),
    ] {
        assert_eq!(read(given).as_deref(), Some(shown), "{given}");
    }
    for wrong in
        ["1-3 ,5", "", "a", "1-", "-1", "5-1", "1-3:0", "1001", "0-1001", "1,", "1-3:", "1:2"]
    {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}

#[test]
fn a_million_tasks_are_one_run() {
    let array = ArraySpec::parse("0-999999%50", 1_000_001).expect("as many as may be");
    assert_eq!(array.tasks.runs(), [TaskRun { first: 0, last: 999_999, step: 1 }]);
    let mut tasks = array.tasks.clone();
    assert!(tasks.remove(500_000) && !tasks.remove(500_000));
    assert_eq!((tasks.runs().len(), tasks.len()), (2, 999_999));
    assert_eq!(array.tasks.without(&tasks), TaskSet::one(500_000));
}

fn set() -> impl Strategy<Value = (TaskSet, BTreeSet<u32>)> {
    let run = (0_u32..60, 0_u32..40, 1_u32..6);
    proptest::collection::vec(run, 1..5).prop_map(|runs| {
        let texts =
            runs.iter().map(|(first, more, step)| format!("{first}-{}:{step}", first + more));
        let text = texts.collect::<Vec<_>>().join(",");
        let all = runs
            .iter()
            .flat_map(|(first, more, step)| (*first..=first + more).step_by(*step as usize));
        (TaskSet::parse(&text, 1_001).expect("it is well formed"), all.collect())
    })
}

fn numbers(tasks: &TaskSet) -> BTreeSet<u32> {
    let all: Vec<u32> = tasks.iter().collect();
    assert!(all.is_sorted() && all.len() == tasks.len() as usize, "each once and in order");
    all.into_iter().collect()
}

proptest! {
    #[test]
    fn a_set_has_the_numbers_it_was_given((tasks, expected) in set(), task in 0_u32..110) {
        prop_assert_eq!(numbers(&tasks), expected.clone());
        prop_assert_eq!(tasks.contains(task), expected.contains(&task));
        prop_assert_eq!(tasks.first(), expected.first().copied());
        prop_assert_eq!(tasks.last(), expected.last().copied());
        let again = TaskSet::parse(&tasks.to_string(), 1_001).expect("what is shown is read");
        prop_assert_eq!(numbers(&again), expected.clone());
        let checked = TaskSet::checked(tasks.runs().to_vec());
        prop_assert_eq!(checked.as_ref(), Some(&tasks));
        let (mut fewer, mut left) = (tasks, expected);
        prop_assert_eq!(fewer.remove(task), left.remove(&task));
        prop_assert_eq!(numbers(&fewer), left);
    }

    #[test]
    fn sets_are_compared((one, ones) in set(), (other, others) in set()) {
        prop_assert_eq!(numbers(&one.common(&other)), &ones & &others);
        prop_assert_eq!(numbers(&one.without(&other)), &ones - &others);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9,:%\\[\\]-]{0,24}|\\PC{0,24}") {
        if let Ok(array) = ArraySpec::parse(&text, MAX_ARRAY_SIZE) {
            prop_assert!(!array.tasks.is_empty() && array.tasks.last() < Some(MAX_ARRAY_SIZE));
        }
    }
}
