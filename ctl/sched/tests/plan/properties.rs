//! What must hold of any plan.

use common::{
    config::Config,
    id::{ContentHash, JobId},
    job::{Constraint, Features, Place, Reason},
    machine::Allocation,
};
use proptest::prelude::*;

use crate::bench::Bench;

pub(crate) const CONF: &str = "GresTypes=gpu\nLicenses=l:3,m:1\n\
    NodeName=DEFAULT CoresPerSocket=2 ThreadsPerCore=2\n\
    NodeName=n[1-3] CPUs=4 RealMemory=1000 Feature=x,y Gres=gpu:a:1,gpu:b:2\n\
    NodeName=n[4-5] CPUs=8 RealMemory=500 TmpDisk=100 Weight=2 Feature=y,z Gres=gpu:b:2\n\
    PartitionName=a Nodes=n[1-4] Default=YES DefMemPerCPU=50\n\
    PartitionName=b Nodes=n[3-5] PriorityTier=2 MaxNodes=2 DefMemPerCPU=10\n\
    PartitionName=c Nodes=n2 OverSubscribe=EXCLUSIVE\n\
    SelectTypeParameters=CR_CPU_Memory";

/// The same, with nodes for one user at a time, and shares of CPUs.
pub(crate) fn shared() -> String {
    let tree = "\nTopologyPlugin=topology/tree\nSwitchName=s1 Nodes=n[1-2]\n\
        SwitchName=s2 Nodes=n[3-4]\nSwitchName=s3 Nodes=n5\nSwitchName=top Switches=s[1-3]";
    let shared = CONF
        .replace("PartitionName=a", "PartitionName=a LLN=YES")
        .replace("PartitionName=b", "PartitionName=b MaxCPUsPerNode=6")
        .replace("PartitionName=c", "PartitionName=c ExclusiveUser=YES");
    format!("{shared}{tree}")
}

/// Why a job may wait though all nodes are idle.
pub(crate) const NEVER: [Reason; 5] = [
    Reason::PartitionConfig,
    Reason::PartitionNodeLimit,
    Reason::NodesNotAvail,
    Reason::ReqNodeNotAvail,
    Reason::BadConstraints,
];

/// More lines, which let accounts limit jobs.
pub(crate) const LIMITS: &str = "\nAccountingStorageEnforce=limits\nCluster - 'test'\n\
    User - 'alice':MaxJobs=3:GrpTRES=cpu=14:MaxTRESPerJob=node=3";

fn options() -> impl Strategy<Value = String> {
    let option = prop_oneof![
        (1..6_u32).prop_map(|nodes| format!("-N={nodes}")),
        (1..3_u32, 3..5_u32).prop_map(|(least, most)| format!("-N={least}-{most}")),
        (1..20_u32).prop_map(|tasks| format!("-n={tasks}")),
        (1..6_u32).prop_map(|cpus| format!("-c={cpus}")),
        (1..5_u32).prop_map(|tasks| format!("--ntasks-per-node={tasks}")),
        (0..1_100_u32).prop_map(|mib| format!("--mem={mib}")),
        (1..300_u32).prop_map(|mib| format!("--mem-per-cpu={mib}")),
        prop_oneof!["-p=a", "-p=b", "-p=c", "-p=(a,b|b,c|c,a|a,b,c)"],
        "-w=n[1-5]",
        "-x=n[1-5]",
        Just("--exclusive".to_owned()),
        "--(exclusive=user|user=bob)",
        "--(contiguous|spread-job)",
        "--switches=[12](@0:20)?",
        (1..20_u32).prop_map(|minutes| format!("-t={minutes}")),
        (1..20_u32).prop_map(|minutes| format!("-t={minutes}")),
        prop_oneof!["--gres=gpu:[1-4]", "--gres=gpu:a:1", "--gres=gpu:b:[12]"],
        prop_oneof!["--gpus=[1-6]", "--gpus=b:[1-4]", "--gpus-per-task=[12]"],
        Just("--begin=now+50".to_owned()),
        Just("--nice=3".to_owned()),
        "--(threads|ntasks)-per-core=[12]",
        "--sockets-per-node=[12]",
        Just("--tmp=100".to_owned()),
        "-L=(l:[123]|m|m,l:2)",
        "--time-min=[1-9]",
        r"--deadline=now\+[1-9]00",
        "-C=(x|y|z|x&y|x&z|x\\|z)",
        r"-C=(\[x\|z\]|x\*2|y\*3&z\*1|\[x\*1&z\*2\]|y&z\*1)",
    ];
    proptest::collection::vec(option, 0..4).prop_map(|options| options.join(" "))
}

pub(crate) fn command() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => options().prop_map(|options| format!("submit {options}")),
        2 => proptest::collection::vec(options(), 2..4)
            .prop_map(|parts| format!("submit {}", parts.join(" : "))),
        3 => Just("start".to_owned()),
        2 => (0..8_usize).prop_map(|which| format!("end-nth {which}")),
        1 => "node n[1-5] (drain|down|resume)",
        1 => Just("pass 40".to_owned()),
    ]
}

/// Whether the nodes are what the constraint asks for.
fn meets(config: &Config, constraint: &Constraint, places: &[Place]) -> bool {
    let conf = |place: &Place| config.nodes.iter().find(|node| node.name == place.node.as_str());
    let nodes: Vec<_> = places.iter().map(|place| conf(place).expect("configured")).collect();
    let with = |features: &Features| {
        nodes.iter().filter(|node| features.met(&|name| node.has_feature(name))).count()
    };
    let all = |features: &Features| with(features) == nodes.len();
    let counted = |(features, count): &(Features, u32)| with(features) >= *count as usize;
    constraint.every.iter().all(all)
        && (constraint.same.is_empty() || constraint.same.iter().any(all))
        && constraint.counts.iter().all(counted)
        && nodes.len() >= constraint.least_nodes() as usize
}

