//! All at once: options, arrays, components, preemption, reservations, limits and changes of the
//! configuration beside each other. In the end everything has run or says why it never can, and
//! nothing is left over.

use std::sync::Arc;

use common::{
    config::PreemptMode,
    id::JobId,
    job::{Hold, Job, JobChanges, Reason},
    machine::{Command, timers},
    time::TimeLimit,
};
use proptest::prelude::*;

use crate::{
    bench::{Bench, OPERATOR},
    properties::NEVER,
};

const BASE: &str = "GresTypes=gpu\nLicenses=l:3,m:1\nKillWait=5\n\
    NodeName=DEFAULT CoresPerSocket=2 ThreadsPerCore=2\n\
    NodeName=n[1-3] CPUs=4 RealMemory=1000 Feature=x,y Gres=gpu:a:1,gpu:b:2\n\
    NodeName=n[4-5] CPUs=8 RealMemory=500 Weight=2 Feature=y,z Gres=gpu:b:2\n\
    PartitionName=a Nodes=n[1-4] Default=YES DefMemPerCPU=50 QOS=room\n\
    PartitionName=b Nodes=n[3-5] PriorityTier=2 MaxNodes=2 DefMemPerCPU=10\n\
    PartitionName=c Nodes=n[1-5] PriorityTier=3 DefMemPerCPU=10\n\
    AccountingStorageEnforce=associations,limits,qos\n";

const TABLE: &str = "\nQOS - 'normal':GraceTime=20\nQOS - 'room':GrpJobs=4\n\
    QOS - 'few':MaxJobsPerUser=2:PreemptMode='REQUEUE'\n\
    QOS - 'urgent':Preempt='normal,few':Flags=OverPartQOS:GrpJobs=5\n\
    Cluster - 'test':QOS='normal,room,few,urgent'\nUser - 'alice':MaxJobs=5\nUser - 'bob'";

const TREE: &str = "\nTopologyPlugin=topology/tree\nSwitchName=s1 Nodes=n[1-2]\n\
        SwitchName=s2 Nodes=n[3-4]\nSwitchName=s3 Nodes=n5\nSwitchName=top Switches=s[1-3]";

fn confs() -> Vec<String> {
    let prio = "PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE";
    let qos = "PreemptType=preempt/qos\nPreemptMode=CANCEL";
    vec![
        format!("{qos}\n{BASE}SelectTypeParameters=CR_CPU_Memory{TABLE}"),
        format!("{prio}\n{BASE}SelectTypeParameters=CR_Core_Memory{TREE}{TABLE}")
            .replace("PartitionName=a", "PartitionName=a GraceTime=30"),
        format!("{qos}\n{BASE}SelectTypeParameters=CR_Core_Memory{TREE}{TABLE}")
            .replace("PartitionName=b", "PartitionName=b MaxCPUsPerNode=6 ExclusiveUser=YES"),
        format!("{prio}\nSchedulerType=sched/builtin\n{BASE}SelectTypeParameters=CR_CPU{TABLE}")
            .replace("PartitionName=b", "PartitionName=b ExclusiveUser=YES"),
    ]
}

fn options() -> impl Strategy<Value = String> {
    let option = prop_oneof![
        (1..4_u32).prop_map(|nodes| format!("-N={nodes}")),
        (1..12_u32).prop_map(|tasks| format!("-n={tasks}")),
        (1..4_u32).prop_map(|cpus| format!("-c={cpus}")),
        (0..600_u32).prop_map(|mib| format!("--mem={mib}")),
        prop_oneof!["-p=a", "-p=b", "-p=c", "-p=c"],
        prop_oneof!["-q=normal", "-q=few", "-q=urgent", "-q=urgent"],
        "-w=n[1-5]",
        Just("--exclusive".to_owned()),
        "--exclusive=user",
        "--(contiguous|spread-job)",
        (1..20_u32).prop_map(|minutes| format!("-t={minutes}")),
        (1..20_u32).prop_map(|minutes| format!("-t={minutes}")),
        prop_oneof!["--gres=gpu:[1-3]", "--gres=gpu:b:[12]"],
        "-L=(l:[123]|m|m,l:2)",
        "-d=after(any|ok|notok):[1-6]",
        Just("--no-requeue".to_owned()),
        Just("--reservation=one".to_owned()),
        "-C=(x|y|z|x\\|z)",
    ];
    proptest::collection::vec(option, 0..5).prop_map(|options| options.join(" "))
}

fn one() -> impl Strategy<Value = String> {
    let more = prop_oneof![
        4 => Just(String::new()),
        2 => Just(" -a=0-3".to_owned()),
        1 => Just(" -a=0-3%2".to_owned()),
        1 => Just(" --switches=1@0:20".to_owned()),
        1 => Just(" -p=a,c".to_owned()),
        1 => Just(" -p=a,b,c".to_owned()),
        1 => Just(" --time-min=1".to_owned()),
    ];
    (options(), more, "alice|bob")
        .prop_map(|(options, more, user)| format!("submit --user={user} {options}{more}"))
}

