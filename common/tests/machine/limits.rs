//! No sequence of commands starts a job above a limit.

use std::collections::BTreeSet;

use common::{
    account::Tres,
    id::{JobId, PartitionName, UserId},
    job::{JobChanges, JobSpec},
    machine::{Command, Event, State},
};
use proptest::prelude::*;

use crate::{
    accounts::{ENFORCE, FILE},
    cluster::{ALICE, BOB, Cluster, ROOT},
};

/// One thing that somebody does.
#[derive(Clone, Debug)]
enum Step {
    Submit { user: UserId, qos: Option<&'static str>, account: Option<&'static str>, gpu: bool },
    Allocate { job: u32, node: &'static str, cpus: u32 },
    Exit { job: u32, node: &'static str },
    Requeue { job: u32 },
    Cancel { job: u32 },
    Move { job: u32, partition: &'static str },
    Load { at: usize },
}

/// Tables that take each other's place.
const TABLES: [&str; 3] = [
    FILE,
    "QOS - 'few':GrpJobs=2:MaxTRESPerUser=cpu=5,node=1\n\
     Cluster - 'test':QOS='normal,few':GrpTRES=cpu=9\n\
     Account - 'physics':GrpTRES=node=1:MaxJobs=2\nParent - 'physics'\n\
     User - 'user1001':Partition='cpu':MaxTRESPerJob=cpu=3\nUser - 'user1001'\n\
     User - 'user1002':MaxJobs=1\n",
    "Cluster - 'test'\n",
];

fn step() -> impl Strategy<Value = Step> {
    let user = prop_oneof![Just(ALICE), Just(BOB)];
    let qos = prop_oneof![Just(None), Just(Some("few")), Just(Some("normal"))];
    let account = prop_oneof![Just(None), Just(Some("physics")), Just(Some("biology"))];
    let node = prop_oneof![Just("n1"), Just("n2")];
    let job = 1_u32..10;
    prop_oneof![
        6 => (user, qos, account, any::<bool>())
            .prop_map(|(user, qos, account, gpu)| Step::Submit { user, qos, account, gpu }),
        8 => (job.clone(), node.clone(), 1_u32..5)
            .prop_map(|(job, node, cpus)| Step::Allocate { job, node, cpus }),
        3 => (job.clone(), node).prop_map(|(job, node)| Step::Exit { job, node }),
        1 => job.clone().prop_map(|job| Step::Requeue { job }),
        1 => job.clone().prop_map(|job| Step::Cancel { job }),
        1 => (job, prop_oneof![Just("cpu"), Just("gpu")])
            .prop_map(|(job, partition)| Step::Move { job, partition }),
        1 => (0_usize..TABLES.len()).prop_map(|at| Step::Load { at }),
    ]
}

fn act(cluster: &mut Cluster, step: Step) {
    match step {
        Step::Submit { user, qos, account, gpu } => {
            let _ = cluster.asks(user, |spec| {
                spec.qos = qos.map(str::to_owned);
                spec.account = account.map(str::to_owned);
                spec.partition = PartitionName::from(if gpu { "gpu" } else { "cpu" });
            });
        }
        Step::Allocate { job, node, cpus } => {
            if cluster.state.jobs.contains_key(&JobId(job)) {
                let _ = cluster.allocate(JobId(job), node, cpus);
            }
        }
        Step::Exit { job, node } => {
            let attempt = cluster.state.jobs.get(&JobId(job)).map_or(1, |job| job.attempt.0);
            cluster.exits(node, JobId(job), attempt, 0);
        }
        Step::Requeue { job } => {
            let by = cluster.by(ROOT);
            let _ = cluster.send(Command::Requeue { by, job: JobId(job), hold: false });
        }
        Step::Cancel { job } => {
            let by = cluster.by(ROOT);
            let _ = cluster.send(Command::Cancel { by, job: JobId(job), signal: None });
        }
        Step::Move { job, partition } => {
            let by = cluster.by(ROOT);
            let partition = Some(partition.into());
            let changes = Box::new(JobChanges { partition, ..JobChanges::default() });
            let _ = cluster.send(Command::UpdateJob { by, job: JobId(job), changes });
        }
        Step::Load { at } => cluster.load(ROOT, TABLES[at]).expect("it can be loaded"),
    }
}

/// What each job that was started made of the limits of the table of that moment, counted from the
/// jobs themselves.
fn check_start(state: &State, job: JobId) {
    let all = state.accounts.as_ref().expect("they were loaded");
    let of = |keep: &dyn Fn(&JobSpec, &str) -> bool| {
        let runs = state.jobs.values().filter(|job| job.holding().is_some());
        let runs: Vec<_> = runs.filter(|job| keep(&job.spec, job.partition.as_str())).collect();
        let places = || runs.iter().flat_map(|job| &job.holding().expect("it runs").places);
        let cpus: u64 = places().map(|place| u64::from(place.held.cpus)).sum();
        let nodes: BTreeSet<_> = places().map(|place| &place.node).collect();
        (runs.len(), cpus, nodes.len())
    };
    let started = &state.jobs[&job];
    let (at, _) = all
        .association(
            &started.spec.user_name,
            started.spec.account.as_deref().expect("it is enforced"),
            started.partition.as_str(),
        )
        .expect("it is enforced");
    let in_it = |at: usize| {
        move |spec: &JobSpec, partition: &str| {
            let own = all.association(
                &spec.user_name,
                spec.account.as_deref().unwrap_or_default(),
                partition,
            );
            own.is_some_and(|(own, _)| all.upwards(own).any(|(above, _)| above == at))
        }
    };
    for (above, one) in all.upwards(at) {
        let (jobs, cpus, nodes) = of(&in_it(above));
        let within =
            |tres, amount: u64| one.limits.grp_tres.0.get(&tres).is_none_or(|most| amount <= *most);
        assert!(within(Tres::Cpu, cpus) && within(Tres::Node, nodes as u64), "{job} in {above}");
        assert!(one.limits.grp_jobs.is_none_or(|most| jobs <= most as usize));
    }
    let own = of(&in_it(at)).0;
    let most = all.upwards(at).find_map(|(_, one)| one.most.jobs);
    let name = started.spec.qos.as_deref().expect("it is enforced");
    let (_, qos) = all.qos(name).expect("it is enforced");
    if qos.per_user.jobs.is_none() {
        assert!(most.is_none_or(|most| own <= most as usize), "{job}: {own} of its own");
    }
    let of_user =
        of(&|spec, _| spec.user == started.spec.user && spec.qos.as_deref() == Some(name));
    assert!(qos.per_user.jobs.is_none_or(|most| of_user.0 <= most as usize));
    let within =
        |tres, amount: u64| qos.per_user.tres.0.get(&tres).is_none_or(|most| amount <= *most);
    assert!(within(Tres::Cpu, of_user.1) && within(Tres::Node, of_user.2 as u64));
    let of_qos = of(&|spec, _| spec.qos.as_deref() == Some(name));
    assert!(qos.limits.grp_jobs.is_none_or(|most| of_qos.0 <= most as usize));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// What is counted follows from the jobs (`check` runs after each entry), nothing starts above
    /// a limit, and every replica has the same.
    #[test]
    fn no_limit_is_ever_exceeded_by_a_start(steps in proptest::collection::vec(step(), 1..120)) {
        let mut cluster = Cluster::with_accounts(FILE, ENFORCE);
        for step in steps {
            let before = cluster.log.len();
            act(&mut cluster, step);
            let events = cluster.log[before..].iter().flat_map(|entry| &entry.events);
            let started = events.filter_map(|event| {
                if let Event::JobAllocated { job, .. } = event { Some(*job) } else { None }
            });
            for job in started.collect::<Vec<_>>() {
                check_start(&cluster.state, job);
            }
        }
        prop_assert_eq!(cluster.replayed(), cluster.state.clone());
    }
}
