//! Heterogeneous jobs: what happens to one component, and to all.

use common::{
    id::{JobId, NodeName},
    job::{
        ArraySpec, EndState, HetPart, Hold, JobChanges, JobSpec, Phase, Place, SignalScope, Stage,
    },
    machine::{
        Allocation, Command, NodeChanges, NodeTarget, Order, Refusal, Report, Seen, orders, timers,
    },
    resources::Resources,
    time::TimeLimit,
};

use crate::cluster::{ALICE, BOB, Cluster, ROOT, spec};

const FIRST: JobId = JobId(1);
const SECOND: JobId = JobId(2);
const THIRD: JobId = JobId(3);

/// Three components on three nodes.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new(&["n1", "n2", "n3"], 8);
    let components = vec![spec(ALICE), spec(ALICE)];
    assert_eq!(cluster.submit_all(ALICE, spec(ALICE), components), Ok(FIRST));
    cluster
}

fn start(cluster: &Cluster, job: JobId, node: &str, cpus: u32) -> Allocation {
    let held = Resources { cpus, memory_mib: 0 };
    Allocation::of(&cluster.state.jobs[&job], vec![Place::of(node.into(), held, 1)])
}

/// The components on these nodes, each with so many CPUs.
fn together(cluster: &Cluster, nodes: [&str; 3], cpus: u32) -> Command {
    let others =
        vec![start(cluster, SECOND, nodes[1], cpus), start(cluster, THIRD, nodes[2], cpus)];
    Command::Allocate(Allocation { others, ..start(cluster, FIRST, nodes[0], cpus) })
}

fn running() -> Cluster {
    let mut cluster = cluster();
    let command = together(&cluster, ["n1", "n2", "n3"], 2);
    cluster.send(command).expect("there is room");
    cluster.report("n1", FIRST, 1, Report::Running);
    cluster
}

fn states(cluster: &Cluster) -> [Option<EndState>; 3] {
    [FIRST, SECOND, THIRD].map(|job| cluster.state.jobs[&job].end().map(|end| end.state))
}

fn phases(cluster: &Cluster) -> [&'static str; 3] {
    [FIRST, SECOND, THIRD].map(|job| match &cluster.state.jobs[&job].phase {
        Phase::Pending => "pending",
        Phase::Active(run) if run.stage == Stage::Running => "running",
        Phase::Active(_) => "allocated",
        Phase::Completing { .. } => "completing",
        Phase::Ended { .. } => "ended",
    })
}

fn held(cluster: &Cluster) -> u32 {
    cluster.state.nodes.values().map(|node| node.used.cpus).sum()
}

fn cancel(cluster: &mut Cluster, job: JobId, signal: Option<u8>) -> Result<(), Refusal> {
    let signal = signal.map(|signal| (signal, SignalScope::Steps));
    let by = cluster.by(ALICE);
    cluster.send(Command::Cancel { by, job, signal }).map(drop)
}

#[test]
fn components_have_numbers_that_follow_each_other_and_are_in_one_entry() {
    let cluster = cluster();
    let parts: Vec<_> = cluster.state.jobs.values().map(|job| job.het()).collect();
    let part = |offset| Some(HetPart { leader: FIRST, offset, size: 3 });
    assert_eq!(parts, [part(0), part(1), part(2)]);
    let submitted = cluster.log.last().map(|entry| entry.events.iter().map(|e| e.kind()));
    let kinds: Vec<_> = submitted.into_iter().flatten().collect();
    assert_eq!(kinds[2..], ["JobSubmitted", "JobSubmitted", "JobSubmitted"]);
    // The leader stands for all.
    let queue = &cluster.state.queues[&"cpu".into()];
    assert_eq!(queue.iter().map(|key| key.job).collect::<Vec<_>>(), [FIRST]);
}

#[test]
fn where_one_component_is_refused_all_are() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let nowhere = JobSpec { partition: "nope".into(), ..spec(ALICE) };
    let refused = cluster.submit_all(ALICE, spec(ALICE), vec![spec(ALICE), nowhere]);
    assert_eq!(refused, Err(Refusal::NoSuchPartition("nope".into())));
    assert!(cluster.state.jobs.is_empty() && cluster.state.blobs.is_empty());
    let array = ArraySpec::parse("1-2", 10).expect("it is well formed");
    let array = JobSpec { array: Some(array.into()), ..spec(ALICE) };
    let refused = cluster.submit_all(ALICE, spec(ALICE), vec![array]);
    assert_eq!(refused, Err(Refusal::Array));
    let many = vec![spec(ALICE); HetPart::MOST as usize];
    assert!(cluster.submit_all(ALICE, spec(ALICE), many.clone()).is_err());
    assert_eq!(cluster.submit_all(ALICE, spec(ALICE), many[1..].to_vec()), Ok(FIRST));
}

