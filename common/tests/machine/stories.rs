//! Lives of jobs and nodes, told one event after the other.

use common::{
    id::{Attempt, JobId, NodeName},
    job::{
        EndState, ExitStatus, Hold, JobChanges, JobSpec, Phase, Reason, SignalScope, Stage,
        WarnSignal,
    },
    machine::{
        Answer, Cause, Command, NodeChanges, NodeTarget, Order, Refusal, Report, Seen, SeenStage,
        missing, next_alarm, orders, timers,
    },
    node::Availability,
    time::{Span, TimeLimit},
};

use crate::cluster::{ALICE, BOB, Cluster, ROOT, spec};

fn running() -> (Cluster, JobId) {
    let mut cluster = Cluster::new(&["n1", "n2"], 8);
    let job = cluster.submit(ALICE, spec(ALICE)).expect("room");
    cluster.allocate(job, "n1", 1).expect("room");
    cluster.report("n1", job, 1, Report::Launching);
    cluster.report("n1", job, 1, Report::Running);
    (cluster, job)
}

fn end_state(cluster: &Cluster, job: JobId) -> Option<EndState> {
    match &cluster.state.jobs[&job].phase {
        Phase::Ended { end, .. } => Some(end.state),
        Phase::Pending | Phase::Active(_) | Phase::Completing { .. } => None,
    }
}

#[test]
fn a_job_runs_and_ends() {
    let (mut cluster, job) = running();
    assert_eq!(cluster.state.nodes[&NodeName::from("n1")].used.cpus, 1);
    cluster.exits("n1", job, 1, 0);
    assert_eq!(end_state(&cluster, job), Some(EndState::Completed));
    assert_eq!(cluster.state.nodes[&NodeName::from("n1")].used.cpus, 0);
}

#[test]
fn exit_codes_and_signals_decide_how_it_ended() {
    for (code, signal, oom, state, reason) in [
        (0, 0, false, EndState::Completed, None),
        (3, 0, false, EndState::Failed, Some(Reason::NonZeroExitCode)),
        (0, 11, false, EndState::Failed, Some(Reason::RaisedSignal)),
        (0, 9, true, EndState::OutOfMemory, Some(Reason::OutOfMemory)),
    ] {
        let (mut cluster, job) = running();
        let exit = ExitStatus { code, signal };
        let at = cluster.now;
        cluster.report("n1", job, 1, Report::Ended { at, exit, out_of_memory: oom });
        let end = cluster.state.jobs[&job].end().cloned().expect("over");
        assert_eq!((end.state, end.reason, end.exit), (state, reason, exit));
    }
}

#[test]
fn a_late_report_of_an_earlier_attempt_changes_nothing() {
    let (mut cluster, job) = running();
    let by = cluster.by(ALICE);
    cluster.send(Command::Requeue { by, job, hold: false }).expect("it runs");
    cluster.exits("n1", job, 1, 0);
    cluster.pass(200);
    cluster.allocate(job, "n2", 1).expect("room for the second attempt");
    let before = cluster.state.clone();
    cluster.exits("n1", job, 1, 9);
    cluster.exits("n2", job, 1, 9);
    cluster.exits("n1", job, 2, 9);
    assert_eq!(cluster.state, before, "only the batch host of attempt 2 can end it");
}

#[test]
fn a_retry_gets_the_first_answer() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let first = cluster.submit(ALICE, spec(ALICE)).expect("room");
    let entry = cluster.log.last().expect("an entry").clone();
    let request = entry.request.as_ref().expect("a request").request;
    let mut again = common::machine::Submission {
        by: common::machine::By { user: ALICE, request },
        spec: spec(ALICE),
        components: vec![],
        script: bytes::Bytes::from_static(b"#!/bin/sh\ntrue\n"),
        environment: bytes::Bytes::from_static(b"PATH=/bin\0"),
    };
    let length = cluster.log.len();
    let answer = cluster.send(Command::Submit(Box::new(again.clone())));
    assert_eq!(answer, Ok(Answer::Job(first)));
    assert_eq!(cluster.log.len(), length, "nothing was appended");
    // Its memory is bounded: long after, the same id would be a new request.
    for _ in 0..13 {
        cluster.pass(1_000);
        cluster.submit(BOB, spec(BOB)).expect("room");
    }
    again.by.user = ALICE;
    assert_ne!(cluster.send(Command::Submit(Box::new(again))), Ok(Answer::Job(first)));
}

