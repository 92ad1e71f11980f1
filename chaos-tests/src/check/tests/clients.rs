//! What clients were told.

use super::*;
use crate::record::{Operation, Outcome, Seen};

/// The place of the first operation of this kind.
fn find(record: &Record, is: impl Fn(&Operation) -> bool) -> usize {
    record.operations.iter().position(is).expect("the run has one")
}

fn submitted(name: &str) -> impl Fn(&Operation) -> bool {
    move |one| matches!(&one.call, Call::Submit { name: other, .. } if other == name)
}

fn seen(record: &mut Record, at: usize) -> &mut Seen {
    let Outcome::Seen(seen) = &mut record.operations[at].outcome else { panic!("no question") };
    seen
}

#[test]
fn an_acknowledged_job_that_is_not_in_the_log() {
    let record = busy().record();
    let position = record.logs["ctl1"].iter().position(|line| {
        line.kinds.contains(&"JobSubmitted".into()) && line.entry.contains(&hex("four"))
    });
    // The end of the log is lost, in all controllers alike.
    let record = with_log(record, |log| log.truncate(position.unwrap()));
    assert_caught(&record, "acknowledged", "(`four`) was acknowledged and is not in the log");
    assert_caught(&record, "order", "was acknowledged and is not in the log");
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_job_that_was_submitted_once_and_made_twice() {
    let mut world = busy();
    world.submit("four", 1);
    let mut record = world.record();
    record.operations.pop();
    assert_caught(&record, "acknowledged", "`four` was submitted once and is in the log as jobs");
}

#[test]
fn a_refused_submission_that_was_carried_out() {
    let mut record = busy().record();
    let at = find(&record, submitted("two"));
    record.operations[at].outcome = Outcome::Refused { words: "no".into() };
    assert_caught(&record, "acknowledged", "`two` was refused (no) and is in the log");
}

#[test]
fn a_submission_that_was_told_another_s_number() {
    let mut record = busy().record();
    let at = find(&record, submitted("two"));
    record.operations[at].outcome = Outcome::Submitted { job: 1 };
    assert_caught(&record, "acknowledged", "answers Some(Ok(Job(");
    assert_caught(&record, "ids", "were both told of job 1");
}

#[test]
fn an_unknown_outcome_is_in_the_log_once_or_never() {
    let mut record = busy().record();
    let at = find(&record, submitted("two"));
    record.operations[at].outcome = Outcome::Unknown { words: "killed".into() };
    let mut never = record.operations[at].clone();
    never.request = Some("ff".repeat(16));
    never.call = Call::Submit { name: "never".into(), cpus: 1, hold: false };
    record.operations.push(never);
    for name in ["acknowledged", "ids", "order", "linearizable"] {
        assert_passes(&record, name);
    }
}

#[test]
fn a_number_that_is_given_again() {
    let record = with_log(busy().record(), |log| {
        let last = log.last().cloned().unwrap();
        let first = log.iter().find(|line| line.kinds.contains(&"JobSubmitted".into())).cloned();
        log.push(LogLine { index: last.index + 1, ..first.unwrap() });
    });
    assert_caught(&record, "ids", "was given 2 times");
    assert_caught(&record, "ids", "was answered in entries");
    assert_caught(&record, "transitions", "JobSubmitted of job 1, which is Ended");
    assert_caught(&record, "replay", "is void");
}

#[test]
fn a_stale_answer_to_a_question() {
    let mut record = busy().record();
    let cancelled = find(&record, |one| matches!(one.call, Call::Cancel { job: 2 }));
    // The next one is a question.
    let at = cancelled + 1;
    seen(&mut record, at).state = "RUNNING".into();
    assert_caught(&record, "order", "and was told Seen");
    assert_caught(&record, "linearizable", "job 2: no order explains all answers");
}

#[test]
fn a_comment_that_was_overwritten_is_not_read_again() {
    let mut world = busy();
    let job = world.submit("five", 1);
    world.change(Call::Update { job, comment: "a".into() });
    world.change(Call::Update { job, comment: "b".into() });
    world.look(job);
    let mut record = world.record();
    let last = record.operations.len() - 1;
    assert_passes(&record, "order");
    seen(&mut record, last).comment = Some("a".into());
    assert_caught(&record, "order", "it was PENDING (restarts 0, comment Some(\"b\")");
    assert_caught(&record, "linearizable", "no order explains");
}

#[test]
fn a_list_that_misses_a_job() {
    let mut world = busy();
    world.submit("five", 1);
    world.list();
    let mut record = world.record();
    assert_passes(&record, "order");
    let last = record.operations.len() - 1;
    let Outcome::Listed { jobs } = &mut record.operations[last].outcome else { panic!("a list") };
    jobs.pop();
    assert_caught(&record, "order", "List and was told Listed");
}

#[test]
fn a_refusal_without_a_reason() {
    let mut record = busy().record();
    let at = find(&record, |one| {
        matches!(one.outcome, Outcome::Refused { .. }) && matches!(one.call, Call::Requeue { .. })
    });
    record.operations[at].outcome = Outcome::Refused { words: "Access/permission denied".into() };
    assert_caught(&record, "order", "Access/permission denied");
}

#[test]
fn a_refused_change_that_was_carried_out() {
    let mut record = busy().record();
    let at = find(&record, |one| {
        matches!(one.outcome, Outcome::Done) && matches!(one.call, Call::Requeue { .. })
    });
    record.operations[at].outcome = Outcome::Refused { words: "no".into() };
    assert_caught(&record, "order", "was refused (no) and carried out");
}

#[test]
fn an_acknowledged_change_that_the_log_refuses() {
    let mut record = busy().record();
    let at = find(&record, |one| {
        matches!(one.outcome, Outcome::Refused { .. }) && matches!(one.call, Call::Requeue { .. })
    });
    record.operations[at].outcome = Outcome::Done;
    assert_caught(&record, "order", "was acknowledged, and the log refuses it");
}

#[test]
fn a_change_that_does_what_nobody_asked_for() {
    let mut record = busy().record();
    let at = find(&record, |one| matches!(one.call, Call::Update { .. }));
    record.operations[at].call = Call::Update { job: 2, comment: "other".into() };
    assert_caught(&record, "order", "where the model has");
}

#[test]
fn a_change_that_began_after_its_place_in_the_log() {
    let mut world = World::new();
    let job = world.submit("one", 1);
    world.change(Call::Update { job, comment: "a".into() });
    world.change(Call::Update { job, comment: "b".into() });
    let mut record = world.record();
    assert_passes(&record, "order");
    // The first of the two is asked last.
    let end = record.run.phases.ended;
    (record.operations[1].start, record.operations[1].end) = (end - 2, end - 1);
    assert_caught(&record, "order", "began after what came later in the log had been answered");
}

#[test]
fn a_cancelled_job_that_waits_again() {
    let mut world = busy();
    let job = world.submit("five", 1);
    world.change(Call::Cancel { job });
    world.look(job);
    let mut record = world.record();
    let last = record.operations.len() - 1;
    seen(&mut record, last).state = "PENDING".into();
    assert_caught(&record, "linearizable", "no order explains all answers");
}

#[test]
fn a_job_that_goes_back() {
    let mut world = World::new();
    let job = world.submit("one", 1);
    world.begin(job, "n1", 1);
    world.look(job);
    world.look(job);
    let mut record = world.record();
    let last = record.operations.len() - 1;
    seen(&mut record, last).state = "PENDING".into();
    assert_caught(&record, "linearizable", "no order explains");
    // Unless it was requeued meanwhile.
    seen(&mut record, last).restarts = Some(1);
    assert_passes(&record, "linearizable");
}

#[test]
fn answers_that_overlap_may_come_in_any_order() {
    let mut world = World::new();
    let job = world.submit("one", 1);
    world.change(Call::Update { job, comment: "a".into() });
    world.look(job);
    let mut record = world.record();
    seen(&mut record, 2).comment = Some(String::new());
    assert_caught(&record, "order", "and was told Seen");
    assert_caught(&record, "linearizable", "no order explains");
    // The question began before the change was answered.
    record.operations[2].start = record.operations[1].start;
    assert_passes(&record, "order");
    assert_passes(&record, "linearizable");
}