#[test]
fn all_start_or_none_does() {
    let mut cluster = cluster();
    let alone = start(&cluster, FIRST, "n1", 1);
    assert_eq!(cluster.send(Command::Allocate(alone)), Err(Refusal::Stale));
    let led = start(&cluster, SECOND, "n1", 1);
    assert_eq!(cluster.send(Command::Allocate(led)), Err(Refusal::Stale));
    // Two of them can't both have all of a node.
    let both = together(&cluster, ["n1", "n2", "n2"], 8);
    assert_eq!(cluster.send(both), Err(Refusal::Stale));
    assert_eq!((held(&cluster), phases(&cluster)), (0, ["pending"; 3]));
    let shared = together(&cluster, ["n1", "n2", "n2"], 4);
    cluster.send(shared).expect("half a node is enough for each");
    assert_eq!((held(&cluster), phases(&cluster)), (12, ["allocated"; 3]));
}

#[test]
fn only_the_leaders_script_runs() {
    let mut cluster = running();
    assert_eq!(phases(&cluster), ["running"; 3]);
    let nodes = ["n1", "n2", "n3"].map(NodeName::from);
    let launched = nodes.each_ref().map(|node| orders(&cluster.state, node, &Seen::new()));
    assert!(launched.iter().all(Vec::is_empty), "it runs already: {launched:?}");
    // A node that says something else is not believed.
    cluster.exits("n2", SECOND, 1, 0);
    assert_eq!(phases(&cluster), ["running"; 3]);
    cluster.exits("n1", FIRST, 1, 3);
    assert_eq!(states(&cluster), [Some(EndState::Failed); 3]);
    assert_eq!(
        (held(&cluster), cluster.state.jobs[&THIRD].end().map(|end| end.exit.code)),
        (0, Some(3))
    );

    let mut cluster = self::cluster();
    let command = together(&cluster, ["n1", "n2", "n3"], 2);
    cluster.send(command).expect("there is room");
    let launched = nodes.each_ref().map(|node| orders(&cluster.state, node, &Seen::new()));
    let launch = |job| Order::Launch { job, attempt: cluster.state.jobs[&job].attempt };
    assert_eq!(launched, [vec![launch(FIRST)], vec![], vec![]]);
}

#[test]
fn who_waits_is_cancelled_with_all_others() {
    let mut cluster = cluster();
    assert_eq!(cancel(&mut cluster, SECOND, None), Err(Refusal::HetComponent(SECOND)));
    assert_eq!(cancel(&mut cluster, FIRST, None), Ok(()));
    assert_eq!(states(&cluster), [Some(EndState::Cancelled); 3]);
}

#[test]
fn one_that_runs_may_be_given_up_and_comes_back_when_all_are_requeued() {
    let mut cluster = running();
    assert_eq!(cancel(&mut cluster, SECOND, Some(10)), Ok(()), "nobody is there to hear it");
    assert_eq!(phases(&cluster), ["running"; 3]);
    assert_eq!(cancel(&mut cluster, SECOND, None), Ok(()));
    assert_eq!((phases(&cluster), held(&cluster)), (["running", "ended", "running"], 4));
    assert_eq!(cancel(&mut cluster, SECOND, None), Err(Refusal::AlreadyDone(SECOND)));
    // It is not forgotten before the others.
    cluster.pass(10_000);
    assert!(timers(&cluster.state, cluster.now).is_empty());
    let by = cluster.by(ALICE);
    let requeue = Command::Requeue { by, job: SECOND, hold: false };
    assert_eq!(cluster.send(requeue), Err(Refusal::NotHetLeader(SECOND)));
    let by = cluster.by(ALICE);
    cluster.send(Command::Requeue { by, job: FIRST, hold: false }).expect("it runs");
    assert_eq!(phases(&cluster), ["completing", "ended", "completing"]);
    cluster.exits("n1", FIRST, 1, 0);
    assert_eq!((phases(&cluster), held(&cluster)), (["pending"; 3], 0));
}