#[test]
fn priorities_count_down_as_jobs_begin_to_wait_and_niceness_counts_alone() {
    let (mut cluster, requeued) = running();
    let nicer = JobSpec { nice: 100, ..spec(ALICE) };
    let nice = cluster.submit(ALICE, nicer.clone()).expect("room");
    let next = cluster.submit(ALICE, spec(ALICE)).expect("room");
    let by = cluster.by(ALICE);
    cluster.send(Command::Requeue { by, job: requeued, hold: false }).expect("it runs");
    cluster.exits("n1", requeued, 1, 0);
    let last = cluster.submit(ALICE, spec(ALICE)).expect("room");
    let last_nice = cluster.submit(ALICE, nicer).expect("room");
    let below = |job: JobId| 4_294_901_759 - cluster.state.jobs[&job].priority;
    let all = [nice, next, requeued, last, last_nice].map(below);
    assert_eq!(all, [101, 2, 3, 4, 105]);
}

#[test]
fn a_node_that_works_can_t_be_told_to_idle() {
    let (mut cluster, _) = running();
    let changes = NodeChanges { target: Some(NodeTarget::Idle), reason: None };
    let by = cluster.by(ROOT);
    let node = NodeName::from("n1");
    let update = Command::UpdateNode { by, node, changes: changes.clone() };
    assert_eq!(cluster.send(update), Err(Refusal::NodeState));
    let (by, node) = (cluster.by(ROOT), NodeName::from("n2"));
    cluster.send(Command::UpdateNode { by, node, changes }).expect("it idles as it is");
}

#[test]
fn nothing_is_given_to_two_jobs() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let first = cluster.submit(ALICE, spec(ALICE)).expect("room");
    let second = cluster.submit(ALICE, spec(ALICE)).expect("room");
    cluster.allocate(first, "n1", 5).expect("room");
    assert_eq!(cluster.allocate(second, "n1", 4), Err(Refusal::Stale));
    assert_eq!(cluster.allocate(first, "n1", 1), Err(Refusal::Stale), "it has its nodes");
    cluster.allocate(second, "n1", 3).expect("just enough");
}

#[test]
fn a_cancelled_job_holds_its_node_until_the_node_is_clean() {
    let (mut cluster, job) = running();
    let by = cluster.by(ALICE);
    cluster.send(Command::Cancel { by, job, signal: None }).expect("hers");
    assert_eq!(end_state(&cluster, job), None);
    assert_eq!(cluster.state.nodes[&NodeName::from("n1")].used.cpus, 1);
    let seen = Seen::from([((job, Attempt(1)), SeenStage::Running)]);
    let given = orders(&cluster.state, &NodeName::from("n1"), &seen);
    let at = cluster.now;
    let cause = Cause::Cancelled;
    assert_eq!(given, [Order::Terminate { job, attempt: Attempt(1), cause, at }]);
    let exit = ExitStatus { code: 0, signal: 15 };
    cluster.report("n1", job, 1, Report::Ended { at, exit, out_of_memory: false });
    let end = cluster.state.jobs[&job].end().expect("over");
    assert_eq!((end.state, end.exit, end.by), (EndState::Cancelled, exit, Some(ALICE)));
    let seen = Seen::from([((job, Attempt(1)), SeenStage::Over)]);
    let given = orders(&cluster.state, &NodeName::from("n1"), &seen);
    assert_eq!(given, [Order::Release { job, attempt: Attempt(1) }]);
}

