//! What jobs ask of the features of nodes.

use std::sync::Arc;

use common::{
    config::Config,
    id::JobId,
    job::{Constraint, JobChanges, JobSpec, Layout, MemoryRequest, Place},
    machine::{Allocation, Command, Lacking, Refusal},
    resources::Resources,
    time::TimeLimit,
};

use crate::cluster::{ALICE, Cluster, config, spec};

/// `n1` is fast and in rack 1, `n2` in rack 1, `n3` in rack 2.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new(&["n1", "n2", "n3"], 4);
    let config = featured(&["fast,rack1", "rack1", "rack2"]);
    cluster.send(Command::SetConfig { config: Arc::new(config) }).expect("only features change");
    cluster
}

fn featured(features: &[&str; 3]) -> Config {
    let mut config = config(&["n1", "n2", "n3"], 4);
    for (node, features) in config.nodes.iter_mut().zip(features) {
        node.features = features.split(',').map(str::to_owned).collect();
    }
    config
}

fn asks(text: &str) -> JobSpec {
    let constraint = Constraint::parse(text).expect("it is well formed");
    JobSpec { constraint: Some(Arc::new(constraint)), ..spec(ALICE) }
}

#[test]
fn what_no_node_has_is_refused_and_so_is_what_no_nodes_have_together() {
    let mut cluster = cluster();
    let mut refused = |spec: JobSpec| cluster.submit(ALICE, spec).err().map(|e| e.to_string());
    let unknown = Some("Invalid feature specification".to_owned());
    let nowhere = Some("Requested node configuration is not available".to_owned());
    assert_eq!(Refusal::Features.errno(), Some(2029));
    for text in ["slow", "fast|slow", "[rack1|rack3]", "slow*1"] {
        assert_eq!(refused(asks(text)), unknown, "{text}");
        assert_eq!(refused(JobSpec { hold: true, ..asks(text) }), unknown, "{text}, held");
    }
    for text in ["fast&rack2", "fast*2", "[fast*1&rack1*2]"] {
        assert_eq!(refused(asks(text)), nowhere, "{text}");
    }
    for text in ["fast", "fast|rack2", "[rack1|rack2]", "rack1*2", "[fast*1&rack1*1]"] {
        assert_eq!(refused(asks(text)), None, "{text}");
    }
    let of = |nodes: u32, tasks: u32, text| {
        let layout = Layout { min_nodes: nodes, tasks, nodes_given: true, ..Layout::SINGLE };
        JobSpec { layout, ..asks(text) }
    };
    assert_eq!(refused(of(2, 2, "rack2")), nowhere);
    assert_eq!(refused(of(1, 1, "rack1*2")), nowhere);
    assert_eq!(refused(of(2, 8, "rack1*2")), None);
    assert_eq!(refused(of(2, 9, "rack1*2")), nowhere);
    let at_n3 = JobSpec { required_nodes: vec!["n3".into()], ..asks("rack1") };
    assert_eq!(refused(at_n3), nowhere);
}

#[test]
fn a_job_without_a_number_of_nodes_gets_as_many_as_are_counted() {
    let mut cluster = cluster();
    let layout = |cluster: &Cluster, job: JobId| {
        let layout = cluster.state.jobs[&job].spec.layout;
        (layout.min_nodes, layout.tasks)
    };
    let job = cluster.submit(ALICE, asks("rack1*2")).expect("two are there");
    assert_eq!(layout(&cluster, job), (2, 2));
    let tasks = Layout { tasks: 1, tasks_given: true, ..Layout::SINGLE };
    let job = cluster.submit(ALICE, JobSpec { layout: tasks, ..asks("rack1*2&rack2*1") });
    assert_eq!(layout(&cluster, job.expect("they are there")), (2, 1));
}

