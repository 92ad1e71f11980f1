//! Runs that make way for a job.

use common::{
    config::{Config, PartitionConf, PreemptMode, PreemptType},
    cpus::CpuSet,
    id::{Attempt, JobId, NodeName},
    job::{EndState, ExitStatus, JobChanges, JobSpec, Phase, Place},
    machine::{
        Allocation, Answer, Cause, Command, Order, Preemption, Refusal, Report, Seen, SeenStage,
        orders, timers,
    },
    resources::Resources,
    time::TimeLimit,
};

use crate::cluster::{ALICE, Cluster, ROOT, config, spec};

/// `cpu` makes way for `high` on the only node, of eight CPUs.
fn cluster(change: impl FnOnce(&mut Config)) -> Cluster {
    let mut cluster = Cluster::new(&["n1"], 8);
    cluster.send(Command::RaiseFormat { format: 2 }).expect("it is understood");
    let mut config = config(&["n1"], 8);
    config.preemption.by = PreemptType::PartitionPrio;
    config.preemption.mode = PreemptMode::Requeue;
    config.partitions.push(PartitionConf {
        nodes: vec!["n1".to_owned()],
        priority_tier: 5,
        ..PartitionConf::defaults("high")
    });
    change(&mut config);
    cluster.send(Command::SetConfig { config: config.into() }).expect("it fits the cluster");
    cluster
}

fn running(cluster: &mut Cluster, cpus: u32) -> JobId {
    let job = cluster.submit(ALICE, spec(ALICE)).expect("it is plain");
    cluster.allocate(job, "n1", cpus).expect("there is room");
    cluster.report("n1", job, 1, Report::Launching);
    cluster.report("n1", job, 1, Report::Running);
    job
}

fn urgent(cluster: &mut Cluster) -> JobId {
    let spec = JobSpec { partition: "high".into(), ..spec(ALICE) };
    cluster.submit(ALICE, spec).expect("it is plain")
}

fn preempt(
    cluster: &mut Cluster,
    job: JobId,
    cpus: u32,
    runs: &[JobId],
) -> Result<Answer, Refusal> {
    let held = Resources { cpus, memory_mib: 0 };
    let place =
        Place { node: NodeName::from("n1"), held, tasks: 1, gres: vec![], cpus: CpuSet::default() };
    let places = vec![place];
    let start = Allocation::of(&cluster.state.jobs[&job], places);
    let runs = runs.iter().map(|job| (*job, cluster.state.jobs[job].attempt)).collect();
    cluster.send(Command::Preempt(Preemption { start, runs }))
}

fn ended(cluster: &mut Cluster, job: JobId, code: u8) {
    let exit = ExitStatus { code, signal: 0 };
    let report = Report::Ended { at: cluster.now, exit, out_of_memory: false };
    cluster.report("n1", job, 1, report);
}

fn ring(cluster: &mut Cluster) {
    for command in timers(&cluster.state, cluster.now) {
        cluster.send(command).expect("the clock is not refused");
    }
}

fn ordered(cluster: &Cluster, job: JobId) -> Vec<Order> {
    let seen: Seen = [((job, Attempt::FIRST), SeenStage::Running)].into();
    orders(&cluster.state, &"n1".into(), &seen)
}

#[test]
fn without_grace_a_run_is_ended_at_once_and_waits_again() {
    let mut cluster = cluster(|_| ());
    let low = running(&mut cluster, 8);
    let high = urgent(&mut cluster);
    preempt(&mut cluster, high, 4, &[low]).expect("it may");
    assert!(cluster.state.jobs[&high].preemptor);
    let orders = ordered(&cluster, low);
    let ends = |order: &Order| {
        let cause = Cause::Preempted;
        matches!(order, Order::Terminate { job, cause: why, .. } if *job == low && *why == cause)
    };
    assert!(orders.iter().any(ends), "{orders:?}");

    assert_eq!(preempt(&mut cluster, high, 4, &[low]), Err(Refusal::Stale), "it does already");
    ended(&mut cluster, low, 0);
    let job = &cluster.state.jobs[&low];
    assert_eq!((job.is_pending(), job.attempt, job.restarts), (true, Attempt(2), 1));
    assert!(job.begin.is_some_and(|begin| begin > cluster.now), "it comes back later");
    cluster.allocate(high, "n1", 4).expect("there is room");
    assert!(!cluster.state.jobs[&high].preemptor, "it has what it wanted");
}