#[test]
fn the_leaders_end_is_the_end_of_all() {
    let mut cluster = running();
    cancel(&mut cluster, FIRST, None).expect("it runs");
    assert_eq!((phases(&cluster), held(&cluster)), (["completing"; 3], 6));
    cluster.exits("n1", FIRST, 1, 0);
    assert_eq!((states(&cluster), held(&cluster)), ([Some(EndState::Cancelled); 3], 0));
    cluster.pass(400);
    for command in timers(&cluster.state, cluster.now) {
        cluster.send(command).expect("a timer is never refused");
    }
    assert!(cluster.state.jobs.is_empty(), "they are forgotten together");
}

#[test]
fn a_component_whose_time_is_over_leaves_the_others() {
    let mut cluster = Cluster::new(&["n1", "n2", "n3"], 8);
    let minutes =
        |minutes| JobSpec { time_limit: Some(TimeLimit::Minutes(minutes)), ..spec(ALICE) };
    cluster.submit_all(ALICE, minutes(5), vec![minutes(1), minutes(9)]).expect("three");
    let command = together(&cluster, ["n1", "n2", "n3"], 2);
    cluster.send(command).expect("there is room");
    cluster.report("n1", FIRST, 1, Report::Running);
    for (seconds, expected) in
        [(60, ["running", "ended", "running"]), (240, ["completing", "ended", "completing"])]
    {
        cluster.pass(seconds);
        for command in timers(&cluster.state, cluster.now) {
            cluster.send(command).expect("a timer is never refused");
        }
        assert_eq!(phases(&cluster), expected);
    }
    assert_eq!(states(&cluster), [Some(EndState::Timeout); 3]);
}

#[test]
fn a_lost_node_of_any_component_strikes_all() {
    for requeue in [true, false] {
        let mut cluster = Cluster::new(&["n1", "n2", "n3"], 8);
        let asked = || JobSpec { requeue: Some(requeue), ..spec(ALICE) };
        cluster.submit_all(ALICE, asked(), vec![asked(), asked()]).expect("three");
        let command = together(&cluster, ["n1", "n2", "n2"], 2);
        cluster.send(command).expect("there is room");
        cluster.report("n1", FIRST, 1, Report::Running);
        cluster.send(Command::Lose { node: "n2".into() }).expect("a known node");
        // The script's own node has to clean up first.
        assert_eq!(phases(&cluster), ["completing"; 3]);
        cluster.exits("n1", FIRST, 1, 0);
        let expected = if requeue { ["pending"; 3] } else { ["ended"; 3] };
        assert_eq!((phases(&cluster), held(&cluster)), (expected, 0));
    }
    // The script's own: nobody is left to ask.
    let mut cluster = running();
    cluster.send(Command::Lose { node: "n1".into() }).expect("a known node");
    assert_eq!(phases(&cluster), ["pending"; 3]);
    // One that an operator takes down.
    let mut cluster = running();
    let changes = NodeChanges { target: Some(NodeTarget::Down), reason: Some("x".into()) };
    let by = cluster.by(ROOT);
    cluster.send(Command::UpdateNode { by, node: "n3".into(), changes }).expect("by root");
    assert_eq!(phases(&cluster), ["completing"; 3]);
}

#[test]
fn a_failed_launch_is_that_of_all() {
    let mut cluster = running();
    let (at, message) = (cluster.now, "no".to_owned());
    let failed = Report::LaunchFailed { at, message, node_fault: true };
    cluster.report("n1", FIRST, 1, failed);
    assert_eq!((phases(&cluster), held(&cluster)), (["pending"; 3], 0));
    assert!(cluster.state.jobs.values().all(|job| job.restarts == 1 && job.attempt.0 == 2));
}

