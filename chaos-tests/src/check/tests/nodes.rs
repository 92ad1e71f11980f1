//! What happened on the nodes.

use super::*;
use crate::record::{Fault, FaultKind, Witness};

fn fault(kind: FaultKind, on: &str, from: u64, to: u64) -> Fault {
    let on = vec![on.to_owned()];
    Fault { kind, on, from, to: Some(to), leader: false, note: String::new() }
}

fn last(record: &mut Record, node: &str) -> Witness {
    record.witnesses[node].last().expect("something ran").clone()
}

#[test]
fn a_run_that_happens_twice() {
    let mut record = busy().record();
    let again = Witness { pid: 7, ..record.witnesses["n1"][0].clone() };
    record.witnesses.get_mut("n2").unwrap().push(again);
    assert_caught(&record, "runs", "job 1 run 1 began 2 times");
    assert_caught(&record, "runs", "began on n2, and the log gave it n1");
}

#[test]
fn a_run_that_the_log_knows_nothing_of() {
    let mut record = busy().record();
    let stray = Witness { job: 77, ..last(&mut record, "n1") };
    record.witnesses.get_mut("n1").unwrap().push(Witness { moment: Moment::Begin, ..stray });
    assert_caught(&record, "runs", "job 77 run 1 began on n1, and the log never gave it a node");
}

#[test]
fn a_run_that_begins_before_its_intent_is_in_the_log() {
    let mut world = World::new();
    let job = world.submit("one", 1);
    world.begin(job, "n1", 1);
    let mut record = world.record();
    assert_passes(&record, "runs");
    record.witnesses.get_mut("n1").unwrap()[0].at = 1;
    assert_caught(&record, "runs", "before it was given a node in the log");
}

#[test]
fn a_job_that_completed_and_never_ran() {
    let mut record = busy().record();
    record.witnesses.get_mut("n2").unwrap().clear();
    assert_caught(&record, "runs", "has completed, and no process of it came to its end");
}

#[test]
fn two_runs_of_a_job_at_once() {
    let mut world = World::new();
    let job = world.submit("one", 1);
    world.begin(job, "n1", 1);
    world.change(Call::Requeue { job });
    world.end(job, "n1");
    world.wait();
    world.begin(job, "n2", 1);
    world.witness("n1", job, 1, Moment::Alive);
    world.finish(job, "n2");
    assert_caught(&world.record(), "runs", "job 1 run 2 began on n2 while job 1 run 1 went on");
}

#[test]
fn more_cpus_than_a_node_has() {
    let mut record = busy().record();
    for witness in record.witnesses.get_mut("n1").unwrap().iter_mut() {
        witness.cpus = 3;
    }
    assert_caught(&record, "cpus", "6 of 4 CPUs of n1 are used at once: by job 1 run 1, job 2");
}

#[test]
fn a_gpu_with_two_users() {
    let mut record = busy().record();
    for witness in record.witnesses.get_mut("n1").unwrap().iter_mut().take(2) {
        witness.gpus = vec!["gpu0".into()];
    }
    assert_caught(&record, "cpus", "gpu0 of n1 is used by job 1 run 1 and job 2 run 1 at once");
}

#[test]
fn a_run_that_begins_when_it_is_over() {
    let mut world = World::new();
    let job = world.submit("one", 1);
    world.allocate(job, "n1", 1);
    world.end(job, "n1");
    world.now += 6 * facts::SECOND;
    let begun = world.now;
    world.witness("n1", job, 1, Moment::Begin);
    let mut record = world.record();
    assert_caught(&record, "fencing", "began on n1 although it was over");
    record.faults.push(fault(FaultKind::Pause, "n1", begun - 10, begun - 5));
    assert_passes(&record, "fencing");
}

#[test]
fn a_run_that_begins_long_after_it_was_cancelled() {
    let mut world = World::new();
    let job = world.submit("one", 1);
    world.allocate(job, "n1", 1);
    world.change(Call::Cancel { job });
    world.now += 6 * facts::SECOND;
    world.witness("n1", job, 1, Moment::Begin);
    world.end(job, "n1");
    assert_caught(&world.record(), "fencing", "although entry 7 ends it");
}

#[test]
fn an_old_run_that_begins_after_the_next_one() {
    let mut world = World::new();
    let job = world.submit("one", 1);
    world.allocate(job, "n1", 1);
    world.change(Call::Requeue { job });
    world.end(job, "n1");
    world.wait();
    world.begin(job, "n2", 1);
    world.witness("n1", job, 1, Moment::Begin);
    world.finish(job, "n2");
    assert_caught(
        &world.record(),
        "fencing",
        "job 1 run 1 began on n1 after job 1 run 2 had begun",
    );
}

#[test]
fn an_end_that_got_lost() {
    let mut world = World::new();
    let job = world.submit("one", 1);
    world.begin(job, "n1", 1);
    world.witness("n1", job, 1, Moment::End);
    let at = world.state.at;
    world.report("n1", job, Report::Lost { at });
    let ended = world.now;
    let mut record = world.record();
    assert_caught(&record, "ends", "came to its end on n1, which was never lost");
    record.faults.push(fault(FaultKind::PowerCut, "n1", ended - 10, ended));
    assert_passes(&record, "ends");
}

#[test]
fn a_run_that_ends_twice() {
    let record = with_log(busy().record(), |log| {
        let ended = log.iter().find(|line| line.kinds == ["JobEnded"]).cloned().unwrap();
        let index = log.last().unwrap().index + 1;
        log.push(LogLine { index, ..ended });
    });
    assert_caught(&record, "ends", "job 1 run 1 ended 2 times");
    assert_caught(&record, "transitions", "JobEnded of job 1, which is Ended");
}

#[test]
fn a_node_that_is_called_down_while_it_can_be_reached() {
    let mut world = busy();
    world.now += 30 * facts::SECOND;
    let job = world.submit("late", 1);
    let node = NodeName::from("n2");
    world.send(Command::Lose { node }).unwrap();
    world.change(Call::Cancel { job });
    let lost = world.now;
    let ago = |seconds: u64| lost - seconds * facts::SECOND;
    let mut record = world.record();
    assert_caught(&record, "down", "n2 is called down in entry");
    // A controller that failed is no excuse, and a short fault of its own is none.
    record.faults.push(fault(FaultKind::Kill, "ctl1", ago(20), lost));
    record.faults.push(fault(FaultKind::Pause, "n2", ago(2), ago(1)));
    assert_caught(&record, "down", "n2 is called down in entry");
    let cut = |one: &str, other: &str| FaultKind::Cut { pairs: vec![(one.into(), other.into())] };
    record.faults.push(fault(cut("client", "n2"), "client", ago(20), lost));
    assert_caught(&record, "down", "n2 is called down in entry");
    // A link to a controller that was cut nearly all the time is one.
    record.faults.push(fault(cut("ctl1", "n2"), "ctl1", ago(12), ago(4)));
    assert_passes(&record, "down");
}

#[test]
fn what_is_left_over() {
    let mut world = busy();
    let five = world.submit("five", 1);
    world.begin(five, "n1", 1);
    let mut record = world.record();
    assert_caught(&record, "settled", "job 5 run 1 was allocated before all was healed");
    record.run.orphans.push("process 7 on n1".into());
    record.run.unsettled.push("a leader".into());
    assert_caught(&record, "settled", "left over: process 7 on n1");
    assert_caught(&record, "settled", "not in time: a leader");
}