/// Whether the nodes follow each other in the configuration.
fn in_a_row(config: &Config, places: &[Place]) -> bool {
    let names: Vec<&str> = places.iter().map(|place| place.node.as_str()).collect();
    let mut all = config.nodes.windows(names.len());
    all.any(|row| row.iter().all(|node| names.contains(&node.name.as_str())))
}

/// The jobs that hold nodes now. Components end with their leaders.
fn holding(bench: &Bench) -> Vec<JobId> {
    let jobs = bench.state.jobs.iter().filter(|(_, job)| job.holding().is_some() && !job.is_led());
    jobs.map(|(id, _)| *id).collect()
}

pub(crate) fn run(bench: &mut Bench, command: &str) {
    match command.strip_prefix("end-nth ") {
        Some(which) => {
            let which: usize = which.parse().expect("it was made of a number");
            if let Some(job) = holding(bench).get(which) {
                bench.run(&format!("end {job}"));
            }
        }
        None => {
            bench.run(command);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The bench carries plans out, and the machine refuses no start of one. What was left undone
    /// could not be done.
    #[test]
    fn a_plan_can_be_carried_out_and_leaves_nothing_undone(
        commands in proptest::collection::vec(command(), 1..30),
        grain in "CR_(CPU|Core|Socket)",
    ) {
        let (shared, by_load) = (shared().replace("LLN=YES", ""), shared());
        let orders =
            [("backfill", CONF), ("builtin", CONF), ("backfill", &shared), ("backfill", &by_load)];
        for (order, conf) in orders {
            // By load, who starts moves the nodes that others are planned to have.
            let moves = conf == by_load;
            let select = format!("SelectTypeParameters={grain}_Memory");
            let conf = format!("SchedulerType=sched/{order}\n{conf}\n{select}");
            let mut bench = Bench::new(&conf);
            for command in &commands {
                let plan = bench.plan();
                for start in plan.starts.iter().flat_map(Allocation::all) {
                    let asked = bench.state.jobs[&start.job].spec.constraint();
                    let config = bench.state.config.as_ref().expect("it is configured");
                    prop_assert!(meets(config, asked, &start.places), "{} {:?}", asked.text, start);
                    let contiguous = start.asked.asks().placing.contiguous;
                    prop_assert!(!contiguous || in_a_row(config, &start.places), "{:?}", start);
                }
                run(&mut bench, command);
                if command == "start" && !moves {
                    prop_assert_eq!(bench.plan().starts, []);
                }
            }
        }
    }

    /// A job at the end of the queue changes nothing for those before it: neither who of them
    /// starts, nor on which nodes, nor when the others are to. And the same view gives the same.
    #[test]
    fn who_comes_later_delays_nobody(
        commands in proptest::collection::vec(command(), 1..30),
        sharing in any::<bool>(),
    ) {
        let conf = if sharing { shared() } else { CONF.to_owned() };
        let mut bench = Bench::new(&conf.replace("PriorityTier=2 ", ""));
        // A nice job may be passed by a later one.
        for command in commands.into_iter().filter(|command| !command.contains("--nice")) {
            let before = bench.plan();
            prop_assert_eq!(&before, &bench.plan());
            let nobody = bench.state.clone();
            run(&mut bench, &command);
            if !command.starts_with("submit") {
                continue;
            }
            let mut after = bench.plan();
            let news = |job: &JobId| !nobody.jobs.contains_key(job);
            after.starts.retain(|start| !news(&start.job));
            after.estimates.retain(|job, _| !news(job));
            prop_assert_eq!(after.starts, before.starts);
            prop_assert_eq!(after.estimates, before.estimates);
        }
    }

    /// What is saved of a view gives the same plan, and nothing of what jobs run is in it.
    #[test]
    fn the_inputs_of_a_plan_are_all_that_it_depends_on(
        commands in proptest::collection::vec(command(), 1..30),
    ) {
        for more in ["", "\nSchedulerType=sched/builtin", LIMITS] {
            let mut bench = Bench::new(&format!("{CONF}{more}"));
            for command in &commands {
                run(&mut bench, command);
            }
            let inputs = sched::inputs(&bench.state);
            let mut plan = bench.plan();
            for start in &mut plan.starts {
                start.asked = sched::bare(&start.asked).into();
                for other in &mut start.others {
                    other.asked = sched::bare(&other.asked).into();
                }
            }
            prop_assert_eq!(bench.plan_of(&inputs), plan);
            prop_assert!(inputs.blobs.is_empty() && inputs.requests.is_empty());
            for job in inputs.jobs.values() {
                prop_assert_eq!(job.spec.script, ContentHash::default());
            }
        }
    }

    /// As jobs end, all of those run that could run at all.
    #[test]
    fn no_job_waits_for_ever(commands in proptest::collection::vec(command(), 1..30)) {
        let mut bench = Bench::new(CONF);
        for command in &commands {
            run(&mut bench, command);
        }
        for _ in 0..=commands.len() {
            // Beyond the time for which a job waits that lost its node.
            bench.run("pass 200");
            bench.run("start");
            for job in holding(&bench) {
                bench.run(&format!("end {job}"));
            }
        }
        let plan = bench.plan();
        prop_assert_eq!(plan.starts, []);
        for (job, reason) in plan.waits {
            prop_assert!(NEVER.contains(&reason), "job {} waits for {}", job, reason);
        }
        prop_assert!(plan.closed.is_empty());
    }
}
