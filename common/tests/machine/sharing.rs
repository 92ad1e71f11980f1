//! Who may be beside whom on a node, and how many of its CPUs a partition's jobs have.

use std::sync::Arc;

use common::{
    config::{Config, PartitionConf, SwitchConf},
    id::{JobId, NodeName, PartitionName, UserId},
    job::{Asks, JobSpec, Layout, Place, Placing, Switches},
    machine::{Allocation, Answer, Command, Lacking, Refusal},
    resources::Resources,
};

use crate::cluster::{ALICE, BOB, Cluster, config, spec};

/// `cpu` and `more` hold both nodes, of eight CPUs each.
fn cluster(change: impl FnOnce(&mut PartitionConf)) -> Cluster {
    let nodes = ["n1", "n2"];
    let mut cluster = Cluster::new(&nodes, 8);
    let mut config: Config = config(&nodes, 8);
    let mut more = PartitionConf { name: "more".to_owned(), ..config.partitions[0].clone() };
    (more.default, config.grain) = (false, common::cpus::Grain::Cpu);
    change(&mut more);
    config.partitions.push(more);
    cluster.send(Command::SetConfig { config: config.into() }).expect("it fits the cluster");
    cluster
}

fn asks(user: UserId, partition: &str) -> JobSpec {
    JobSpec { partition: PartitionName::from(partition), ..spec(user) }
}

fn alone(user: UserId) -> JobSpec {
    let asks = Asks { placing: Placing { user_alone: true, ..Placing::NONE }, ..Asks::NONE };
    JobSpec { asks: Some(Arc::new(asks)), ..spec(user) }
}

fn submit(cluster: &mut Cluster, spec: JobSpec) -> JobId {
    cluster.submit(spec.user, spec).expect("it could run")
}

fn start(cluster: &mut Cluster, job: JobId, node: &str, cpus: u32) -> Result<Answer, Refusal> {
    let held = Resources { cpus, memory_mib: 0 };
    let places = vec![Place::of(NodeName::from(node), held, 1)];
    cluster.send(Command::Allocate(Allocation::of(&cluster.state.jobs[&job], places)))
}