#[test]
fn the_leaders_hold_and_changes_are_those_of_all_and_a_components_its_own() {
    let mut cluster = cluster();
    let holds = |cluster: &Cluster| {
        [FIRST, SECOND, THIRD].map(|job| cluster.state.jobs[&job].hold != Hold::None)
    };
    let by = cluster.by(ALICE);
    cluster.send(Command::Hold { by, job: SECOND, admin: false }).expect("her own");
    assert_eq!(holds(&cluster), [false, true, false]);
    // The leader's turn comes, but one of them may not start.
    let command = together(&cluster, ["n1", "n2", "n3"], 2);
    assert_eq!(cluster.send(command), Err(Refusal::Stale));
    let by = cluster.by(ALICE);
    cluster.send(Command::Hold { by, job: FIRST, admin: false }).expect("her own");
    assert_eq!(holds(&cluster), [true; 3]);
    let by = cluster.by(BOB);
    assert!(cluster.send(Command::Release { by, job: FIRST }).is_err(), "not his");
    let by = cluster.by(ALICE);
    cluster.send(Command::Release { by, job: FIRST }).expect("her own");
    assert_eq!(holds(&cluster), [false; 3]);

    let limits =
        |cluster: &Cluster| [FIRST, SECOND, THIRD].map(|job| cluster.state.jobs[&job].time_limit);
    let update = |cluster: &mut Cluster, job, minutes| {
        let time_limit = Some(TimeLimit::Minutes(minutes));
        let changes = Box::new(JobChanges { time_limit, ..JobChanges::default() });
        let by = cluster.by(ALICE);
        cluster.send(Command::UpdateJob { by, job, changes }).expect("it waits");
    };
    update(&mut cluster, FIRST, 7);
    update(&mut cluster, THIRD, 3);
    assert_eq!(limits(&cluster), [7, 7, 3].map(TimeLimit::Minutes));
}

#[test]
fn what_components_can_not_have_is_refused_by_name() {
    use common::job::{Asks, Dependency};
    let mut cluster = Cluster::new(&["n1"], 8);
    let asks = |asks| JobSpec { asks: Some(std::sync::Arc::new(asks)), ..spec(ALICE) };
    let deadline = asks(Asks { deadline: Some(cluster.now), ..Asks::NONE });
    let time_min = asks(Asks { time_min: Some(TimeLimit::Minutes(1)), ..Asks::NONE });
    let singleton = Dependency::parse("singleton").expect("it is well formed");
    let singleton = JobSpec { dependency: Some(singleton.into()), ..spec(ALICE) };
    let several = JobSpec { partition: "a,b".into(), ..spec(ALICE) };
    for (asked, word) in [
        (deadline, "--deadline"),
        (time_min, "--time-min"),
        (singleton, "singleton"),
        (several, "partition"),
    ] {
        let refused = cluster.submit_all(ALICE, spec(ALICE), vec![asked]).expect_err(word);
        assert!(refused.to_string().contains(word), "{refused}");
    }
    cluster.submit_all(ALICE, spec(ALICE), vec![spec(ALICE)]).expect("two");
    let itself = Dependency::parse("afterok:2").expect("it is well formed");
    let changes = JobChanges { dependency: Some(itself.into()), ..JobChanges::default() };
    let by = cluster.by(ALICE);
    let update = Command::UpdateJob { by, job: FIRST, changes: Box::new(changes) };
    assert_eq!(cluster.send(update), Err(Refusal::Dependency));
}

#[test]
fn who_can_never_start_takes_the_others_along() {
    use common::job::Dependency;
    let mut cluster = Cluster::new(&["n1"], 8);
    let first = cluster.submit(ALICE, spec(ALICE)).expect("a job");
    let dependency = Dependency::parse("afterok:1").expect("it is well formed");
    let waits = JobSpec {
        dependency: Some(dependency.into()),
        kill_on_invalid_dep: Some(true),
        ..spec(ALICE)
    };
    let leader = cluster.submit_all(ALICE, spec(ALICE), vec![waits]).expect("two");
    cancel(&mut cluster, first, None).expect("it waits");
    let ends: Vec<_> = cluster.state.jobs.values().map(|job| job.end().is_some()).collect();
    assert_eq!((leader, ends), (JobId(2), vec![true; 3]));
    // What is over already keeps none of them from coming in.
    let dependency = Dependency::parse("afterok:1").expect("it is well formed");
    let waits = JobSpec {
        dependency: Some(dependency.into()),
        kill_on_invalid_dep: Some(true),
        ..spec(ALICE)
    };
    let plain = || vec![spec(ALICE), spec(ALICE)];
    assert_eq!(cluster.submit_all(ALICE, waits, plain()), Ok(JobId(4)));
    assert!(cluster.state.jobs.values().all(|job| job.end().is_some()));
    assert_eq!(cluster.state.jobs.len(), 6);
    // Nor from coming back: then all are over again.
    let by = cluster.by(ALICE);
    cluster.send(Command::Requeue { by, job: JobId(4), hold: false }).expect("it is over");
    assert!(cluster.state.jobs.values().all(|job| job.end().is_some()));
}
