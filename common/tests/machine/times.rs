//! Limits that may be shortened, deadlines, and priorities that operators choose.

use std::sync::Arc;

use common::{
    id::JobId,
    job::{AskChanges, Asks, EndState, ExitStatus, JobChanges, JobSpec, Place, Reason},
    machine::{Allocation, Command, Refusal, next_alarm, timers},
    resources::Resources,
    time::{Span, TimeLimit, Timestamp},
};

use crate::cluster::{ALICE, Cluster, ROOT, spec};

fn cluster() -> Cluster {
    Cluster::new(&["n1"], 8)
}

fn minutes(minutes: u32) -> TimeLimit {
    TimeLimit::Minutes(minutes)
}

fn asks(limit: u32, asks: Asks) -> JobSpec {
    JobSpec { time_limit: Some(minutes(limit)), asks: Some(Arc::new(asks)), ..spec(ALICE) }
}

fn least(limit: u32) -> Asks {
    Asks { time_min: Some(minutes(limit)), ..Asks::NONE }
}

fn by(cluster: &Cluster, seconds: u64) -> Asks {
    Asks { deadline: Some(cluster.now + Span::from_seconds(seconds)), ..Asks::NONE }
}

fn start(cluster: &mut Cluster, job: JobId, limit: Option<u32>) -> Result<(), Refusal> {
    let place = Place::of("n1".into(), Resources { cpus: 1, memory_mib: 0 }, 1);
    let allocation = Allocation::of(&cluster.state.jobs[&job], vec![place]);
    let time_limit = limit.map(minutes);
    cluster.send(Command::Allocate(Allocation { time_limit, ..allocation })).map(drop)
}

fn update(cluster: &mut Cluster, job: JobId, changes: JobChanges) -> Result<(), Refusal> {
    let (by, changes) = (cluster.by(ALICE), Box::new(changes));
    cluster.send(Command::UpdateJob { by, job, changes }).map(drop)
}

#[test]
fn a_limit_is_shortened_as_far_as_the_job_lets_it_be() {
    let mut cluster = cluster();
    let job = cluster.submit(ALICE, asks(60, least(10))).expect("it is less");
    assert_eq!(start(&mut cluster, job, Some(9)), Err(Refusal::Stale));
    assert_eq!(start(&mut cluster, job, Some(61)), Err(Refusal::Stale));
    assert_eq!(start(&mut cluster, job, Some(10)), Ok(()));
    let found = &cluster.state.jobs[&job];
    assert_eq!((found.granted_limit(), found.time_limit), (minutes(10), minutes(60)));
    let run = found.run().expect("it runs");
    assert_eq!(run.deadline, Some(run.started + Span::from_minutes(10)));
    // What its owner makes of it then is the limit; and longer than what it has is not his to say.
    let longer = JobChanges { time_limit: Some(minutes(11)), ..JobChanges::default() };
    assert_eq!(update(&mut cluster, job, longer), Err(Refusal::Denied));
    let shorter = JobChanges { time_limit: Some(minutes(5)), ..JobChanges::default() };
    assert_eq!(update(&mut cluster, job, shorter), Ok(()));
    assert_eq!(cluster.state.jobs[&job].granted_limit(), minutes(5));
    let plain = cluster.submit(ALICE, asks(60, Asks::NONE)).expect("it is plain");
    assert_eq!(start(&mut cluster, plain, Some(59)), Err(Refusal::Stale));
}

/// It waits with the whole limit again.
#[test]
fn a_run_that_was_shortened_says_nothing_of_the_next() {
    let mut cluster = cluster();
    let job = cluster.submit(ALICE, asks(60, least(10))).expect("it is less");
    start(&mut cluster, job, Some(10)).expect("there is room");
    let requeue = Command::Requeue { by: cluster.by(ALICE), job, hold: false };
    cluster.send(requeue).expect("it runs");
    cluster.exits("n1", job, 1, 0);
    assert_eq!(cluster.state.jobs[&job].granted_limit(), minutes(60));
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let mut cluster = cluster();
    assert_eq!(Refusal::TimeMin.errno(), Some(2124));
    assert_eq!(cluster.submit(ALICE, asks(5, least(6))), Err(Refusal::TimeMin));
    assert_eq!(cluster.submit(ALICE, asks(5, least(0))), Err(Refusal::TimeMin));
    let job = cluster.submit(ALICE, asks(5, least(5))).expect("it is as much");
    let changed = |time_min, deadline| JobChanges {
        asks: AskChanges { time_min, deadline, ..AskChanges::default() },
        ..JobChanges::default()
    };
    let more = changed(Some(minutes(6)), None);
    assert_eq!(update(&mut cluster, job, more.clone()), Err(Refusal::TimeMin));
    let soon = Some(cluster.now + Span::from_seconds(299));
    assert_eq!(update(&mut cluster, job, changed(None, soon)), Err(Refusal::TimeLimit));
    assert_eq!(update(&mut cluster, job, changed(Some(minutes(4)), soon)), Ok(()));
    start(&mut cluster, job, Some(4)).expect("there is room");
    assert_eq!(update(&mut cluster, job, more), Err(Refusal::NotPending(job)));
    cluster.state.format = 1;
    let refused = Err(Refusal::Format("--deadline, --time-min and --priority"));
    assert_eq!(cluster.submit(ALICE, asks(5, least(5))), refused);
}

