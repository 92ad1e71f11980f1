//! What the controllers have.

use common::{id::Term, machine::Event, node::Availability, time::Timestamp};

use super::*;
use crate::record::Digest;

fn line_of(record: &Record, kind: &str) -> usize {
    let has = |line: &LogLine| line.kinds.iter().any(|one| one == kind);
    record.logs["ctl1"].iter().position(has).expect("the run has one")
}

#[test]
fn controllers_with_different_logs() {
    let mut record = busy().record();
    let at = line_of(&record, "JobHeld");
    let log = record.logs.get_mut("ctl2").unwrap();
    log[at] = altered(&log[at], |entry| entry.at = Timestamp(entry.at.0 + 1));
    assert_caught(&record, "logs", "where another has entry");
}

#[test]
fn a_controller_that_never_caught_up() {
    let mut record = busy().record();
    record.logs.get_mut("ctl2").unwrap().truncate(5);
    assert_caught(&record, "logs", "ctl2 has 5 of");
    record.logs.remove("ctl2");
    assert_caught(&record, "logs", "ctl2 has not given its log");
}

#[test]
fn a_term_that_falls_and_a_hole() {
    let record = with_log(busy().record(), |log| {
        let last = log.len() - 1;
        log[last] = altered(&log[last], |entry| entry.term = Term(1));
    });
    assert_caught(&record, "logs", "the term falls from 2 to 1");
    let record = with_log(busy().record(), |log| drop(log.remove(8)));
    assert_caught(&record, "logs", "is number 10 of its leader, not 9");
    assert_caught(&record, "replay", "is void");
}

#[test]
fn controllers_with_different_states() {
    let mut record = busy().record();
    let digest = record.digests.get_mut("ctl2").unwrap();
    digest.digest = "cd".into();
    assert_caught(&record, "digests", "ctl1 has ab and ctl2 has cd");
    let index = record.digests["ctl1"].index;
    record.digests.insert("ctl2".into(), Digest { index: index - 1, digest: "cd".into() });
    assert_passes(&record, "digests");
}

#[test]
fn a_leader_that_had_diverged() {
    let record = busy().record();
    let at = line_of(&record, "JobHeld");
    let record = with_log(record, |log| log[at] = altered(&log[at], |entry| entry.digest ^= 1));
    assert_caught(&record, "replay", "this replica has diverged");
}

#[test]
fn a_job_that_starts_although_it_is_held() {
    let mut world = World::new();
    let job = world.submit("one", 1);
    world.change(Call::Hold { job });
    let allocated = {
        let mut other = World::new();
        let job = other.submit("one", 1);
        other.allocate(job, "n1", 1);
        other.record().logs["ctl1"].last().unwrap().clone()
    };
    let record = with_log(world.record(), |log| {
        let index = log.last().unwrap().index + 1;
        log.push(LogLine { index, ..allocated.clone() });
    });
    assert_caught(&record, "transitions", "JobAllocated of job 1, which is Pending (run 1, held)");
}

#[test]
fn a_node_that_gives_more_than_it_has() {
    let record = busy().record();
    let at = line_of(&record, "JobAllocated");
    let record = with_log(record, |log| {
        log[at] = altered(&log[at], |entry| {
            if let Event::JobAllocated { places, .. } = &mut entry.events[0] {
                places[0].held.cpus = 3;
            }
        });
    });
    assert_caught(&record, "books", "5 CPUs and 0 MiB of n1 are given");
}

#[test]
fn a_node_that_is_down_and_given_to_a_job() {
    let record = with_log(busy().record(), |log| {
        for line in log.iter_mut().filter(|line| line.kinds.contains(&"NodeChanged".into())) {
            *line = altered(line, |entry| {
                for event in &mut entry.events {
                    if let Event::NodeChanged { change, .. } = event {
                        change.availability = Availability::Down;
                    }
                }
            });
        }
    });
    assert_caught(&record, "books", "job 1 is given n1, which is down or drained");
}

#[test]
fn a_job_that_is_given_nodes_twice() {
    let record = with_log(busy().record(), |log| {
        let at = log.iter().position(|line| line.kinds == ["JobAllocated"]).unwrap();
        let again = log[at].clone();
        log.insert(at + 1, again);
    });
    assert_caught(&record, "books", "is given nodes while it holds some");
    assert_caught(&record, "transitions", "JobAllocated of job 1, which is Allocated");
}

#[test]
fn a_charge_for_what_was_not_held() {
    // The runs' sum is made from the log's own times, the other one follows the model: they differ
    // where a node is charged that the run has not given back.
    let mut world = busy();
    let five = world.submit("five", 1);
    world.begin(five, "n1", 1);
    world.finish(five, "n1");
    let record = world.record();
    assert_passes(&record, "accounting");
    let facts = Facts::read(&record).unwrap();
    let mut other = Facts::read(&record).unwrap();
    other.ran.values_mut().next().unwrap().over.clear();
    assert!(accounting::check(&facts).violations.is_empty());
    let found = accounting::check(&other).violations;
    assert!(found.iter().any(|one| one.text.contains("runs are charged")), "{found:?}");
    assert!(found.iter().any(|one| one.text.contains("CPUs in use")), "{found:?}");
}

#[test]
fn a_watcher_that_misses_repeats_or_swaps() {
    let record = busy().record();
    let with = |change: &dyn Fn(&mut Vec<crate::record::Watched>)| {
        let mut record = record.clone();
        change(record.watches.get_mut("w").unwrap());
        record
    };
    assert_caught(&with(&|watch| drop(watch.remove(9))), "watchers", "was next");
    let repeated = with(&|watch| watch.insert(9, watch[8].clone()));
    assert_caught(&repeated, "watchers", "was next");
    assert_caught(&with(&|watch| watch.swap(8, 9)), "watchers", "was next");
    assert_caught(&with(&|watch| watch.truncate(12)), "watchers", "never saw");
    assert_caught(&with(&Vec::clear), "watchers", "saw nothing");
    let more = with(&|watch| watch.push(watch[0].clone()));
    assert_caught(&more, "watchers", "after the log's end");
    let strange = with(&|watch| watch[0].index = 9_999);
    assert_caught(&strange, "watchers", "which is none");
    // One that began later has seen enough.
    assert_passes(&with(&|watch| drop(watch.drain(..9))), "watchers");
}
