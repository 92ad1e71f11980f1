//! Any sequence of commands keeps the state's promises.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use common::{
    id::{Attempt, ClusterId, ControllerName, JobId, NodeName, Term, UserId},
    job::{
        ArraySpec, Dependency, ExitStatus, HetPart, Hold, Job, JobChanges, JobSpec, Phase, Place,
        SignalScope, Stage, TaskSet,
    },
    machine::{
        Allocation, Command, Entry, Event, NodeChanges, NodeTarget, Report, Restore, TaskAct,
        restored, timers,
    },
    resources::Resources,
    time::{TimeLimit, Timestamp},
};
use proptest::prelude::*;

use crate::cluster::{ALICE, BOB, Cluster, ROOT, spec};

const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// One thing that somebody does, right or wrong.
#[derive(Clone, Debug)]
enum Step {
    Submit { user: UserId, hold: bool, limit: Option<u32>, requeue: bool, after: Option<String> },
    Allocate { job: u32, node: usize, cpus: u32 },
    Array { tasks: String, after: Option<String> },
    Het { size: usize, limit: Option<u32>, requeue: bool, after: Option<String> },
    StartHet { job: u32, nodes: usize, cpus: u32 },
    Start { job: u32, task: u32, node: usize },
    Tasks { user: UserId, job: u32, tasks: Option<String>, act: TaskAct },
    Report { node: usize, job: u32, attempt: u32, report: Report },
    Cancel { user: UserId, job: u32, signal: Option<u8> },
    Hold { user: UserId, job: u32, admin: bool },
    Release { user: UserId, job: u32 },
    Requeue { user: UserId, job: u32, hold: bool },
    Update { user: UserId, job: u32, priority: Option<u32>, minutes: Option<u32> },
    Depend { user: UserId, job: u32, after: String },
    Rename { user: UserId, job: u32, name: String },
    Node { user: UserId, node: usize, target: NodeTarget },
    Register { node: usize, incarnation: u64 },
    Lose { node: usize },
    Pass { seconds: u64 },
    NewLeader,
}

fn task_act() -> impl Strategy<Value = TaskAct> {
    let limit = JobChanges { array_limit: Some(2), ..JobChanges::default() };
    let nice = JobChanges { nice: Some(1), ..JobChanges::default() };
    prop_oneof![
        Just(TaskAct::Cancel { signal: None }),
        Just(TaskAct::Cancel { signal: Some((10, SignalScope::Full)) }),
        any::<bool>().prop_map(|admin| TaskAct::Hold { admin }),
        Just(TaskAct::Release),
        any::<bool>().prop_map(|hold| TaskAct::Requeue { hold }),
        Just(TaskAct::Update { changes: Box::new(limit) }),
        Just(TaskAct::Update { changes: Box::new(nice) }),
    ]
}

/// What a job waits for.
fn after() -> impl Strategy<Value = String> {
    let one = prop_oneof![
        1 => Just("singleton".to_owned()),
        4 => ("after|afterany|afterok|afternotok|aftercorr", 1_u32..12, "|\\+1|_[0-6]|_\\*")
            .prop_map(|(kind, job, delay)| format!("{kind}:{job}{delay}")),
    ];
    (proptest::collection::vec(one, 1..4), prop_oneof![Just(","), Just("?")])
        .prop_map(|(all, separator)| all.join(separator))
}

fn dependency(text: &str) -> Arc<Dependency> {
    Arc::new(Dependency::parse(text).expect("it is well formed"))
}