#[test]
fn a_job_that_can_not_be_over_by_its_deadline_is_over_at_once() {
    let mut cluster = cluster();
    let late = asks(10, by(&cluster, 599));
    assert_eq!(cluster.submit(ALICE, late), Err(Refusal::TimeLimit));
    let job = cluster.submit(ALICE, asks(10, by(&cluster, 660))).expect("it is in time");
    let last = cluster.now + Span::from_seconds(60);
    assert_eq!(next_alarm(&cluster.state), Some(last + Span(1)));
    let missed = |cluster: &Cluster, at: Timestamp| {
        timers(&cluster.state, at).contains(&Command::MissDeadline { job })
    };
    assert!(!missed(&cluster, last) && missed(&cluster, last + Span(1)));
    // Asked too early, nothing is done.
    cluster.send(Command::MissDeadline { job }).expect("the clock is not refused");
    assert!(cluster.state.jobs[&job].is_pending());
    cluster.pass(61);
    assert_eq!(start(&mut cluster, job, None), Err(Refusal::Stale), "it would end too late");
    cluster.send(Command::MissDeadline { job }).expect("the clock is not refused");
    let end = cluster.state.jobs[&job].end().expect("it is over");
    let exit = ExitStatus { code: 1, signal: 0 };
    let expected = (EndState::Deadline, exit, Some(Reason::Deadline));
    assert_eq!((end.state, end.exit, end.reason), expected);
    assert_eq!(cluster.state.deadlines.len(), 0);
}

/// Whoever says by when, and not how long it takes, can do with a minute.
#[test]
fn a_deadline_shortens_a_limit_that_was_not_asked_for() {
    let mut cluster = cluster();
    let asked = |cluster: &Cluster, seconds| JobSpec {
        asks: Some(Arc::new(by(cluster, seconds))),
        ..spec(ALICE)
    };
    let late = asked(&cluster, 59);
    assert_eq!(cluster.submit(ALICE, late), Err(Refusal::TimeLimit));
    let job = cluster.submit(ALICE, asked(&cluster, 600)).expect("it is in time");
    assert_eq!(start(&mut cluster, job, None), Err(Refusal::Stale));
    assert_eq!(start(&mut cluster, job, Some(10)), Ok(()));
}

#[test]
fn a_priority_is_for_operators_to_choose_and_stays() {
    let mut cluster = cluster();
    let asked = |user| JobSpec {
        asks: Some(Arc::new(Asks { priority: Some(7), ..Asks::NONE })),
        ..spec(user)
    };
    assert_eq!(cluster.submit(ALICE, asked(ALICE)), Err(Refusal::Denied));
    let job = cluster.submit(ROOT, asked(ROOT)).expect("an operator may");
    let plain = cluster.submit(ALICE, spec(ALICE)).expect("it is plain");
    let priority = |cluster: &Cluster| cluster.state.jobs[&job].priority;
    assert_eq!(priority(&cluster), 7);
    assert!(cluster.state.jobs[&plain].priority > 7);
    let hold = Command::Hold { by: cluster.by(ROOT), job, admin: false };
    cluster.send(hold).expect("it is his");
    assert_eq!(priority(&cluster), 0);
    let release = Command::Release { by: cluster.by(ROOT), job };
    cluster.send(release).expect("it is his");
    assert_eq!(priority(&cluster), 7);
    start(&mut cluster, job, None).expect("there is room");
    let requeue = Command::Requeue { by: cluster.by(ROOT), job, hold: false };
    cluster.send(requeue).expect("it runs");
    cluster.exits("n1", job, 1, 0);
    assert_eq!(priority(&cluster), 7);
}