fn command() -> impl Strategy<Value = String> {
    let act = "end|end|cancel|hold|release|requeue|short|low|place";
    prop_oneof![
        6 => one(),
        3 => (proptest::collection::vec(options(), 2..4), "alice|bob").prop_map(|(parts, user)| {
            let parts: Vec<_> =
                parts.into_iter().map(|part| format!("--user={user} {part}")).collect();
            format!("submit {}", parts.join(" : "))
        }),
        4 => Just("start".to_owned()),
        4 => (act, 0..12_usize).prop_map(|(act, which)| format!("nth {act} {which}")),
        1 => "node n[1-5] (drain|down|resume)",
        2 => (1..200_u32).prop_map(|seconds| format!("pass {seconds}")),
        2 => Just("tick".to_owned()),
        2 => (0..7_usize).prop_map(|which| format!("conf {which}")),
        1 => (1..900_u32, 1..5_u32).prop_map(|(start, nodes)| {
            format!("reserve one start={start} minutes=5 users=alice,bob nodes=n[1-{nodes}]")
        }),
    ]
}

fn tick(bench: &mut Bench) {
    for command in timers(&bench.state, bench.now) {
        bench.send(command).expect("timers are never refused");
    }
}

fn live(bench: &Bench) -> Vec<JobId> {
    let all = bench.state.jobs.values();
    all.filter(|job| job.is_pending() || job.holding().is_some()).map(|job| job.id).collect()
}

fn run(bench: &mut Bench, command: &str) {
    if command == "tick" {
        return tick(bench);
    }
    if let Some(which) = command.strip_prefix("conf ") {
        let mut config = bench.state.config.as_deref().expect("it is configured").clone();
        match which {
            "0" => config.partitions[0].qos = None,
            "1" => config.partitions[0].qos = Some("few".into()),
            "2" => config.partitions[2].qos = Some("room".into()),
            "3" => config.partitions[1].exclusive_user ^= true,
            "4" => config.partitions[1].max_cpus_per_node = Some(4),
            "5" => config.partitions[2].priority_tier = 4 - config.partitions[2].priority_tier,
            _ => config.preemption.mode = PreemptMode::Off,
        }
        let _ = bench.send(Command::SetConfig { config: Arc::new(config) });
        return;
    }
    let Some(rest) = command.strip_prefix("nth ") else {
        bench.run(command);
        return;
    };
    let (act, which) = rest.split_once(' ').expect("two words");
    let which: usize = which.parse().expect("a number");
    let Some(job) = live(bench).get(which).copied() else { return };
    let by = bench.by(OPERATOR);
    let minute = JobChanges { time_limit: Some(TimeLimit::Minutes(1)), ..JobChanges::default() };
    let low = JobChanges { qos: Some("few".into()), ..JobChanges::default() };
    let place = JobChanges { partition: Some("c".into()), ..JobChanges::default() };
    let command = match act {
        "end" => {
            let known = &bench.state.jobs[&job];
            if known.holding().is_some() && !known.is_led() {
                bench.run(&format!("end {job}"));
            }
            return;
        }
        "cancel" => Command::Cancel { by, job, signal: None },
        "hold" => Command::Hold { by, job, admin: false },
        "release" => Command::Release { by, job },
        "requeue" => Command::Requeue { by, job, hold: which % 2 == 1 },
        "short" => Command::UpdateJob { by, job, changes: Box::new(minute) },
        "low" => Command::UpdateJob { by, job, changes: Box::new(low) },
        _ => Command::UpdateJob { by, job, changes: Box::new(place) },
    };
    let _ = bench.send(command);
}

/// Lets everything go on, turn after turn: time passes, what can start does, and what runs ends.
fn come_to_an_end(bench: &mut Bench, turns: usize) {
    for node in 1..=5 {
        bench.run(&format!("node n{node} resume"));
    }
    for job in live(bench) {
        let by = bench.by(OPERATOR);
        let _ = bench.send(Command::Release { by, job });
    }
    for _ in 0..turns {
        bench.run("pass 400");
        tick(bench);
        bench.run("start");
        let runs = |job: &&Arc<Job>| job.holding().is_some() && !job.is_led();
        let running: Vec<JobId> =
            bench.state.jobs.values().filter(runs).map(|job| job.id).collect();
        for job in running {
            bench.run(&format!("end {job}"));
        }
    }
}

/// Whether a job may wait for that though nothing runs.
fn may_never_run(bench: &Bench, job: &Job, reason: Reason) -> bool {
    let kept_out = [Reason::Dependency, Reason::JobHeldUser, Reason::JobHeldAdmin];
    // Of components, there may be more than run at a time, or one that does not come.
    let component = |part| {
        let waits = |job: &Job| job.hold != Hold::None || !job.is_independent();
        bench.state.components(part).any(|job| waits(job)) || reason.as_str().contains("Jobs")
    };
    NEVER.contains(&reason) || kept_out.contains(&reason) || job.het().is_some_and(component)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever is decided, all that can run does, and gives back what it had.
    #[test]
    fn all_comes_to_an_end(commands in proptest::collection::vec(command(), 1..60)) {
        for conf in confs() {
            let mut bench = Bench::new(&conf);
            for command in &commands {
                run(&mut bench, command);
            }
            come_to_an_end(&mut bench, 2 * commands.len() + 10);
            let plan = bench.plan();
            prop_assert_eq!(&plan.starts, &[]);
            for (job, reason) in &plan.waits {
                let job = &bench.state.jobs[job];
                let never = may_never_run(&bench, job, *reason);
                prop_assert!(never, "job {} waits for {}: {:?}", job.id, reason, job.spec);
            }
            prop_assert!(bench.state.licenses.is_empty(), "licenses leak");
            for node in bench.state.nodes.values() {
                prop_assert_eq!(node.used.cpus, 0);
            }
        }
    }
}