#[test]
fn another_constraint_may_be_asked_for_until_the_job_runs() {
    let mut cluster = cluster();
    let job = cluster.submit(ALICE, asks("rack2")).expect("there is one");
    let update = |cluster: &mut Cluster, constraint: Constraint| {
        let constraint = Some(Arc::new(constraint));
        let changes = Box::new(JobChanges { constraint, ..JobChanges::default() });
        let by = cluster.by(ALICE);
        cluster.send(Command::UpdateJob { by, job, changes }).map(|_| ())
    };
    let read = |text| Constraint::parse(text).expect("it is well formed");
    assert_eq!(update(&mut cluster, read("slow")), Err(Refusal::Features));
    // A plan that was made for what was asked before.
    assert_eq!(cluster.allocate(job, "n1", 1), Err(Refusal::Stale));
    assert_eq!(update(&mut cluster, read("fast")), Ok(()));
    assert_eq!(cluster.state.jobs[&job].spec.constraint().text, "fast");
    assert_eq!(update(&mut cluster, Constraint::NONE), Ok(()));
    assert_eq!(cluster.state.jobs[&job].spec.constraint, None);
    cluster.allocate(job, "n1", 1).expect("there is room");
    assert_eq!(update(&mut cluster, read("fast")), Err(Refusal::NotPending(job)));
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn a_plan_for_other_nodes_than_those_that_are_named_now_is_void() {
    let mut cluster = cluster();
    let job = cluster.submit(ALICE, spec(ALICE)).expect("it is plain");
    let update = |cluster: &mut Cluster, required: &[&str], excluded: &[&str]| {
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).into()).collect());
        let (required_nodes, excluded_nodes) = (names(required), names(excluded));
        let changes = JobChanges { required_nodes, excluded_nodes, ..JobChanges::default() };
        let by = cluster.by(ALICE);
        let changes = Box::new(changes);
        cluster.send(Command::UpdateJob { by, job, changes }).expect("they are there");
    };
    update(&mut cluster, &["n2"], &[]);
    assert_eq!(cluster.allocate(job, "n1", 1), Err(Refusal::Stale));
    update(&mut cluster, &[], &["n1"]);
    assert_eq!(cluster.allocate(job, "n1", 1), Err(Refusal::Stale));
    assert_eq!(cluster.allocate(job, "n3", 1), Ok(()));
}

#[test]
fn a_plan_for_what_was_asked_before_is_void() {
    let mut cluster = cluster();
    let changed = [
        JobChanges { memory: Some(MemoryRequest::PerNode(7)), ..JobChanges::default() },
        JobChanges { tasks: Some(2), ..JobChanges::default() },
        JobChanges { time_limit: Some(TimeLimit::Minutes(9)), ..JobChanges::default() },
    ];
    for changes in changed {
        let job = cluster.submit(ALICE, spec(ALICE)).expect("it is plain");
        let place = Place::of("n1".into(), Resources { cpus: 1, memory_mib: 0 }, 1);
        let planned = Allocation::of(&cluster.state.jobs[&job], vec![place.clone()]);
        let (by, changes) = (cluster.by(ALICE), Box::new(changes));
        cluster.send(Command::UpdateJob { by, job, changes }).expect("it waits");
        assert_eq!(cluster.send(Command::Allocate(planned)), Err(Refusal::Stale));
        let anew = Allocation::of(&cluster.state.jobs[&job], vec![place]);
        cluster.send(Command::Allocate(anew)).expect("it is what is asked for now");
    }
}

#[test]
fn an_old_log_has_no_constraints() {
    let mut cluster = cluster();
    cluster.state.format = 1;
    assert_eq!(cluster.submit(ALICE, asks("fast")), Err(Refusal::Format("constraints")));
    let disk = JobSpec { tmp_disk_mib: 1, ..spec(ALICE) };
    assert_eq!(cluster.submit(ALICE, disk), Err(Refusal::Format("requests for temporary disk")));
}

#[test]
fn nodes_are_chosen_by_their_temporary_disks() {
    let mut cluster = cluster();
    let mut config = featured(&["fast,rack1", "rack1", "rack2"]);
    config.nodes[1].tmp_disk_mib = 1_000;
    cluster.send(Command::SetConfig { config: Arc::new(config) }).expect("a disk more");
    let of = |tmp_disk_mib, asked: JobSpec| JobSpec { tmp_disk_mib, ..asked };
    let refused = |lacking| Err(Refusal::CannotEverFit(lacking));
    assert_eq!(cluster.submit(ALICE, of(1_001, spec(ALICE))), refused(Lacking::TmpDisk));
    assert_eq!(cluster.submit(ALICE, of(1_000, asks("fast"))), refused(Lacking::Nodes));
    assert!(cluster.submit(ALICE, of(1_000, asks("rack1"))).is_ok());
    let text = "Temporary disk specification can not be satisfied";
    assert_eq!(Refusal::CannotEverFit(Lacking::TmpDisk).detail().as_deref(), Some(text));
}
