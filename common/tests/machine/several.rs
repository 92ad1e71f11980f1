//! Jobs that wait in several partitions.

use common::{
    config::{Config, EnforcePartLimits, PartitionConf, PartitionState},
    id::{JobId, NodeName, PartitionName},
    job::{JobChanges, JobSpec, Place},
    machine::{Allocation, Answer, Command, Refusal},
    resources::Resources,
    time::TimeLimit,
};

use crate::cluster::{ALICE, Cluster, ROOT, config, spec};

/// `cpu` holds both nodes; `short` has the second, for two minutes unless more is asked for, and
/// five at most.
fn cluster(change: impl FnOnce(&mut Config)) -> Cluster {
    let mut cluster = Cluster::new(&["n1", "n2"], 8);
    let mut config = config(&["n1", "n2"], 8);
    config.partitions.push(PartitionConf {
        nodes: vec!["n2".to_owned()],
        default_time: Some(TimeLimit::Minutes(2)),
        max_time: TimeLimit::Minutes(5),
        ..PartitionConf::defaults("short")
    });
    change(&mut config);
    cluster.send(Command::SetConfig { config: config.into() }).expect("it fits the cluster");
    cluster
}

fn asks(partition: &str) -> JobSpec {
    JobSpec { partition: PartitionName::from(partition), ..spec(ALICE) }
}

fn start(cluster: &mut Cluster, job: JobId, partition: Option<&str>) -> Result<Answer, Refusal> {
    let held = Resources { cpus: 1, memory_mib: 0 };
    let places = vec![Place::of(NodeName::from("n2"), held, 1)];
    let partition = partition.map(PartitionName::from);
    let waiting = Allocation::of(&cluster.state.jobs[&job], places);
    cluster.send(Command::Allocate(Allocation { partition, ..waiting }))
}

fn queues(cluster: &Cluster) -> Vec<&str> {
    cluster.state.queues.keys().map(PartitionName::as_str).collect()
}

#[test]
fn a_job_stands_in_each_queue_until_it_starts_in_one() {
    let mut cluster = cluster(|_| ());
    let job = cluster.submit(ALICE, asks("short,cpu,short")).expect("both admit it");
    assert_eq!(cluster.state.jobs[&job].partition.as_str(), "short,cpu");
    assert_eq!(queues(&cluster), ["cpu", "short"]);

    assert_eq!(start(&mut cluster, job, Some("long")), Err(Refusal::Stale), "it is not its own");
    assert_eq!(start(&mut cluster, job, None), Err(Refusal::Stale), "nobody said which");
    start(&mut cluster, job, Some("cpu")).expect("there is room");
    assert!(queues(&cluster).is_empty());
    let started = &cluster.state.jobs[&job];
    assert_eq!(started.partition.as_str(), "cpu");
    assert_eq!(started.time_limit, TimeLimit::Unlimited, "the limit of where it runs");
    assert_eq!(started.run().expect("it runs").deadline, None);

    let (by, hold) = (cluster.by(ALICE), false);
    cluster.send(Command::Requeue { by, job, hold }).expect("it may run again");
    cluster.exits("n2", job, 1, 0);
    assert_eq!(queues(&cluster), ["cpu", "short"], "it waits in both again");
    cluster.pass(600);
    start(&mut cluster, job, Some("short")).expect("there is room");
    assert_eq!(cluster.state.jobs[&job].time_limit, TimeLimit::Minutes(2));
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn what_a_job_asks_for_holds_wherever_it_starts() {
    let mut cluster = cluster(|_| ());
    let asked = JobSpec { time_limit: Some(TimeLimit::Minutes(4)), ..asks("cpu,short") };
    let job = cluster.submit(ALICE, asked).expect("both admit it");
    start(&mut cluster, job, Some("short")).expect("there is room");
    assert_eq!(cluster.state.jobs[&job].time_limit, TimeLimit::Minutes(4));
}

#[test]
fn a_name_that_is_none_is_refused() {
    let submit = |name| cluster(|_| ()).submit(ALICE, asks(name)).err();
    let none = |name: &str| Some(Refusal::NoSuchPartition(name.to_owned()));
    assert_eq!(submit("cpu,x"), none("x"));
    assert_eq!(submit("cpu,"), none(""));
    assert_eq!(submit("cpu,short"), None);
}

#[test]
fn where_a_job_may_not_enter_it_does_not_wait() {
    let enters = |user, change: fn(&mut PartitionConf), enforced| {
        let mut cluster = cluster(|config| {
            config.enforce_part_limits = enforced;
            change(&mut config.partitions[1]);
        });
        let job = cluster.submit(user, JobSpec { user, ..asks("cpu,short") })?;
        Ok(cluster.state.jobs[&job].partition.to_string())
    };
    let (no, all) = (EnforcePartLimits::No, EnforcePartLimits::All);
    let roots = |partition: &mut PartitionConf| partition.root_only = true;
    assert_eq!(enters(ALICE, roots, no).as_deref(), Ok("cpu"));
    assert_eq!(enters(ALICE, roots, all), Err(Refusal::Denied));
    assert_eq!(enters(ROOT, roots, all).as_deref(), Ok("cpu,short"));
    let closed = |partition: &mut PartitionConf| partition.state = PartitionState::Inactive;
    assert_eq!(enters(ALICE, closed, no).as_deref(), Ok("cpu,short"), "it may open");
    assert_eq!(enters(ALICE, closed, all), Err(Refusal::PartitionInactive));
}

#[test]
fn one_partition_that_can_hold_a_job_is_enough_unless_all_must() {
    let submit = |name, enforced| {
        let mut cluster = cluster(|config| config.enforce_part_limits = enforced);
        let mut wide = asks(name);
        (wide.layout.min_nodes, wide.layout.tasks) = (2, 2);
        cluster.submit(ALICE, wide).err()
    };
    use EnforcePartLimits::{All, Any};
    assert_eq!(submit("short,cpu", Any), None);
    assert_eq!(submit("short,cpu", All), Some(Refusal::NodeCount));
    assert_eq!(submit("short", Any), Some(Refusal::NodeCount));
}

#[test]
fn an_update_moves_a_job_to_several() {
    let mut cluster = cluster(|_| ());
    let job = cluster.submit(ALICE, asks("cpu")).expect("it admits it");
    let mut moved = |names: &str| {
        let partition = Some(PartitionName::from(names));
        let changes = Box::new(JobChanges { partition, ..JobChanges::default() });
        let by = cluster.by(ALICE);
        cluster.send(Command::UpdateJob { by, job, changes })?;
        Ok(queues(&cluster).join(" "))
    };
    assert_eq!(moved("short,cpu").as_deref(), Ok("cpu short"));
    assert_eq!(moved("short").as_deref(), Ok("short"));
    assert_eq!(moved("cpu,x"), Err(Refusal::NoSuchPartition("x".to_owned())));
}