#[test]
fn a_job_that_may_not_be_requeued_ends() {
    let mut cluster = cluster(|_| ());
    let asks = JobSpec { requeue: Some(false), ..spec(ALICE) };
    let low = cluster.submit(ALICE, asks).expect("it is plain");
    cluster.allocate(low, "n1", 8).expect("there is room");
    let high = urgent(&mut cluster);
    preempt(&mut cluster, high, 8, &[low]).expect("it may");
    ended(&mut cluster, low, 1);
    let end = cluster.state.jobs[&low].end().expect("it is over");
    assert_eq!(end.state, EndState::Preempted);
}

#[test]
fn nobody_makes_way_in_vain() {
    let mut cluster = cluster(|config| config.preemption.exempt = 60);
    let low = running(&mut cluster, 4);
    let other = running(&mut cluster, 4);
    let high = urgent(&mut cluster);
    assert_eq!(preempt(&mut cluster, high, 4, &[low]), Err(Refusal::Stale), "it is exempt");
    cluster.pass(60);
    assert_eq!(preempt(&mut cluster, high, 5, &[low]), Err(Refusal::Stale), "it does not suffice");
    assert_eq!(preempt(&mut cluster, high, 4, &[low, low]), Err(Refusal::Stale), "twice the same");
    assert_eq!(preempt(&mut cluster, high, 4, &[]), Err(Refusal::Stale), "nobody");
    let equal = cluster.submit(ALICE, spec(ALICE)).expect("it is plain");
    assert_eq!(preempt(&mut cluster, equal, 4, &[low]), Err(Refusal::Stale), "an equal");
    let by = cluster.by(ALICE);
    cluster.send(Command::Hold { by, job: high, admin: false }).expect("her own");
    assert_eq!(preempt(&mut cluster, high, 4, &[low]), Err(Refusal::Stale), "it is held");
    let by = cluster.by(ALICE);
    cluster.send(Command::Release { by, job: high }).expect("her own");
    for job in [low, other] {
        assert!(matches!(&cluster.state.jobs[&job].phase, Phase::Active(_)), "all or none");
    }
    preempt(&mut cluster, high, 8, &[low, other]).expect("both suffice");
}

#[test]
fn a_partition_that_is_off_makes_way_for_nobody() {
    let mut cluster = cluster(|config| config.partitions[0].preempt_mode = Some(PreemptMode::Off));
    let low = running(&mut cluster, 8);
    let high = urgent(&mut cluster);
    assert_eq!(preempt(&mut cluster, high, 8, &[low]), Err(Refusal::Stale));
}

#[test]
fn with_grace_a_run_is_told_and_ended_later() {
    let mut cluster = cluster(|config| config.partitions[0].grace_time = 60);
    let low = running(&mut cluster, 8);
    let high = urgent(&mut cluster);
    preempt(&mut cluster, high, 8, &[low]).expect("it may");
    let sent: Vec<u8> = cluster.state.jobs[&low].signals.iter().map(|one| one.signal).collect();
    assert_eq!(sent, [18, 15], "SIGCONT, and SIGTERM");
    let second = urgent(&mut cluster);
    assert_eq!(preempt(&mut cluster, second, 8, &[low]), Err(Refusal::Stale), "it is told already");

    // Who gives it more time does not keep it from making way.
    let time_limit = Some(TimeLimit::Minutes(1_000));
    let changes = Box::new(JobChanges { time_limit, ..JobChanges::default() });
    let by = cluster.by(ROOT);
    cluster.send(Command::UpdateJob { by, job: low, changes }).expect("root may");
    cluster.pass(59);
    ring(&mut cluster);
    assert!(matches!(cluster.state.jobs[&low].phase, Phase::Active(_)));
    cluster.pass(1);
    ring(&mut cluster);
    let Phase::Completing { end, requeue, .. } = &cluster.state.jobs[&low].phase else {
        panic!("its grace is over");
    };
    assert_eq!((end.state, requeue.is_some()), (EndState::Preempted, true));
}