#[test]
fn only_its_owner_and_operators_touch_a_job() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.submit(ALICE, spec(ALICE)).expect("room");
    let by = cluster.by(BOB);
    let cancel = |by| Command::Cancel { by, job, signal: None };
    assert_eq!(cluster.send(cancel(by)), Err(Refusal::Denied));
    let by = cluster.by(BOB);
    assert_eq!(cluster.send(Command::Hold { by, job, admin: false }), Err(Refusal::NotOperator));
    let mut other = spec(ALICE);
    other.user = BOB;
    assert_eq!(cluster.submit(ALICE, other), Err(Refusal::Denied), "not for another user");
    let by = cluster.by(ROOT);
    assert_eq!(cluster.send(cancel(by)), Ok(Answer::Done));
    assert_eq!(end_state(&cluster, job), Some(EndState::Cancelled));
    let by = cluster.by(ALICE);
    assert_eq!(cluster.send(cancel(by)), Err(Refusal::AlreadyDone(job)));
    let by = cluster.by(ALICE);
    let hold = Command::Hold { by, job, admin: false };
    assert_eq!(cluster.send(hold), Err(Refusal::Finished(job)));
    let by = cluster.by(ALICE);
    assert_eq!(
        cluster.send(Command::Cancel { by, job: JobId(999), signal: None }),
        Err(Refusal::NoSuchJob(JobId(999)))
    );
}

#[test]
fn an_operators_hold_is_not_the_owners_to_release() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.submit(ALICE, spec(ALICE)).expect("room");
    let by = cluster.by(ROOT);
    cluster.send(Command::Hold { by, job, admin: true }).expect("root may");
    assert_eq!(cluster.state.jobs[&job].hold, Hold::Admin);
    assert!(cluster.state.queues.is_empty());
    let by = cluster.by(ALICE);
    assert_eq!(cluster.send(Command::Release { by, job }), Err(Refusal::Denied));
    let changes = Box::new(JobChanges { priority: Some(5), ..JobChanges::default() });
    let by = cluster.by(ROOT);
    let update = Command::UpdateJob { by, job, changes };
    assert_eq!(cluster.send(update), Err(Refusal::Held(job)), "a priority does not release it");
    let by = cluster.by(ROOT);
    cluster.send(Command::Release { by, job }).expect("root may");
    assert!(cluster.state.jobs[&job].priority > 0);
    assert!(!cluster.state.queues.is_empty());
}

/// As in Slurm, where `scontrol hold` of a job that runs takes effect when it is requeued.
#[test]
fn a_job_that_is_held_while_it_runs_waits_once_it_is_requeued() {
    let (mut cluster, job) = running();
    let by = cluster.by(ROOT);
    cluster.send(Command::Hold { by, job, admin: true }).expect("root may");
    assert!(matches!(cluster.state.jobs[&job].phase, Phase::Active(_)), "it goes on");
    let by = cluster.by(ALICE);
    cluster.send(Command::Requeue { by, job, hold: false }).expect("it is hers");
    let at = cluster.now;
    let exit = ExitStatus { code: 0, signal: 15 };
    cluster.report("n1", job, 1, Report::Ended { at, exit, out_of_memory: false });
    let waits = &cluster.state.jobs[&job];
    assert!(waits.is_pending());
    assert_eq!((waits.hold, waits.priority), (Hold::Admin, 0));
    assert!(cluster.state.queues.is_empty());
    let by = cluster.by(ROOT);
    cluster.send(Command::Release { by, job }).expect("root may");
    assert!(!cluster.state.queues.is_empty());
}

#[test]
fn a_time_limit_warns_and_strikes_once() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let mut asked = spec(ALICE);
    asked.time_limit = Some(TimeLimit::Minutes(2));
    let before = Span::from_seconds(30);
    asked.warn_signal = Some(WarnSignal { signal: 10, before, batch_only: true });
    let job = cluster.submit(ALICE, asked).expect("room");
    cluster.allocate(job, "n1", 1).expect("room");
    let started = cluster.now;
    assert_eq!(next_alarm(&cluster.state), Some(started + Span::from_seconds(90)));
    cluster.pass(90);
    let due = timers(&cluster.state, cluster.now);
    let attempt = Attempt(1);
    assert_eq!(due, [Command::Warn { job, attempt }]);
    for command in [due[0].clone(), due[0].clone()] {
        cluster.send(command).expect("no refusal");
    }
    assert_eq!(cluster.state.jobs[&job].signals.len(), 1, "warned once");
    cluster.pass(30);
    let due = timers(&cluster.state, cluster.now);
    assert_eq!(due, [Command::TimeUp { job, attempt }]);
    cluster.send(due[0].clone()).expect("no refusal");
    let end = cluster.state.jobs[&job].end().expect("decided");
    assert_eq!(end.state, EndState::Timeout);
    assert!(timers(&cluster.state, cluster.now).is_empty());
    let (at, exit) = (cluster.now, ExitStatus { code: 0, signal: 9 });
    cluster.report("n1", job, 1, Report::Ended { at, exit, out_of_memory: false });
    let end = cluster.state.jobs[&job].end().expect("over");
    assert_eq!((end.state, end.exit), (EndState::Timeout, exit), "what ended it is told");
}

