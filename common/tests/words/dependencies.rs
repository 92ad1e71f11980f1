//! The language of `--dependency`.

use common::{
    id::JobId,
    job::{Condition, Dependency, DependencyError, Fate, On, Relation, Task},
    time::Timestamp,
};
use proptest::prelude::*;

fn read(text: &str) -> Result<String, DependencyError> {
    Dependency::parse(text).map(|dependency| dependency.to_string())
}

/// Each of these was given to Slurm, which shows it so.
#[test]
fn it_is_read_as_slurm_reads_it() {
    for (given, shown) in [
        ("afterok:12", "afterok:12"),
        ("afterok:12:13", "afterok:12,afterok:13"),
        ("afterok:12,afterany:13", "afterok:12,afterany:13"),
        ("afterok:12?afternotok:13,afterany:12", "afterok:12?afternotok:13?afterany:12"),
        ("after:12+5:13+7", "after:12+5,after:13+7"),
        ("afterok:12+5", "afterok:12+5"),
        ("afterany:14_1", "afterany:14_1"),
        ("afterany:14_*", "afterany:14_*"),
        ("afterany:14_[0-1]", "afterany:14_0,afterany:14_1"),
        ("afterany:14_[0-1,7],singleton", "afterany:14_0,afterany:14_1,afterany:14_7,singleton"),
        ("SINGLETON", "singleton"),
        ("AFTEROK:12", "afterok:12"),
        ("12", "afterany:12"),
        ("12,13", "afterany:12,afterany:13"),
        ("afterok:12,afterok:12", "afterok:12"),
        ("after:12+5,after:12+7", "after:12+5"),
        ("afterok:12,afternotok:12", "afterok:12,afternotok:12"),
        ("", ""),
        ("0", ""),
    ] {
        assert_eq!(read(given).as_deref(), Ok(shown), "{given}");
    }
}

#[test]
fn what_is_no_condition_is_refused() {
    for wrong in [
        "afterok",
        "afterok:",
        "afterok:abc",
        "bogus:1",
        ",",
        "afterok:12,",
        ",afterok:12",
        "afterok:12?",
        "afterok:12,,afterok:13",
        " afterok:12",
        "afterok:12 x",
        "12:13",
        "after:12+0",
        "after:12+",
        "after:12+-5",
        "after:12+x",
        "after:12+99999999999",
        "after:12+4294967295",
        "after:-1",
        "afterok:12a",
        "singleton:",
        "singleton:3",
        "afterok:0",
        "afterany:14_",
        "afterany:14_[",
        "afterany:14_[]",
        "afterany:14_[3-1]",
        "afterok:+12",
        "afterany:14_[0-99999]",
    ] {
        assert_eq!(read(wrong), Err(DependencyError::Malformed), "{wrong}");
    }
    for kind in ["expand", "afterburstbuffer"] {
        assert_eq!(read(&format!("{kind}:12")), Err(DependencyError::Unsupported(kind)));
    }
}

#[test]
fn what_is_met_is_shown_no_more() {
    let mut both = Dependency::parse("afterok:12,afterok:13+1").expect("two conditions");
    assert_eq!(both.shown().as_deref(), Some("afterok:12(unfulfilled),afterok:13+1(unfulfilled)"));
    both.conditions[0].fate = Fate::Met;
    both.conditions[1].fate = Fate::Due(Timestamp(5));
    assert_eq!(both.shown().as_deref(), Some("afterok:13+1(unfulfilled)"));
    assert_eq!(both.due(), Some(Timestamp(5)));
    both.conditions[1].fate = Fate::Failed;
    assert_eq!(both.shown().as_deref(), Some("afterok:13+1(failed)"));
    assert!(both.is_never() && !both.is_met());
    both.any = true;
    assert_eq!(both.shown(), None);
    assert!(!both.is_never() && both.is_met());
    both.conditions[0].fate = Fate::Failed;
    assert_eq!(both.shown().as_deref(), Some("afterok:12(failed)?afterok:13+1(failed)"));
    assert!(both.is_never());
}

fn on() -> impl Strategy<Value = On> {
    let relation = prop_oneof![
        Just(Relation::After),
        Just(Relation::AfterAny),
        Just(Relation::AfterOk),
        Just(Relation::AfterNotOk),
        Just(Relation::AfterCorr),
    ];
    let task = proptest::option::of(prop_oneof![any::<u32>().prop_map(Task::One), Just(Task::All)]);
    let delay = prop_oneof![Just(0), 1_u32..=u32::MAX / 60];
    prop_oneof![
        1 => Just(On::Singleton),
        5 => (relation, 1_u32.., task, delay).prop_map(|(relation, job, task, delay)| {
            On::Job { relation, job: JobId(job), task, delay }
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(on in proptest::collection::vec(on(), 1..6), any: bool) {
        let mut on = on;
        let mut seen = std::collections::BTreeSet::new();
        on.retain(|on| seen.insert(on.to_string().split('+').next().map(str::to_owned)));
        let any = any && on.len() > 1;
        let conditions = on.into_iter().map(|on| Condition { on, fate: Fate::Open }).collect();
        let dependency = Dependency { any, conditions };
        prop_assert_eq!(Dependency::parse(&dependency.to_string()), Ok(dependency));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9:_*+,?\\[\\]-]{0,40}|\\PC{0,40}") {
        if let Ok(read) = Dependency::parse(&text) {
            prop_assert_eq!(Dependency::parse(&read.to_string()), Ok(read));
        }
    }
}
