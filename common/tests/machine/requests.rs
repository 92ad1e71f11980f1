//! A request has one answer, however often it is asked, and whatever has changed meanwhile.

use common::{
    id::{JobId, RequestId},
    job::JobChanges,
    machine::{Answer, By, Command, Refusal, Refused},
};

use crate::cluster::{ALICE, Cluster, spec};

#[test]
fn what_was_refused_is_refused_again_when_it_could_be_done() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.submit(ALICE, spec(ALICE)).expect("room");
    let by = cluster.by(ALICE);
    let requeue = Command::Requeue { by, job, hold: false };
    let refusal = cluster.send(requeue.clone()).expect_err("it waits");
    assert_eq!(refusal, Refusal::Pending(job));
    cluster.allocate(job, "n1", 1).expect("room");
    let (length, before) = (cluster.log.len(), cluster.state.clone());
    let again = cluster.send(requeue).expect_err("a copy that comes late");
    assert_eq!(again.to_string(), refusal.to_string());
    assert_eq!((again.errno(), again.detail()), (refusal.errno(), refusal.detail()));
    assert_eq!((cluster.log.len(), cluster.state.clone()), (length, before));
    let by = cluster.by(ALICE);
    let anew = Command::Requeue { by, job, hold: false };
    assert_eq!(cluster.send(anew), Ok(Answer::Done), "whoever asks anew is heard");
}

#[test]
fn a_refusal_is_forgotten_after_a_while() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.submit(ALICE, spec(ALICE)).expect("room");
    let by = cluster.by(ALICE);
    let requeue = Command::Requeue { by, job, hold: false };
    cluster.send(requeue).expect_err("it waits");
    assert_eq!(cluster.state.requests.len(), 2);
    for _ in 0..13 {
        cluster.pass(1_000);
        cluster.submit(ALICE, spec(ALICE)).expect("room");
    }
    let refused = |answer: &Result<_, _>| answer.is_err();
    assert!(!cluster.state.requests.values().any(|known| refused(&known.answer)));
}

#[test]
fn who_takes_a_request_in_may_refuse_it_for_all_copies() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.submit(ALICE, spec(ALICE)).expect("room");
    let by = cluster.by(ALICE);
    let hold = Command::Hold { by: by.clone(), job, admin: false };
    let refusal = Box::new(Refusal::PartitionGroup);
    let refuse = Command::Refuse { by, refusal };
    assert_eq!(cluster.send(refuse), Err(Refusal::PartitionGroup));
    let again = cluster.send(hold).expect_err("a copy that was let in by another controller");
    assert_eq!(again.errno(), Refusal::PartitionGroup.errno());
    // But what is done is done.
    let by = cluster.by(ALICE);
    let hold = Command::Hold { by: by.clone(), job, admin: false };
    assert_eq!(cluster.send(hold), Ok(Answer::Done));
    let refuse = Command::Refuse { by, refusal: Box::new(Refusal::PartitionGroup) };
    assert_eq!(cluster.send(refuse), Ok(Answer::Done));
}

#[test]
fn the_first_format_remembers_no_refusals() {
    let mut cluster = Cluster::new(&["n1"], 8);
    cluster.state.format = 1;
    let length = cluster.log.len();
    let by = cluster.by(ALICE);
    let cancel = Command::Cancel { by, job: JobId(9), signal: None };
    assert_eq!(cluster.send(cancel), Err(Refusal::NoSuchJob(JobId(9))));
    assert_eq!(cluster.log.len(), length, "controllers of that release could not read it");
}

#[test]
fn what_a_user_wrote_is_remembered_in_short() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.submit(ALICE, spec(ALICE)).expect("room");
    let by = By { user: ALICE, request: RequestId([3; 16]) };
    let name = format!("x{}", "é".repeat(100_000));
    let partition = Some(name.as_str().into());
    let changes = Box::new(JobChanges { partition, ..JobChanges::default() });
    let update = Command::UpdateJob { by, job, changes };
    assert!(matches!(cluster.send(update.clone()), Err(Refusal::NoSuchPartition(_))));
    let again = cluster.send(update).expect_err("it is remembered");
    let detail = again.detail().expect("which partition");
    assert!(detail.starts_with("invalid partition specified: xé"), "{detail}");
    assert!((Refused::LONGEST - 1..=Refused::LONGEST).contains(&detail.len()));
    assert_eq!(again.errno(), Some(2000));
}