#[test]
fn whoever_makes_way_by_himself_waits_again_unless_he_is_done() {
    for (code, done) in [(0, true), (1, false)] {
        let mut cluster = cluster(|config| config.partitions[0].grace_time = 60);
        let low = running(&mut cluster, 8);
        let high = urgent(&mut cluster);
        preempt(&mut cluster, high, 8, &[low]).expect("it may");
        ended(&mut cluster, low, code);
        let job = &cluster.state.jobs[&low];
        match job.end() {
            Some(end) => assert_eq!((done, end.state), (true, EndState::Completed)),
            None => assert!(!done && job.is_pending(), "exit code {code}"),
        }
    }
}

#[test]
fn a_job_that_asks_for_something_else_has_no_place_kept() {
    let mut cluster = cluster(|_| ());
    let low = running(&mut cluster, 8);
    let high = urgent(&mut cluster);
    preempt(&mut cluster, high, 8, &[low]).expect("it may");
    let changes = Box::new(JobChanges { tasks: Some(2), ..JobChanges::default() });
    let by = cluster.by(ALICE);
    cluster.send(Command::UpdateJob { by, job: high, changes }).expect("her own");
    assert!(!cluster.state.jobs[&high].preemptor);
    assert!(cluster.state.preemptors.is_empty());
}

/// What makes way when a copy of the log is gone on from may have ended since.
#[test]
fn a_run_that_makes_way_is_not_requeued_after_a_restore() {
    use common::{
        id::{ControllerName, Term},
        machine::{Entry, Restore, restored},
    };
    let mut cluster = cluster(|config| config.partitions[0].grace_time = 60);
    let low = running(&mut cluster, 8);
    let high = urgent(&mut cluster);
    preempt(&mut cluster, high, 8, &[low]).expect("it may");
    let restore = Restore {
        cluster: cluster.state.cluster.expect("it is formed"),
        index: 7,
        job_ids: 1_000,
        nothing_since: false,
        controller: ControllerName::from("ctl9"),
        raft_id: 99,
        address: "10.0.0.9:6817".to_owned(),
        lost: std::collections::BTreeSet::new(),
    };
    let events = restored(&cluster.state, cluster.state.at, &restore);
    cluster.term = Term(2);
    let entry = Entry {
        at: cluster.state.at,
        term: Term(2),
        sequence: 1,
        digest: cluster.state.digest,
        request: None,
        events,
    };
    cluster.state.apply(&entry);
    cluster.state.check();
    assert!(!cluster.state.jobs[&low].requeue, "it is not tried again");
    cluster.pass(61);
    ring(&mut cluster);
    ended(&mut cluster, low, 1);
    let job = &cluster.state.jobs[&low];
    assert!(!job.is_pending(), "it may have run to its end: attempt {:?}", job.attempt);
}

/// The same where its owner says meanwhile that it is not to be requeued.
#[test]
fn a_run_that_makes_way_is_not_requeued_if_it_may_not_be() {
    let mut cluster = cluster(|config| config.partitions[0].grace_time = 60);
    let low = running(&mut cluster, 8);
    let high = urgent(&mut cluster);
    preempt(&mut cluster, high, 8, &[low]).expect("it may");
    let changes = Box::new(JobChanges { requeue: Some(false), ..JobChanges::default() });
    let by = cluster.by(ALICE);
    cluster.send(Command::UpdateJob { by, job: low, changes }).expect("her own");
    cluster.pass(61);
    ring(&mut cluster);
    ended(&mut cluster, low, 1);
    assert!(!cluster.state.jobs[&low].is_pending(), "it waits again");
}
