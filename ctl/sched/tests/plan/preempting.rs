//! What must hold of any plan by which some make way.

use std::sync::Arc;

use common::{
    config::PreemptMode,
    job::{EndState, Job, Phase},
    machine::{Command, Preemption, Preempts, decide},
};
use proptest::prelude::*;

use crate::{
    bench::Bench,
    properties::{CONF, LIMITS, command, run, shared},
};

const PREEMPTION: &str = "\nPreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\nKillWait=5";

const EXEMPT: &str = "\nPreemptExemptTime=00:00:30\nSchedulerParameters=preempt_youngest_first";

fn tier(bench: &Bench, job: &Job) -> u16 {
    let config = bench.state.config.as_deref().expect("it was formed");
    config.partition(job.partition.as_str()).expect("it is configured").priority_tier
}

fn check(bench: &Bench) {
    let now = bench.now;
    let preempts = Preempts::of(&bench.state).expect("it is configured");
    for Preemption { start, runs } in bench.plan().preempts {
        let job = &bench.state.jobs[&start.job];
        let config = bench.state.config.as_deref().expect("it was formed");
        let partition = start.partition.as_ref().unwrap_or(&job.partition);
        let conf = config.partition(partition.as_str()).expect("it is configured");
        let own = job.in_partition(conf);
        assert!(job.is_pending(), "job {} needs no room", job.id);
        for (victim, attempt) in &runs {
            let victim = &bench.state.jobs[victim];
            assert_eq!(victim.attempt, *attempt);
            let run = victim.holding().expect("it runs");
            assert!(tier(bench, victim) < conf.priority_tier, "{} is an equal", victim.id);
            assert!(preempts.eligible(victim).is_some_and(|at| at <= now), "it is exempt");
            let shares = |node| start.places.iter().any(|own| own.node == node);
            assert!(
                run.places.iter().any(|place| shares(place.node.clone())),
                "{} makes way for nothing of {}",
                victim.id,
                own.id
            );
        }
        let command = Command::Preempt(Preemption { start: start.clone(), runs: runs.clone() });
        assert!(decide(&bench.state, now, command).is_ok(), "the machine sees it otherwise");
        // In vain.
        let nobody = Command::Preempt(Preemption { start, runs: vec![] });
        assert!(decide(&bench.state, now, nobody).is_err());
    }
    for job in bench.state.jobs.values() {
        if let Some(way) = job.makes_way() {
            let by = &bench.state.jobs[&way.by];
            assert!(by.id != job.id);
            let requeued = matches!(job.phase, Phase::Completing { requeue: Some(_), .. });
            let preempted = job.end().is_some_and(|end| end.state == EndState::Preempted);
            let may = job.requeue && preempts.mode(by, job, now) == Some(PreemptMode::Requeue);
            assert!(!preempted || requeued || !may, "job {} would be lost", job.id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nobody makes way for an equal, for nothing, or while he is exempt; what a plan says is done;
    /// and whoever is to wait again does.
    #[test]
    fn making_way_is_of_use(commands in proptest::collection::vec(command(), 1..30)) {
        for more in ["", EXEMPT, "\nSchedulerType=sched/builtin", LIMITS, "\n"] {
            let conf = match more {
                "" => shared(),
                "\n" => CONF.replace("CR_CPU", "CR_Core"),
                _ => CONF.to_owned(),
            };
            let mut bench = Bench::new(&format!("{conf}{PREEMPTION}{more}"));
            bench.run("reserve one start=120 minutes=10 users=alice nodes=n[2-4]");
            for command in &commands {
                run(&mut bench, command);
                check(&bench);
            }
        }
    }
}

/// Runs hold more CPUs than the node has from now on: what one gives back of those is not there.
#[test]
fn enough_make_way_on_a_node_that_has_shrunk() {
    let cases = [(4, 8, 1), (4, 6, 2), (4, 4, 2), (8, 4, 1), (2, 6, 3), (2, 4, 4)];
    for (held, kept, victims) in cases {
        let mut bench = Bench::new(
            "PreemptType=preempt/partition_prio\nPreemptMode=CANCEL\nNodeName=n1 CPUs=8\n\
            PartitionName=low Nodes=ALL Default=YES\nPartitionName=high Nodes=ALL PriorityTier=5\n\
            SelectTypeParameters=CR_CPU",
        );
        for _ in 0..8 / held {
            bench.run(&format!("submit -n={held} -t=100"));
        }
        bench.run("start");
        let mut config = bench.state.config.as_deref().expect("it was formed").clone();
        (config.nodes[0].cpus, config.nodes[0].cores_per_socket) = (kept, kept);
        bench.send(Command::SetConfig { config: Arc::new(config) }).expect("it can be used");
        bench.run("submit -p=high -n=4 -t=10");
        let [preemption] = &bench.plan().preempts[..] else { panic!("nobody makes way") };
        assert_eq!(preemption.runs.len(), victims, "{kept} CPUs are left");
        bench.send(Command::Preempt(preemption.clone())).expect("the plan was made of this state");
    }
}