fn het_step(
    job: std::ops::Range<u32>,
    limit: impl Strategy<Value = Option<u32>>,
) -> impl Strategy<Value = Step> {
    let after = proptest::option::weighted(0.2, after());
    prop_oneof![
        1 => (2_usize..4, limit, any::<bool>(), after)
            .prop_map(|(size, limit, requeue, after)| Step::Het { size, limit, requeue, after }),
        2 => (job, 0_usize..27, 1_u32..6)
            .prop_map(|(job, nodes, cpus)| Step::StartHet { job, nodes, cpus }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let user = prop_oneof![Just(ROOT), Just(ALICE), Just(BOB)];
    let job = 1_u32..12;
    let node = 0_usize..NODES.len();
    let report = prop_oneof![
        Just(Report::Launching),
        Just(Report::Running),
        (1_u32..3).prop_map(|number| Report::Delivered { number }),
        (any::<u8>(), 0_u8..3, any::<bool>()).prop_map(|(code, signal, out_of_memory)| {
            let exit = ExitStatus { code, signal };
            Report::Ended { at: Timestamp(5), exit, out_of_memory }
        }),
        any::<bool>().prop_map(|node_fault| {
            let message = "no".to_owned();
            Report::LaunchFailed { at: Timestamp(5), message, node_fault }
        }),
        Just(Report::Lost { at: Timestamp(5) }),
    ];
    let target = prop_oneof![
        Just(NodeTarget::Drain),
        Just(NodeTarget::Undrain),
        Just(NodeTarget::Down),
        Just(NodeTarget::Resume),
        Just(NodeTarget::Idle),
    ];
    let limit = proptest::option::of(1_u32..5);
    let kept = (user.clone(), any::<bool>(), limit.clone(), any::<bool>());
    let submit = (kept, proptest::option::of(after()));
    let submit = submit.prop_map(|((user, hold, limit, requeue), after)| Step::Submit {
        user,
        hold,
        limit,
        requeue,
        after,
    });
    prop_oneof![
        6 => submit,
        2 => ("[0-3]-[4-6]%[1-3]|[0-2],[4-9]:?|0-8:2", proptest::option::of(after()))
            .prop_map(|(tasks, after)| Step::Array { tasks, after }),
        9 => het_step(job.clone(), limit.clone()),
        6 => (job.clone(), 0_u32..8, node.clone())
            .prop_map(|(job, task, node)| Step::Start { job, task, node }),
        3 => (user.clone(), job.clone(), proptest::option::of("[0-7]|[0-3]-[4-7]"), task_act())
            .prop_map(|(user, job, tasks, act)| Step::Tasks { user, job, tasks, act }),
        2 => (job.clone(), after())
            .prop_map(|(job, after)| Step::Depend { user: ROOT, job, after }),
        1 => (job.clone(), "[ab]")
            .prop_map(|(job, name)| Step::Rename { user: ROOT, job, name }),
        6 => (job.clone(), node.clone(), 1_u32..9)
            .prop_map(|(job, node, cpus)| Step::Allocate { job, node, cpus }),
        6 => (node.clone(), job.clone(), 1_u32..4, report).prop_map(
            |(node, job, attempt, report)| Step::Report { node, job, attempt, report }
        ),
        2 => (user.clone(), job.clone(), proptest::option::of(1_u8..20))
            .prop_map(|(user, job, signal)| Step::Cancel { user, job, signal }),
        1 => (user.clone(), job.clone(), any::<bool>())
            .prop_map(|(user, job, admin)| Step::Hold { user, job, admin }),
        2 => (user.clone(), job.clone()).prop_map(|(user, job)| Step::Release { user, job }),
        2 => (user.clone(), job.clone(), any::<bool>())
            .prop_map(|(user, job, hold)| Step::Requeue { user, job, hold }),
        1 => (user.clone(), job, proptest::option::of(0_u32..99), limit).prop_map(
            |(user, job, priority, minutes)| Step::Update { user, job, priority, minutes }
        ),
        1 => (user, node.clone(), target)
            .prop_map(|(user, node, target)| Step::Node { user, node, target }),
        1 => (node.clone(), 1_u64..3)
            .prop_map(|(node, incarnation)| Step::Register { node, incarnation }),
        1 => node.prop_map(|node| Step::Lose { node }),
        2 => (0_u64..200).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::NewLeader),
    ]
}

/// Does it. Refusals are part of life.
fn act(cluster: &mut Cluster, step: Step) {
    let node = |at: usize| NodeName::from(NODES[at]);
    match step {
        Step::Submit { user, hold, limit, requeue, after } => {
            let mut asked = spec(user);
            asked.name = if hold { "a" } else { "b" }.to_owned();
            asked.kill_on_invalid_dep = after.as_ref().map(|_| requeue);
            asked.dependency = after.as_deref().map(dependency);
            asked.hold = hold;
            asked.time_limit = limit.map(TimeLimit::Minutes);
            asked.requeue = Some(requeue);
            let _ = cluster.submit(user, asked);
        }
        Step::Allocate { job, node, cpus } => {
            if cluster.state.jobs.contains_key(&JobId(job)) {
                let _ = cluster.allocate(JobId(job), NODES[node], cpus);
            }
        }
        Step::Array { tasks, after } => {
            let mut asked = spec(ALICE);
            asked.name = "a".to_owned();
            let array = ArraySpec::parse(tasks.trim_end_matches(':'), 1_001);
            asked.array = Some(Arc::new(array.expect("it is well formed")));
            asked.kill_on_invalid_dep = Some(tasks.len() > 5);
            asked.dependency = after.as_deref().map(dependency);
            let _ = cluster.submit(ALICE, asked);
        }
        Step::Het { .. } | Step::StartHet { .. } => act_het(cluster, step),
        Step::Start { job, task, node } => {
            if let Some(array) = cluster.state.jobs.get(&JobId(job)) {
                let held = Resources { cpus: 1, memory_mib: 0 };
                let places = vec![Place::of(NODES[node].into(), held, 1)];
                let waiting = Allocation::of(array, places);
                let allocation = Allocation { task: Some(task), ..waiting };
                let _ = cluster.send(Command::Allocate(allocation));
            }
        }
        Step::Report { node: at, job, attempt, report } => {
            let (job, attempt) = (JobId(job), Attempt(attempt));
            let command = Command::Report { node: node(at), job, attempt, report };
            cluster.send(command).expect("a report is never refused");
        }
        Step::Pass { seconds } => {
            cluster.pass(seconds);
            for command in timers(&cluster.state, cluster.now) {
                cluster.send(command).expect("a timer is never refused");
            }
        }
        Step::NewLeader => {
            cluster.term = Term(cluster.term.0 + 1);
            // Its clock may be behind.
            cluster.now = Timestamp(cluster.now.0.saturating_sub(5_000));
        }
        Step::Register { node, incarnation } => cluster.register(NODES[node], incarnation),
        Step::Lose { node: at } => {
            cluster.send(Command::Lose { node: node(at) }).expect("a known node");
        }
        by_people @ (Step::Cancel { .. }
        | Step::Hold { .. }
        | Step::Release { .. }
        | Step::Requeue { .. }
        | Step::Update { .. }
        | Step::Depend { .. }
        | Step::Tasks { .. }
        | Step::Rename { .. }
        | Step::Node { .. }) => {
            let command = command(cluster, by_people);
            let _ = cluster.send(command);
        }
    }
}

/// The same of heterogeneous jobs.
fn act_het(cluster: &mut Cluster, step: Step) {
    if let Step::Het { size, limit, requeue, after } = step {
        let component = |at: usize| JobSpec {
            time_limit: limit.map(|limit| TimeLimit::Minutes(limit + at as u32 % 2)),
            requeue: Some(requeue),
            dependency: after.as_deref().filter(|_| at == size / 2).map(dependency),
            kill_on_invalid_dep: Some(requeue),
            ..spec(ALICE)
        };
        let components = (1..size).map(component).collect();
        let _ = cluster.submit_all(ALICE, component(0), components);
    } else if let Step::StartHet { job, nodes, cpus } = step {
        let Some(job) = cluster.state.jobs.get(&JobId(job)).cloned() else { return };
        // One component may be left out, or have a node that another one has.
        let part = job.het().into_iter().flat_map(HetPart::all);
        let jobs = part.filter_map(|id| cluster.state.jobs.get(&id));
        let start = |(at, job): (u32, &Arc<Job>)| {
            let node = NODES[nodes / 3_usize.pow(at % 3) % 3];
            let held = Resources { cpus, memory_mib: 0 };
            Allocation::of(job, vec![Place::of(node.into(), held, 1)])
        };
        let mut starts = (0..).zip(jobs).map(start).filter(|start| start.job.0 >= job.id.0);
        if let Some(first) = starts.next() {
            let allocation = Allocation { others: starts.collect(), ..first };
            let _ = cluster.send(Command::Allocate(allocation));
        }
    }
}

fn command(cluster: &mut Cluster, step: Step) -> Command {
    match step {
        Step::Cancel { user, job, signal } => {
            let signal = signal.map(|signal| (signal, SignalScope::Full));
            Command::Cancel { by: cluster.by(user), job: JobId(job), signal }
        }
        Step::Hold { user, job, admin } => {
            Command::Hold { by: cluster.by(user), job: JobId(job), admin }
        }
        Step::Release { user, job } => Command::Release { by: cluster.by(user), job: JobId(job) },
        Step::Requeue { user, job, hold } => {
            Command::Requeue { by: cluster.by(user), job: JobId(job), hold }
        }
        Step::Update { user, job, priority, minutes } => {
            let time_limit = minutes.map(TimeLimit::Minutes);
            let changes = JobChanges { priority, time_limit, ..JobChanges::default() };
            let changes = Box::new(changes);
            Command::UpdateJob { by: cluster.by(user), job: JobId(job), changes }
        }
        Step::Tasks { user, job, tasks, act } => {
            let tasks = tasks.map(|text| TaskSet::parse(&text, 1_001).expect("it is well formed"));
            Command::OnTasks { by: cluster.by(user), array: JobId(job), tasks, act }
        }
        Step::Depend { user, job, after } => {
            let dependency = Some(dependency(&after));
            let changes = Box::new(JobChanges { dependency, ..JobChanges::default() });
            Command::UpdateJob { by: cluster.by(user), job: JobId(job), changes }
        }
        Step::Rename { user, job, name } => {
            let changes = Box::new(JobChanges { name: Some(name), ..JobChanges::default() });
            Command::UpdateJob { by: cluster.by(user), job: JobId(job), changes }
        }
        Step::Node { user, node, target } => {
            let changes = NodeChanges { target: Some(target), reason: Some("why".into()) };
            let node = NodeName::from(NODES[node]);
            Command::UpdateNode { by: cluster.by(user), node, changes }
        }
        Step::Submit { .. }
        | Step::Allocate { .. }
        | Step::Array { .. }
        | Step::Het { .. }
        | Step::StartHet { .. }
        | Step::Start { .. }
        | Step::Report { .. }
        | Step::Register { .. }
        | Step::Lose { .. }
        | Step::Pass { .. }
        | Step::NewLeader => unreachable!("done by the caller"),
    }
}

/// Each attempt is allocated once and ends once, and a job that was cancelled never starts.
fn check_log(cluster: &Cluster) {
    let mut open: BTreeMap<(JobId, Attempt), bool> = BTreeMap::new();
    let events = cluster.log.iter().flat_map(|entry| &entry.events);
    for event in events {
        if let Event::JobAllocated { job, attempt, .. } = event {
            let again = open.insert((*job, *attempt), true);
            assert!(again.is_none(), "{job} attempt {attempt} is allocated twice");
        }
        if let Event::JobEnded { job, attempt, .. } = event {
            let was = open.insert((*job, *attempt), false);
            assert_ne!(was, Some(false), "{job} attempt {attempt} ends twice");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_keeps_the_state_sound(steps in proptest::collection::vec(step(), 1..120)) {
        let mut cluster = Cluster::new(&NODES, 8);
        for step in steps {
            act(&mut cluster, step);
        }
        // `check` ran after every entry. Another replica gets the same.
        prop_assert_eq!(cluster.replayed(), cluster.state.clone());
        check_log(&cluster);
        cluster.ask_all_again();
        for job in cluster.state.jobs.values() {
            if let Phase::Ended { end, .. } = &job.phase {
                prop_assert!(end.at <= cluster.state.at);
            }
        }
    }

    /// From whatever state a backup or a survivor has: nothing that may have run begins again.
    #[test]
    fn a_copy_goes_on_and_runs_nothing_twice(
        steps in proptest::collection::vec(step(), 1..120),
        elsewhere in any::<bool>(),
        nothing_since in any::<bool>(),
    ) {
        let mut cluster = Cluster::new(&NODES, 8);
        for step in steps {
            act(&mut cluster, step);
        }
        let before = cluster.state.clone();
        let own = before.cluster.expect("it is formed");
        let restore = Restore {
            cluster: if elsewhere { ClusterId([0xEE; 16]) } else { own },
            index: 7,
            job_ids: 1_000,
            nothing_since,
            controller: ControllerName::from("ctl9"),
            raft_id: 99,
            address: "10.0.0.9:6817".to_owned(),
            lost: BTreeSet::new(),
        };
        let mut state = before.clone();
        state.apply(&Entry {
            at: before.at,
            term: Term(before.term.0 + 1),
            sequence: 1,
            digest: before.digest,
            request: None,
            events: restored(&before, before.at, &restore),
        });
        state.check();
        prop_assert!(state.next_job >= before.next_job + 1_000);
        prop_assert_eq!(state.controllers.len(), 1);
        for job in state.jobs.values() {
            let was = match before.jobs.get(&job.id) {
                Some(was) => was,
                // A task that has become a job meanwhile has none of the lost ids.
                None => {
                    prop_assert!(job.id.0 >= before.next_job + 1_000);
                    &before.jobs[&job.array_id().expect("it is a task")]
                }
            };
            match &job.phase {
                Phase::Pending => {
                    prop_assert!(job.attempt.0 > was.attempt.0 + 1_000);
                    prop_assert!(nothing_since || job.hold != Hold::None);
                }
                Phase::Active(run) => {
                    prop_assert!(!elsewhere);
                    let held = run.stage == Stage::Allocated || job.requeue;
                    prop_assert!(nothing_since || !held, "it could begin again");
                }
                Phase::Completing { requeue, .. } => {
                    prop_assert!(!elsewhere);
                    prop_assert!(nothing_since || requeue.is_none());
                }
                Phase::Ended { .. } => {}
            }
        }
    }

    /// What was decided before its leader lost an entry is void on every replica.
    #[test]
    fn an_entry_whose_forerunner_is_missing_is_void(
        steps in proptest::collection::vec(step(), 10..60),
        lost in 0_usize..40,
    ) {
        let mut cluster = Cluster::new(&NODES, 8);
        for step in steps {
            act(&mut cluster, step);
        }
        let lost = lost % cluster.log.len();
        let mut state = common::machine::State::default();
        for entry in &cluster.log[..lost] {
            state.apply(entry);
        }
        let term = cluster.log[lost].term;
        let orphans = cluster.log[lost + 1..].iter().take_while(|entry| entry.term == term);
        for orphan in orphans {
            prop_assert!(!state.precedes(orphan));
        }
    }
}