#[test]
fn nobody_starts_beside_one_who_is_to_be_alone_nor_he_beside_them() {
    let mut cluster = cluster(|_| ());
    let first = submit(&mut cluster, spec(ALICE));
    start(&mut cluster, first, "n1", 1).expect("there is room");
    let bobs = submit(&mut cluster, alone(BOB));
    assert_eq!(cluster.state.separate, 1);
    assert_eq!(start(&mut cluster, bobs, "n1", 1), Err(Refusal::Stale), "she is there");
    start(&mut cluster, bobs, "n2", 1).expect("nobody is there");
    let next = submit(&mut cluster, spec(ALICE));
    assert_eq!(start(&mut cluster, next, "n2", 1), Err(Refusal::Stale), "he is alone");
    let his = submit(&mut cluster, spec(BOB));
    start(&mut cluster, his, "n2", 1).expect("his own may be beside");
    // As long as it holds the node, and no longer.
    cluster.exits("n2", bobs, 1, 0);
    assert_eq!(cluster.state.separate, 0);
    start(&mut cluster, next, "n2", 1).expect("the other one lets her");
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn a_partition_keeps_users_apart_from_whichever_others() {
    let mut cluster = cluster(|more| more.exclusive_user = true);
    let hers = submit(&mut cluster, asks(ALICE, "more"));
    start(&mut cluster, hers, "n1", 1).expect("there is room");
    let his = submit(&mut cluster, asks(BOB, "cpu"));
    assert_eq!(start(&mut cluster, his, "n1", 1), Err(Refusal::Stale));
    start(&mut cluster, his, "n2", 1).expect("there is room");
    let next = submit(&mut cluster, asks(ALICE, "more"));
    assert_eq!(start(&mut cluster, next, "n2", 1), Err(Refusal::Stale));
    start(&mut cluster, next, "n1", 1).expect("her own");
}

#[test]
fn a_partition_s_jobs_have_no_more_cpus_of_a_node_than_they_may() {
    let mut cluster = cluster(|more| more.max_cpus_per_node = Some(3));
    let first = submit(&mut cluster, asks(ALICE, "more"));
    start(&mut cluster, first, "n1", 2).expect("there is room");
    let second = submit(&mut cluster, asks(BOB, "more"));
    assert_eq!(start(&mut cluster, second, "n1", 2), Err(Refusal::Stale), "four of three");
    start(&mut cluster, second, "n1", 1).expect("all three");
    let other = submit(&mut cluster, asks(BOB, "cpu"));
    start(&mut cluster, other, "n1", 5).expect("the others are for everybody");
}

#[test]
fn what_a_partition_could_never_give_is_refused() {
    let mut cluster = cluster(|more| more.max_cpus_per_node = Some(3));
    let mut refused = |change: fn(&mut JobSpec)| {
        let mut spec = asks(ALICE, "more");
        change(&mut spec);
        cluster.submit(ALICE, spec).err()
    };
    let cpus = Some(Refusal::CannotEverFit(Lacking::Cpus));
    assert_eq!(refused(|spec| spec.layout.cpus_per_task = Some(3)), None);
    assert_eq!(refused(|spec| spec.layout.cpus_per_task = Some(4)), cpus);
    let whole = refused(|spec| spec.exclusive = true);
    assert_eq!(whole, Some(Refusal::CannotEverFit(Lacking::Nodes)));
    // More than all of its nodes give together: it may wait, as in Slurm.
    assert_eq!(refused(|spec| spec.layout.tasks = 7), None);
}

#[test]
fn an_older_log_can_t_say_it() {
    let mut cluster = cluster(|_| ());
    cluster.state.format = 1;
    let refused = cluster.submit(ALICE, alone(ALICE));
    let said = "--exclusive=user, --contiguous, --spread-job, --switches and --use-min-nodes";
    assert_eq!(refused, Err(Refusal::Format(said)));
}

#[test]
fn a_job_waits_for_few_switches_as_long_as_it_says() {
    let switch = |name: &str, node: &str| SwitchConf {
        name: name.to_owned(),
        switches: vec![],
        nodes: vec![node.to_owned()],
    };
    let mut cluster = cluster(|_| ());
    let mut config = Config::clone(cluster.state.config.as_ref().expect("it is configured"));
    config.switches = vec![switch("s1", "n1"), switch("s2", "n2")];
    cluster.send(Command::SetConfig { config: config.into() }).expect("it fits the cluster");
    let few = |most, wait_s| {
        let switches = Some(Switches { most, wait_s });
        let asks = Asks { placing: Placing { switches, ..Placing::NONE }, ..Asks::NONE };
        let layout = Layout { min_nodes: 2, tasks: 2, ..Layout::SINGLE };
        JobSpec { asks: Some(Arc::new(asks)), layout, ..spec(ALICE) }
    };
    let both = |cluster: &mut Cluster, job: JobId| {
        let held = Resources { cpus: 1, memory_mib: 0 };
        let places = ["n1", "n2"].map(|node| Place::of(NodeName::from(node), held, 1));
        cluster.send(Command::Allocate(Allocation::of(&cluster.state.jobs[&job], places.into())))
    };
    let short = submit(&mut cluster, few(1, Some(60)));
    let long = submit(&mut cluster, few(1, None));
    let two = submit(&mut cluster, few(2, None));
    assert_eq!(both(&mut cluster, short), Err(Refusal::Stale));
    both(&mut cluster, two).expect("they are beside two");
    cluster.pass(60);
    both(&mut cluster, short).expect("it has waited");
    assert_eq!(both(&mut cluster, long), Err(Refusal::Stale));
    cluster.pass(240);
    both(&mut cluster, long).expect("five minutes are the most");
    assert_eq!(cluster.replayed(), cluster.state);
}
