//! What jobs ask for of generic resources, and what they get.

use std::sync::Arc;

use common::{
    config::{Config, GresConf},
    gres::{Gres, GresRequest, Wanted},
    id::{JobId, NodeName},
    job::{JobSpec, MemoryRequest, Place},
    machine::{Allocation, Command, Lacking, NodeChanges, NodeTarget, Refusal},
    node::{GresFound, Inventory},
    resources::Resources,
};
use proptest::prelude::*;

use crate::cluster::{ALICE, Cluster, ROOT, config, inventory, spec};

fn conf(name: &str, kind: Option<&str>, count: u64) -> GresConf {
    let (name, kind) = (name.to_owned(), kind.map(str::to_owned));
    GresConf { name, kind, count, files: vec![], cores: None }
}

/// n1 has two types of GPUs, n2 scratch space.
fn with_gres() -> Config {
    let mut config = config(&["n1", "n2"], 8);
    config.gres_types = vec!["gpu".to_owned(), "tmp".to_owned()];
    config.nodes[0].gres = vec![conf("gpu", Some("a100"), 2), conf("gpu", Some("v100"), 2)];
    config.nodes[1].gres = vec![conf("tmp", None, 100)];
    config
}

fn found(gpus: u64) -> Inventory {
    let gres = Some(vec![GresFound { name: "gpu".to_owned(), count: gpus }]);
    Inventory { gres, ..inventory(8, 1) }
}

impl Cluster {
    fn with_gres() -> Self {
        let mut cluster = Self::new(&["n1", "n2"], 8);
        let config = Arc::new(with_gres());
        cluster.send(Command::SetConfig { config }).expect("it can be used");
        cluster.says("n1", found(4));
        let tmp = Some(vec![GresFound { name: "tmp".to_owned(), count: 100 }]);
        cluster.says("n2", Inventory { gres: tmp, ..inventory(8, 1) });
        cluster
    }

    fn says(&mut self, node: &str, inventory: Inventory) {
        let (node, address) = (NodeName::from(node), String::new());
        let inventory = Box::new(inventory);
        self.send(Command::Register { node, address, inventory }).expect("a known node");
    }

    fn asks_gres(&mut self, request: GresRequest) -> Result<JobId, Refusal> {
        self.submit(ALICE, JobSpec { gres: Some(Arc::new(request)), ..spec(ALICE) })
    }

    fn gets(&mut self, job: JobId, node: &str, wanted: &str) -> Result<(), Refusal> {
        let gres = Wanted::parse_list(wanted).expect("it is a list");
        let one = |Wanted { name, kind, count }| Gres { name, kind, count, ids: vec![] };
        let held = Resources { cpus: 1, memory_mib: 0 };
        let gres = gres.into_iter().map(one).collect();
        let place = Place { gres, ..Place::of(NodeName::from(node), held, 1) };
        let places = vec![place];
        let allocation = Allocation::of(&self.state.jobs[&job], places);
        self.send(Command::Allocate(allocation)).map(|_| ())
    }

    fn holds(&self, job: JobId) -> String {
        let run = self.state.jobs[&job].holding().expect("it runs");
        let texts: Vec<String> = run.places[0].gres.iter().map(Gres::detailed).collect();
        texts.join(",")
    }

    fn reason(&self, node: &str) -> Option<(bool, String)> {
        let node = &self.state.nodes[&NodeName::from(node)];
        node.reason.as_ref().map(|reason| (node.drain, reason.text.clone()))
    }
}

fn per_node(text: &str) -> GresRequest {
    let per_node = Wanted::parse_list(text).expect("it is a list");
    GresRequest { per_node, ..GresRequest::default() }
}

fn gpus(text: &str) -> Vec<Wanted> {
    Wanted::parse_gpus(text).expect("it is a list")
}

