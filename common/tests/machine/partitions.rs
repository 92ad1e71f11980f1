//! Who may submit what where.

use common::{
    config::{Config, EnforcePartLimits, MemoryPer, PartitionConf, PartitionState},
    id::{PartitionName, UserId},
    job::{JobSpec, MemoryRequest, ResourceLimit},
    machine::{Command, Lacking, Refusal},
};

use crate::cluster::{ALICE, Cluster, ROOT, config, spec};

/// A cluster of one node with 8 CPUs and 1000 MiB, and its partition as the change leaves it.
fn cluster(change: impl FnOnce(&mut Config)) -> Cluster {
    let mut cluster = Cluster::new(&["n1"], 8);
    let mut config = config(&["n1"], 8);
    config.nodes[0].real_memory_mib = 1_000;
    change(&mut config);
    cluster.send(Command::SetConfig { config: config.into() }).expect("it fits the cluster");
    cluster
}

fn submit(change: impl FnOnce(&mut PartitionConf), user: UserId) -> Result<(), Refusal> {
    let mut cluster = cluster(|config| change(&mut config.partitions[0]));
    cluster.submit(user, spec(user)).map(|_| ())
}

#[test]
fn a_partition_for_root_takes_no_others_jobs() {
    assert_eq!(submit(|partition| partition.root_only = true, ALICE), Err(Refusal::Denied));
    assert_eq!(submit(|partition| partition.root_only = true, ROOT), Ok(()));
}

#[test]
fn a_partition_may_take_no_jobs_of_root() {
    let no_root = |partition: &mut PartitionConf| partition.disable_root_jobs = true;
    assert_eq!(submit(no_root, ROOT), Err(Refusal::RootJobs));
    assert_eq!(submit(no_root, ALICE), Ok(()));
}

#[test]
fn an_account_that_a_partition_does_not_admit_is_refused_where_limits_are_enforced() {
    let asked = |enforced, account: Option<&str>| {
        let mut cluster = cluster(|config| {
            config.enforce_part_limits = enforced;
            config.partitions[0].allow_accounts = vec!["physics".to_owned()];
        });
        let account = account.map(str::to_owned);
        cluster.submit(ALICE, JobSpec { account, ..spec(ALICE) }).map(|_| ())
    };
    assert_eq!(asked(EnforcePartLimits::All, Some("physics")), Ok(()));
    for account in [Some("chem"), None] {
        assert_eq!(asked(EnforcePartLimits::All, account), Err(Refusal::Account));
        assert_eq!(asked(EnforcePartLimits::No, account), Ok(()), "it waits");
    }
}

/// A replica of the first format would keep another configuration than the others.
#[test]
fn what_not_all_replicas_would_read_is_left_out_until_they_do() {
    let mut cluster = cluster(|_| ());
    let mut wanted = config(&["n1"], 8);
    wanted.max_array_size = 5;
    wanted.kill_invalid_depend = true;
    let mut set = |format| {
        cluster.state.format = format;
        let config = wanted.clone().into();
        cluster.send(Command::SetConfig { config }).expect("it fits the cluster");
        let config = cluster.state.config.as_ref().expect("it is set");
        (config.max_array_size, config.kill_invalid_depend)
    };
    assert_eq!(set(1), (Config::defaults("").max_array_size, false));
    assert_eq!(set(2), (5, true));
}

#[test]
fn a_partition_that_drains_takes_no_jobs() {
    let table = [
        (PartitionState::Up, Ok(())),
        (PartitionState::Down, Ok(())),
        (PartitionState::Drain, Err(Refusal::PartitionInactive)),
        (PartitionState::Inactive, Err(Refusal::PartitionInactive)),
    ];
    for (state, answer) in table {
        assert_eq!(submit(|partition| partition.state = state, ALICE), answer);
    }
}

#[test]
fn a_job_moves_only_where_it_could_have_been_submitted() {
    let mut cluster = cluster(|config| {
        let root = PartitionConf { root_only: true, ..PartitionConf::defaults("root") };
        config.partitions.push(root);
    });
    let job = cluster.submit(ALICE, spec(ALICE)).expect("room");
    let by = cluster.by(ALICE);
    let changes = common::job::JobChanges {
        partition: Some(PartitionName::from("root")),
        ..Default::default()
    };
    let update = Command::UpdateJob { by, job, changes: Box::new(changes) };
    assert_eq!(cluster.send(update), Err(Refusal::Denied));
}

/// What the job asks for once it is in, where memory is limited.
fn asked(limit: MemoryPer, memory: MemoryRequest) -> Result<JobSpec, Refusal> {
    let mut cluster = cluster(|config| {
        config.select_memory = true;
        config.max_memory = limit;
    });
    let mut spec = spec(ALICE);
    spec.memory = memory;
    spec.layout.cpus_per_task = Some(2);
    let job = cluster.submit(ALICE, spec)?;
    Ok(cluster.state.jobs[&job].spec.as_ref().clone())
}