#[test]
fn a_lost_node_fails_its_jobs_and_comes_back() {
    let (mut cluster, job) = running();
    cluster.send(Command::Lose { node: NodeName::from("n1") }).expect("known");
    let record = &cluster.state.jobs[&job];
    assert!(record.is_pending(), "it is requeued");
    assert_eq!((record.attempt, record.restarts), (Attempt(2), 1));
    let node = &cluster.state.nodes[&NodeName::from("n1")];
    assert_eq!((node.availability, node.used.cpus), (Availability::Lost, 0));
    cluster.pass(200);
    assert_eq!(cluster.allocate(job, "n1", 1), Err(Refusal::Stale), "it is not to be used");
    cluster.register("n1", 1);
    assert_eq!(cluster.state.nodes[&NodeName::from("n1")].availability, Availability::Up);
    let seen = Seen::from([((job, Attempt(1)), SeenStage::Running)]);
    let given = orders(&cluster.state, &NodeName::from("n1"), &seen);
    let at = cluster.state.at;
    assert_eq!(
        given,
        [Order::Terminate { job, attempt: Attempt(1), cause: Cause::Stale, at }],
        "what it still runs is not wanted any more"
    );
}

#[test]
fn a_job_that_may_not_be_requeued_ends_with_its_node() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let mut asked = spec(ALICE);
    asked.requeue = Some(false);
    let job = cluster.submit(ALICE, asked).expect("room");
    cluster.allocate(job, "n1", 1).expect("room");
    cluster.send(Command::Lose { node: NodeName::from("n1") }).expect("known");
    assert_eq!(end_state(&cluster, job), Some(EndState::NodeFail));
}

#[test]
fn a_launch_is_ordered_once_and_never_to_another_life_of_the_node() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.submit(ALICE, spec(ALICE)).expect("room");
    cluster.allocate(job, "n1", 1).expect("room");
    let (node, attempt) = (NodeName::from("n1"), Attempt(1));
    let nothing = Seen::new();
    assert_eq!(orders(&cluster.state, &node, &nothing), [Order::Launch { job, attempt }]);
    assert!(missing(&cluster.state, &node, &nothing, cluster.now).is_empty());
    // The node comes back with a fresh disk: the first order may have reached the old one.
    cluster.register("n1", 2);
    assert!(orders(&cluster.state, &node, &nothing).is_empty());
    let lost = missing(&cluster.state, &node, &nothing, cluster.now);
    assert_eq!(lost.len(), 1);
    for command in lost {
        cluster.send(command).expect("no refusal");
    }
    assert_eq!(cluster.state.jobs[&job].attempt, Attempt(2));
}

#[test]
fn a_run_that_its_node_forgot_is_lost() {
    let (mut cluster, job) = running();
    let node = NodeName::from("n1");
    let lost = missing(&cluster.state, &node, &Seen::new(), cluster.now);
    assert_eq!(lost.len(), 1);
    for command in lost {
        cluster.send(command).expect("no refusal");
    }
    assert_eq!(cluster.state.jobs[&job].attempt, Attempt(2));
    assert!(cluster.state.jobs[&job].is_pending());
}

#[test]
fn a_sick_node_is_drained_and_the_job_is_tried_elsewhere() {
    let mut cluster = Cluster::new(&["n1", "n2"], 8);
    let job = cluster.submit(ALICE, spec(ALICE)).expect("room");
    cluster.allocate(job, "n1", 1).expect("room");
    let (at, message) = (cluster.now, "disk full".to_owned());
    let failed = Report::LaunchFailed { at, message, node_fault: true };
    cluster.report("n1", job, 1, failed);
    assert!(cluster.state.nodes[&NodeName::from("n1")].drain);
    cluster.allocate(job, "n2", 1).expect("the other node is well");
}