#[test]
fn the_machine_says_which_ones_and_nobody_else_gets_them() {
    let mut cluster = Cluster::with_gres();
    let jobs: Vec<JobId> =
        (0..4).map(|_| cluster.asks_gres(per_node("gpu:1")).expect("it may wait")).collect();
    cluster.gets(jobs[0], "n1", "gpu:a100:1").expect("it is free");
    cluster.gets(jobs[1], "n1", "gpu:a100:1,gpu:v100:1").expect("they are free");
    assert_eq!(cluster.holds(jobs[0]), "gpu:a100:1(IDX:0)");
    assert_eq!(cluster.holds(jobs[1]), "gpu:a100:1(IDX:1),gpu:v100:1(IDX:2)");
    // The view of the scheduler has moved on: two plans for the same one.
    assert_eq!(cluster.gets(jobs[2], "n1", "gpu:a100:1"), Err(Refusal::Stale));
    assert_eq!(cluster.gets(jobs[2], "n2", "gpu:1"), Err(Refusal::Stale));
    cluster.exits("n1", jobs[0], 1, 0);
    cluster.gets(jobs[2], "n1", "gpu:a100:1").expect("it is free again");
    assert_eq!(cluster.holds(jobs[2]), "gpu:a100:1(IDX:0)");
    cluster.gets(jobs[3], "n2", "tmp:100").expect("there is as much");
    assert_eq!(cluster.holds(jobs[3]), "tmp(CNT:100)");
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn requests_that_make_no_sense_are_refused_in_slurms_words() {
    let mut cluster = Cluster::with_gres();
    let mut refused = |request: GresRequest| {
        let refusal = cluster.asks_gres(request).expect_err("it makes no sense");
        let detail = refusal.detail().unwrap_or_default();
        (refusal, detail)
    };
    let invalid = "Invalid generic resource (gres) specification";
    let (refusal, detail) = refused(per_node("bogus:1"));
    assert_eq!((refusal.to_string().as_str(), detail.as_str()), (invalid, ""));
    assert_eq!(refusal.errno(), Some(2072));
    assert_eq!(refused(per_node("gpu:5")).0, Refusal::CannotEverFit(Lacking::Nodes));
    assert_eq!(refused(per_node("gpu:a100:3")).0, Refusal::CannotEverFit(Lacking::Nodes));
    assert_eq!(refused(per_node("gpu:1,tmp:1")).0, Refusal::CannotEverFit(Lacking::Nodes));
    let whole = |text| GresRequest { gpus: gpus(text), ..GresRequest::default() };
    assert_eq!(refused(whole("5")).0, Refusal::CannotEverFit(Lacking::Nodes));
    let by_task = GresRequest { gpus_per_task: gpus("1"), ..GresRequest::default() };
    assert!(refused(by_task.clone()).1.contains("--gpus-per-task"), "how many tasks?");
    let said = [
        (GresRequest { gpus_per_node: gpus("1"), ..per_node("gpu:1") }, "--gpus-per-node"),
        (GresRequest { gpus_per_node: gpus("1"), ..by_task.clone() }, "--gpus-per-task"),
        (GresRequest { gpus_per_node: gpus("3"), ..whole("4") }, "--gpus does not fit"),
        (GresRequest { gpus: gpus("3"), gpus_per_task: gpus("2"), ..by_task }, "does not fit"),
        (GresRequest { cpus_per_gpu: Some(2), ..per_node("tmp:1") }, "did not request any GPU"),
        (GresRequest { memory_per_gpu: Some(2), ..per_node("tmp:1") }, "mem_per_tres=gres/gpu:2"),
        (GresRequest { gpus: gpus("a100:1,v100:1"), ..GresRequest::default() }, "one type"),
    ];
    for (request, expected) in said {
        let (refusal, detail) = refused(request);
        assert_eq!(refusal.to_string(), invalid);
        assert!(detail.contains(expected), "{detail}");
    }
}

#[test]
fn what_gpus_say_of_nodes_and_tasks_is_filled_in() {
    let mut cluster = Cluster::with_gres();
    let mut layout = |request: GresRequest, change: fn(&mut JobSpec)| -> Result<_, Refusal> {
        let mut spec = JobSpec { gres: Some(Arc::new(request)), hold: true, ..spec(ALICE) };
        change(&mut spec);
        let job = cluster.submit(ALICE, spec)?;
        Ok(cluster.state.jobs[&job].spec.layout)
    };
    let by_node =
        GresRequest { gpus: gpus("4"), gpus_per_node: gpus("2"), ..GresRequest::default() };
    let nodes = layout(by_node, |_| {}).expect("it makes sense");
    assert_eq!((nodes.min_nodes, nodes.max_nodes), (2, Some(2)));
    let by_task =
        GresRequest { gpus: gpus("4"), gpus_per_task: gpus("2"), ..GresRequest::default() };
    let tasks = layout(by_task, |_| {}).expect("it makes sense");
    assert_eq!((tasks.tasks, tasks.tasks_given), (2, true));
    let few = GresRequest { gpus: gpus("1"), ..GresRequest::default() };
    let refusal = layout(few, |spec| spec.layout.min_nodes = 2).expect_err("one for two");
    assert_eq!(refusal.detail().as_deref(), Some("Failed to validate job spec, --gpus < -N"));
    let twice = GresRequest { cpus_per_gpu: Some(2), ..per_node("gpu:1") };
    let refused = layout(twice, |spec| spec.layout.cpus_per_task = Some(2));
    assert!(refused.is_err());
    let memory = GresRequest { memory_per_gpu: Some(2), ..per_node("gpu:1") };
    let refused = layout(memory, |spec| spec.memory = MemoryRequest::PerNode(5));
    assert!(refused.is_err());
}

#[test]
fn a_node_that_finds_less_than_it_should_is_drained() {
    let mut cluster = Cluster::with_gres();
    assert_eq!(cluster.reason("n1"), None);
    cluster.says("n1", found(3));
    let text = "gres/gpu count reported lower than configured (3 < 4)".to_owned();
    assert_eq!(cluster.reason("n1"), Some((true, text.clone())));
    // Who puts it back to work all the same, is not gainsaid each time that it says hello.
    let by = cluster.by(ROOT);
    let changes = NodeChanges { target: Some(NodeTarget::Resume), reason: None };
    let node = NodeName::from("n1");
    cluster.send(Command::UpdateNode { by, node, changes }).expect("root may");
    cluster.says("n1", Inventory { version: "other".into(), ..found(3) });
    assert_eq!(cluster.reason("n1"), None);
    cluster.says("n1", found(4));
    cluster.says("n1", found(0));
    let none = text.replace("(3 <", "(0 <");
    assert_eq!(cluster.reason("n1"), Some((true, none)));
}

#[test]
fn a_configuration_that_promises_more_than_is_there_drains() {
    let mut cluster = Cluster::with_gres();
    let mut more = with_gres();
    more.nodes[0].gres[0].count = 4;
    cluster.send(Command::SetConfig { config: Arc::new(more) }).expect("it can be used");
    let text = "gres/gpu count reported lower than configured (4 < 6)".to_owned();
    assert_eq!(cluster.reason("n1"), Some((true, text)));
}

#[test]
fn nothing_is_given_before_the_node_has_looked() {
    let mut cluster = Cluster::with_gres();
    cluster.says("n1", inventory(8, 1));
    assert_eq!(cluster.reason("n1"), None, "a daemon that has not looked is no fault");
    let job = cluster.asks_gres(per_node("gpu:1")).expect("it may wait");
    assert_eq!(cluster.gets(job, "n1", "gpu:a100:1"), Err(Refusal::Stale));
    cluster.says("n1", found(4));
    cluster.gets(job, "n1", "gpu:a100:1").expect("it is there");
}

#[test]
fn controllers_of_the_last_release_hear_nothing_of_it() {
    let mut cluster = Cluster::new(&["n1", "n2"], 8);
    cluster.state.format = 1;
    cluster.send(Command::SetConfig { config: Arc::new(with_gres()) }).unwrap_or_else(|refusal| {
        panic!("{refusal}");
    });
    assert!(cluster.state.nodes.values().all(|node| node.gres.is_empty()));
    assert_eq!(cluster.asks_gres(per_node("gpu:1")), Err(Refusal::Format("generic resources")));
}

/// Random requests, starts, ends, configurations: [`Cluster::send`] checks the books each time.
#[derive(Clone, Debug)]
enum Step {
    Submit(String),
    Start { job: u32, wanted: String },
    End { job: u32 },
    Shrink { first: u64, second: u64 },
    Find { gpus: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let list = prop_oneof!["gpu:[1-3]", "gpu:a100:[12]", "gpu:v100:1,gpu:a100:1", "gpu:v100:[1-4]"];
    prop_oneof![
        3 => list.clone().prop_map(Step::Submit),
        4 => (1..10_u32, list).prop_map(|(job, wanted)| Step::Start { job, wanted }),
        2 => (1..10_u32).prop_map(|job| Step::End { job }),
        1 => (0..4_u64, 0..4_u64).prop_map(|(first, second)| Step::Shrink { first, second }),
        1 => (0..6_u64).prop_map(|gpus| Step::Find { gpus }),
    ]
}

proptest! {
    #[test]
    fn no_sequence_gives_one_twice(steps in proptest::collection::vec(step(), 1..40)) {
        let mut cluster = Cluster::with_gres();
        for step in steps {
            match step {
                Step::Submit(text) => {
                    let _ = cluster.asks_gres(per_node(&text));
                }
                Step::Start { job, wanted } => {
                    let job = JobId(job);
                    if cluster.state.jobs.contains_key(&job) {
                        let _ = cluster.gets(job, "n1", &wanted);
                    }
                }
                Step::End { job } => {
                    let job = JobId(job);
                    let attempt = cluster.state.jobs.get(&job).map(|job| job.attempt.0);
                    if let Some(attempt) = attempt {
                        cluster.exits("n1", job, attempt, 0);
                    }
                }
                Step::Shrink { first, second } => {
                    let mut config = with_gres();
                    config.nodes[0].gres[0].count = first;
                    config.nodes[0].gres[1].count = second;
                    let config = Arc::new(config);
                    cluster.send(Command::SetConfig { config }).expect("it can be used");
                }
                Step::Find { gpus } => cluster.says("n1", found(gpus)),
            }
            let mut held = std::collections::BTreeSet::new();
            for job in cluster.state.jobs.values() {
                for place in job.holding().iter().flat_map(|run| &run.places) {
                    for id in place.gres.iter().flat_map(|gres| &gres.ids) {
                        prop_assert!(held.insert((place.node.clone(), *id)), "{} twice", id);
                    }
                }
            }
        }
        prop_assert_eq!(cluster.replayed(), cluster.state);
    }
}