#[test]
fn memory_beyond_the_limit_of_a_node_is_refused() {
    let limit = MemoryPer::Node(300);
    assert!(asked(limit, MemoryRequest::PerNode(300)).is_ok());
    assert_eq!(asked(limit, MemoryRequest::PerNode(301)).err(), Some(Refusal::Memory));
    assert!(asked(limit, MemoryRequest::PerCpu(150)).is_ok());
    assert_eq!(asked(limit, MemoryRequest::PerCpu(151)).err(), Some(Refusal::Memory));
}

#[test]
fn memory_beyond_the_limit_of_a_cpu_brings_more_cpus() {
    let limit = MemoryPer::Cpu(100);
    let spec = asked(limit, MemoryRequest::PerCpu(250)).expect("six CPUs may have it");
    assert_eq!(spec.layout.cpus_per_task, Some(6));
    assert_eq!(spec.memory, MemoryRequest::PerCpu(84));
    let spec = asked(limit, MemoryRequest::PerNode(501)).expect("six CPUs may have it");
    assert_eq!(spec.layout.min_cpus_per_node, Some(6));
    assert_eq!(spec.memory, MemoryRequest::PerNode(501));
    let spec = asked(limit, MemoryRequest::PerCpu(100)).expect("it is within the limit");
    assert_eq!(spec.layout.cpus_per_task, Some(2));
    let refused = asked(limit, MemoryRequest::PerNode(900)).err();
    assert_eq!(refused, Some(Refusal::CannotEverFit(Lacking::Cpus)), "no node has nine CPUs");
}

#[test]
fn limits_of_resources_are_left_out_as_configured() {
    let mut cluster = cluster(|config| {
        let setting = ("PropagateResourceLimitsExcept".to_owned(), "MEMLOCK".to_owned());
        config.settings.extend([setting]);
    });
    let limit = |resource| ResourceLimit { resource, soft: 1, hard: 2 };
    let mut spec = spec(ALICE);
    spec.limits = vec![limit(7), limit(8)];
    let job = cluster.submit(ALICE, spec).expect("room");
    assert_eq!(cluster.state.jobs[&job].spec.limits, [limit(7)]);
}

/// Why a job can never run on the one node.
fn never(change: impl FnOnce(&mut JobSpec)) -> Option<Refusal> {
    let mut cluster = cluster(|config| config.select_memory = true);
    let mut spec = spec(ALICE);
    change(&mut spec);
    cluster.submit(ALICE, spec).err()
}

#[test]
fn a_job_that_fits_nowhere_is_told_why() {
    let lacking = |lacking| Some(Refusal::CannotEverFit(lacking));
    let cpus = |count| move |spec: &mut JobSpec| spec.layout.cpus_per_task = Some(count);
    assert_eq!(never(cpus(8)), None);
    assert_eq!(never(cpus(9)), lacking(Lacking::Cpus));
    assert_eq!(
        never(|spec| spec.memory = MemoryRequest::PerNode(1 << 40)),
        lacking(Lacking::Memory)
    );
    let together = |spec: &mut JobSpec| {
        spec.layout.cpus_per_task = Some(8);
        spec.memory = MemoryRequest::PerCpu(1 << 37);
    };
    assert_eq!(never(together), lacking(Lacking::Nodes));
    assert_eq!(never(|spec| spec.excluded_nodes = vec!["n1".into()]), lacking(Lacking::Nodes));
    assert_eq!(never(|spec| spec.layout.min_nodes = 0), Some(Refusal::NodeCount));
    let held = |spec: &mut JobSpec| {
        spec.hold = true;
        spec.layout.cpus_per_task = Some(9);
    };
    assert_eq!(never(held), None, "it may be changed before it is released");
}

#[test]
fn what_a_refusal_says_before_itself_is_slurms() {
    let detail = |refusal: Refusal| refusal.detail();
    let partition = Refusal::NoSuchPartition("nosuch".to_owned());
    assert_eq!(detail(partition).as_deref(), Some("invalid partition specified: nosuch"));
    assert_eq!(detail(Refusal::CannotEverFit(Lacking::Nodes)), None);
}

#[test]
fn no_job_gets_a_node_that_it_excludes() {
    let mut cluster = cluster(|_| {});
    let both = |spec: &mut JobSpec| {
        spec.required_nodes = vec!["n1".into()];
        spec.excluded_nodes = vec!["n1".into()];
    };
    let mut spec = spec(ALICE);
    both(&mut spec);
    assert_eq!(cluster.submit(ALICE, spec), Err(Refusal::NoSuchNode("n1".into())));
}
