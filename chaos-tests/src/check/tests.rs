//! Each checker lets a good run pass, and catches what it is for: one violation is planted for each
//! rule, in a record that is good otherwise.

mod clients;
mod nodes;
mod replicas;
mod world;

use common::{
    id::NodeName,
    machine::{Command, Report},
};

use super::*;
use crate::record::{Call, LogLine, Moment};
use world::World;

/// A run in which much happens, and nothing that may not.
fn busy() -> World {
    let mut world = World::new();
    let one = world.submit("one", 2);
    let two = world.submit("two", 2);
    let three = world.submit("three", 4);
    world.look(one);
    world.begin(one, "n1", 2);
    world.list();
    world.begin(two, "n1", 2);
    world.look(two);
    world.change(Call::Update { job: two, comment: "c-1".into() });
    world.look(two);
    world.finish(one, "n1");
    world.change(Call::Cancel { job: two });
    world.look(two);
    world.elect();
    world.end(two, "n1");
    world.change(Call::Cancel { job: two });
    world.change(Call::Hold { job: three });
    world.look(three);
    world.change(Call::Release { job: three });
    world.begin(three, "n1", 4);
    world.change(Call::Requeue { job: three });
    world.end(three, "n1");
    world.look(three);
    world.change(Call::Requeue { job: three });
    world.change(Call::Cancel { job: three });
    world.look(three);
    world.look(999);
    let four = world.submit("four", 1);
    world.begin(four, "n2", 1);
    world.finish(four, "n2");
    world.list();
    world
}

fn checked(record: &Record, name: &str) -> Checked {
    let all = all(record).expect("the record can be understood");
    all.into_iter().find(|checked| checked.name == name).expect("there is such a checker")
}

/// That this checker finds nothing.
#[track_caller]
fn assert_passes(record: &Record, name: &str) {
    let Checked { violations, .. } = checked(record, name);
    assert!(violations.is_empty(), "{name}: {violations:#?}");
}

/// That this checker finds what is told in these words.
#[track_caller]
fn assert_caught(record: &Record, name: &str, words: &str) {
    let Checked { violations, .. } = checked(record, name);
    let found = violations.iter().any(|violation| violation.text.contains(words));
    assert!(found, "{name} did not find `{words}`, but {violations:#?}");
}

/// The record, with every log changed alike.
fn with_log(mut record: Record, change: impl Fn(&mut Vec<LogLine>)) -> Record {
    record.logs.values_mut().for_each(change);
    record
}

/// A line of the log with other content.
fn altered(line: &LogLine, change: impl FnOnce(&mut common::machine::Entry)) -> LogLine {
    let mut entry = line.decode().expect("a good line");
    change(&mut entry);
    LogLine::of(line.index, &entry)
}

#[test]
fn a_good_run_passes_all_checkers_and_each_looks_at_something() {
    for Checked { name, counted, violations, .. } in all(&busy().record()).unwrap() {
        assert!(violations.is_empty(), "{name}: {violations:#?}");
        assert!(counted > 0, "{name} looked at nothing");
    }
}

#[test]
fn each_checker_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<&str> = TABLE.iter().map(|row| row.0).collect();
    assert_eq!(names.len(), TABLE.len());
}

#[test]
fn a_record_that_contradicts_itself_is_no_record() {
    let mut record = busy().record();
    record.logs.get_mut("ctl1").unwrap()[3].term += 1;
    assert!(all(&record).unwrap_err().contains("log of ctl1, line 4"));

    let mut record = busy().record();
    record.witnesses.get_mut("n1").unwrap().remove(0);
    assert!(all(&record).unwrap_err().contains("never began"));

    let mut record = busy().record();
    record.logs.clear();
    assert!(all(&record).is_err());
}