#[test]
fn signals_are_delivered_by_number() {
    let (mut cluster, job) = running();
    for signal in [10, 12] {
        let by = cluster.by(ALICE);
        let signal = Some((signal, SignalScope::Batch));
        cluster.send(Command::Cancel { by, job, signal }).expect("hers");
    }
    let seen = Seen::from([((job, Attempt(1)), SeenStage::Running)]);
    let node = NodeName::from("n1");
    assert_eq!(orders(&cluster.state, &node, &seen).len(), 2);
    cluster.report("n1", job, 1, Report::Delivered { number: 1 });
    let (attempt, scope) = (Attempt(1), SignalScope::Batch);
    assert_eq!(
        orders(&cluster.state, &node, &seen),
        [Order::Signal { job, attempt, number: 2, signal: 12, scope }]
    );
}

#[test]
fn a_node_is_drained_downed_and_resumed() {
    let (mut cluster, job) = running();
    let node = NodeName::from("n1");
    let update = |cluster: &mut Cluster, user, target, reason: Option<&str>| {
        let by = cluster.by(user);
        let reason = reason.map(str::to_owned);
        let changes = NodeChanges { target: Some(target), reason };
        cluster.send(Command::UpdateNode { by, node: node.clone(), changes })
    };
    assert_eq!(
        update(&mut cluster, ALICE, NodeTarget::Drain, Some("x")),
        Err(Refusal::NotOperator)
    );
    update(&mut cluster, ROOT, NodeTarget::Drain, Some("disk")).expect("root may");
    let record = cluster.state.nodes[&NodeName::from("n1")].clone();
    assert!(record.drain && record.reason.as_ref().is_some_and(|reason| reason.text == "disk"));
    assert!(cluster.state.jobs[&job].holding().is_some(), "its jobs go on");
    update(&mut cluster, ROOT, NodeTarget::Resume, None).expect("root may");
    assert!(cluster.state.nodes[&NodeName::from("n1")].reason.is_none());
    update(&mut cluster, ROOT, NodeTarget::Down, Some("smoke")).expect("root may");
    assert_eq!(cluster.state.jobs[&job].end().expect("decided").state, EndState::NodeFail);
    cluster.exits("n1", job, 1, 0);
    assert!(cluster.state.jobs[&job].is_pending(), "requeued once its node confirmed");
    cluster.register("n1", 1);
    let availability = cluster.state.nodes[&NodeName::from("n1")].availability;
    assert_eq!(availability, Availability::Down, "an operator's word stands");
}

#[test]
fn ended_jobs_are_forgotten_and_their_scripts_with_the_last_of_them() {
    let (mut cluster, job) = running();
    let other = cluster.submit(ALICE, spec(ALICE)).expect("room");
    assert_eq!(cluster.state.blobs.len(), 2, "equal jobs share");
    cluster.exits("n1", job, 1, 0);
    cluster.pass(301);
    let due = timers(&cluster.state, cluster.now);
    assert_eq!(due, [Command::Forget { jobs: vec![job] }]);
    cluster.send(due[0].clone()).expect("no refusal");
    assert!(!cluster.state.jobs.contains_key(&job));
    assert_eq!(cluster.state.blobs.len(), 2);
    let by = cluster.by(ALICE);
    cluster.send(Command::Cancel { by, job: other, signal: None }).expect("hers");
    cluster.send(Command::Forget { jobs: vec![other] }).expect("no refusal");
    assert!(cluster.state.blobs.is_empty());
    let next = cluster.submit(ALICE, spec(ALICE)).expect("room");
    assert!(next > other, "ids are never given twice");
}

#[test]
fn stages_are_facts_in_order() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.submit(ALICE, spec(ALICE)).expect("room");
    cluster.allocate(job, "n1", 1).expect("room");
    let stage = |cluster: &Cluster| match &cluster.state.jobs[&job].phase {
        Phase::Active(run) => run.stage,
        Phase::Pending | Phase::Completing { .. } | Phase::Ended { .. } => panic!("not active"),
    };
    assert_eq!(stage(&cluster), Stage::Allocated);
    cluster.report("n1", job, 1, Report::Running);
    assert_eq!(stage(&cluster), Stage::Running, "a report that says more counts");
    cluster.report("n1", job, 1, Report::Launching);
    assert_eq!(stage(&cluster), Stage::Running, "a late one does not take it back");
}
