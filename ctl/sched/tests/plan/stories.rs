//! Single stories that scenarios have no words for.

use common::machine::Command;

use crate::bench::Bench;

/// A reservation that begins when a leader's run is over at the latest.
#[test]
fn a_component_is_over_with_its_leader() {
    let mut bench = Bench::new(
        "NodeName=n[1-2] CPUs=4\nPartitionName=cpu Nodes=ALL Default=YES\n\
        SelectTypeParameters=CR_CPU",
    );
    bench.run("submit -n=1 -t=10 -w=n1 : -n=1 -t=100 -w=n2");
    bench.run("start");
    assert_eq!(bench.run("reserve one start=601 minutes=60 users=bob nodes=n2"), "one: n2\n");
}

/// The job's own reservation begins before the run that makes way has left.
#[test]
fn who_makes_way_does_for_a_job_whose_reservation_begins_meanwhile() {
    let mut bench = Bench::new(
        "PreemptType=preempt/partition_prio\nPreemptMode=CANCEL\nNodeName=n1 CPUs=8\n\
        PartitionName=low Nodes=ALL Default=YES GraceTime=600\n\
        PartitionName=high Nodes=ALL PriorityTier=5\nSelectTypeParameters=CR_CPU",
    );
    bench.run("submit -n=8 -t=100");
    bench.run("start");
    print!(
        "{}",
        bench.run("reserve one start=300 minutes=60 users=alice nodes=n1 flags=ignore_jobs")
    );
    bench.run("submit -p=high -n=8 -t=10 --reservation=one");
    let plan = bench.plan();
    assert_eq!(plan.preempts.len(), 1);
    for preemption in plan.preempts {
        bench.send(Command::Preempt(preemption)).expect("the plan was made of this state");
    }
}
