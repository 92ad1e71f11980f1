//! Licenses, of which there are so many for all nodes together.

use std::sync::Arc;

use common::{
    config::{Config, LicenseConf},
    id::{JobId, UserId},
    job::{AskChanges, Asks, JobChanges, JobSpec, Licenses},
    machine::{Command, Refusal},
};

use crate::cluster::{ALICE, Cluster, ROOT, config, spec};

fn cluster() -> Cluster {
    let mut cluster = Cluster::new(&["n1", "n2"], 8);
    cluster.send(Command::SetConfig { config: Arc::new(with(4)) }).expect("only licenses change");
    cluster
}

fn with(total: u32) -> Config {
    let mut config = config(&["n1", "n2"], 8);
    config.licenses = vec![LicenseConf { name: "matlab".to_owned(), total }];
    config
}

fn licenses(text: &str) -> Licenses {
    Licenses::parse(text).expect("they are well formed")
}

fn asks(text: &str) -> JobSpec {
    JobSpec { asks: Some(Arc::new(Asks { licenses: licenses(text), ..Asks::NONE })), ..spec(ALICE) }
}

fn update(cluster: &mut Cluster, user: UserId, job: JobId, text: &str) -> Result<(), Refusal> {
    let asks = AskChanges { licenses: Some(licenses(text)), ..AskChanges::default() };
    let changes = Box::new(JobChanges { asks, ..JobChanges::default() });
    let by = cluster.by(user);
    cluster.send(Command::UpdateJob { by, job, changes }).map(drop)
}

fn used(cluster: &Cluster) -> u32 {
    cluster.state.used_licenses("matlab")
}

#[test]
fn what_there_is_not_is_refused() {
    let mut cluster = cluster();
    assert_eq!(Refusal::License.errno(), Some(2048));
    assert_eq!(Refusal::License.to_string(), "Invalid license specification");
    for text in ["matlab:5", "ansys", "matlab:4,matlab"] {
        assert_eq!(cluster.submit(ALICE, asks(text)), Err(Refusal::License), "{text}");
        let held = JobSpec { hold: true, ..asks(text) };
        assert_eq!(cluster.submit(ALICE, held), Err(Refusal::License), "{text}, held");
    }
    let job = cluster.submit(ALICE, asks("matlab:4")).expect("there are as many");
    assert_eq!(update(&mut cluster, ALICE, job, "matlab:5"), Err(Refusal::License));
    cluster.state.format = 1;
    assert_eq!(cluster.submit(ALICE, asks("matlab")), Err(Refusal::Format("licenses")));
}

/// The scheduler's plan may be older than another job's start.
#[test]
fn a_license_is_given_to_one_job_at_a_time() {
    let mut cluster = cluster();
    let first = cluster.submit(ALICE, asks("matlab:3")).expect("there are as many");
    let second = cluster.submit(ALICE, asks("matlab:2")).expect("there are as many");
    assert_eq!(cluster.allocate(first, "n1", 1), Ok(()));
    assert_eq!(used(&cluster), 3);
    assert_eq!(cluster.allocate(second, "n2", 1), Err(Refusal::Stale));
    cluster.exits("n1", first, 1, 0);
    assert_eq!(used(&cluster), 0);
    assert_eq!(cluster.allocate(second, "n2", 1), Ok(()));
    assert_eq!(used(&cluster), 2);
}

#[test]
fn a_job_that_runs_gets_more_only_where_they_are_free_and_from_an_operator() {
    let mut cluster = cluster();
    let first = cluster.submit(ALICE, asks("matlab:1")).expect("there are as many");
    let second = cluster.submit(ALICE, asks("matlab:2")).expect("there are as many");
    for (job, node) in [(first, "n1"), (second, "n2")] {
        assert_eq!(cluster.allocate(job, node, 1), Ok(()));
    }
    assert_eq!(update(&mut cluster, ALICE, first, "matlab:2"), Err(Refusal::Denied));
    assert_eq!(update(&mut cluster, ROOT, first, "matlab:3"), Err(Refusal::License));
    assert_eq!(update(&mut cluster, ROOT, first, "matlab:2"), Ok(()));
    assert_eq!(used(&cluster), 4);
    assert_eq!(update(&mut cluster, ALICE, second, ""), Ok(()));
    assert_eq!(used(&cluster), 2);
    cluster.exits("n2", second, 1, 0);
    cluster.exits("n1", first, 1, 0);
    assert_eq!(used(&cluster), 0);
}

/// Of what is in use already nothing is taken back; nothing is given either, until it is free.
#[test]
fn there_may_come_to_be_fewer_than_are_in_use() {
    let mut cluster = cluster();
    let first = cluster.submit(ALICE, asks("matlab:3")).expect("there are as many");
    let second = cluster.submit(ALICE, asks("matlab:1")).expect("there are as many");
    assert_eq!(cluster.allocate(first, "n1", 1), Ok(()));
    cluster.send(Command::SetConfig { config: Arc::new(with(1)) }).expect("there are fewer");
    assert_eq!((used(&cluster), cluster.state.free_licenses("matlab")), (3, 0));
    assert_eq!(cluster.allocate(second, "n2", 1), Err(Refusal::Stale));
    cluster.exits("n1", first, 1, 0);
    assert_eq!(cluster.allocate(second, "n2", 1), Ok(()));
}

/// What is free for one of the tasks is not given to each.
#[test]
fn tasks_that_run_do_not_take_the_same_licenses() {
    let mut cluster = cluster();
    let array = common::job::ArraySpec::parse("0-1", 10).expect("well formed");
    let array = JobSpec { array: Some(array.into()), ..spec(ALICE) };
    let array = cluster.submit(ALICE, array).expect("it may enter");
    for task in 0..2 {
        let held = common::resources::Resources { cpus: 1, memory_mib: 0 };
        let places = vec![common::job::Place::of("n1".into(), held, 1)];
        let start = common::machine::Allocation::of(&cluster.state.jobs[&array], places);
        let start = common::machine::Allocation { task: Some(task), ..start };
        cluster.send(Command::Allocate(start)).expect("there is room");
    }
    update(&mut cluster, ROOT, array, "matlab:3").expect("one of them may");
    assert_eq!(used(&cluster), 3, "of four");
}
