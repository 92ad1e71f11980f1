use std::sync::Arc;

use common::{
    config::{NodeConf, PartitionConf},
    cpus::CpuSet,
    id::{Attempt, NodeName, PartitionName},
    job::{ArraySpec, Hold, JobSpec, Layout, Phase, Rank},
    node::{Availability, Node},
    resources::Resources,
    time::TimeLimit,
};
use expect_test::expect;

use super::*;

const NOW: Timestamp = Timestamp(1_795_475_298_000);

fn node(name: &str) -> Node {
    Node {
        name: NodeName::from(name),
        total: Resources { cpus: 4, memory_mib: 0 },
        weight: 1,
        address: String::new(),
        host_name: String::new(),
        inventory: None,
        availability: Availability::Up,
        drain: false,
        reason: None,
        used: Resources::default(),
        jobs: 0,
        last_busy: Timestamp(0),
        gres: Arc::default(),
        gres_used: vec![],
        cpus_used: CpuSet::default(),
    }
}

fn job(id: u32, nodes: u32) -> Job {
    let layout = Layout { min_nodes: nodes, nodes_given: true, tasks: nodes, ..Layout::SINGLE };
    let layout = Layout { cpus_per_task: Some(4), ..layout };
    let spec = JobSpec { user_name: "alice".to_owned(), layout, ..JobSpec::plain() };
    Job {
        id: JobId(id),
        spec: Arc::new(spec),
        submitted: NOW,
        attempt: Attempt::FIRST,
        priority: 100 - id,
        hold: Hold::None,
        partition: PartitionName::from("cpu"),
        time_limit: TimeLimit::Minutes(90),
        begin: None,
        requeue: true,
        restarts: 0,
        phase: Phase::Pending,
        signals: vec![],
        signals_sent: 0,
        array: None,
        dependency: None,
        rank: Rank::default(),
        preemptor: false,
    }
}

/// Two nodes, a job on one of them, one for both, and one that is held.
fn inputs() -> Inputs {
    let names = ["n1", "n2"].map(str::to_owned);
    let partition = PartitionConf { nodes: names.to_vec(), ..PartitionConf::defaults("cpu") };
    let config = Config {
        select_memory: false,
        nodes: names.iter().map(|name| NodeConf { cpus: 4, ..NodeConf::defaults(name) }).collect(),
        partitions: vec![partition],
        ..Config::defaults("test")
    };
    let held = Job { hold: Hold::User, priority: 0, ..job(3, 1) };
    let mut state = State { config: Some(Arc::new(config)), next_job: 4, ..State::default() };
    for job in [job(1, 1), job(2, 2), held] {
        state.jobs.insert(job.id, Arc::new(job));
    }
    for node in names.iter().map(|name| node(name)) {
        state.nodes.insert(node.name.clone(), Arc::new(node));
    }
    state.rebuild();
    Inputs { state, now: NOW, release: "0.0.0".to_owned() }
}

#[test]
fn people_see_who_starts_where_and_why_the_others_wait() {
    let inputs = inputs();
    let lines = lines(&inputs.state, NOW, sched::plan(&inputs.state, NOW));
    expect![[r"
        Cluster test at 2026-11-23T23:08:18
        0 jobs run, 1 start, 2 wait; 2 of 2 nodes take jobs

        JOB  USER   PARTITION  PRIORITY  PLAN   AT                   NODES(REASON)
          1  alice  cpu              99  start  2026-11-23T23:08:18  n1
          2  alice  cpu              98  wait   2026-11-24T00:38:18  (Resources)
          3  alice  cpu               0  wait                        (JobHeldUser)
    "]]
    .assert_eq(&text(&inputs, &lines, &TimeZone::UTC, false));
    assert!(text(&inputs, &lines, &TimeZone::UTC, true).contains("\u{1b}[32m  1"));
}

#[test]
fn programs_see_these_names() {
    let inputs = inputs();
    let mut lines = lines(&inputs.state, NOW, sched::plan(&inputs.state, NOW));
    lines.truncate(2);
    expect![[r#"
        {
          "cluster": "test",
          "at_ms": 1795475298000,
          "release": "0.0.0",
          "jobs": [
            {
              "job": 1,
              "array_tasks": null,
              "name": "job",
              "user": "alice",
              "partition": "cpu",
              "priority": 99,
              "starts": true,
              "reason": "None",
              "at_ms": 1795475298000,
              "places": [
                {
                  "node": "n1",
                  "tasks": 1,
                  "cpus": 4,
                  "memory_mib": 0
                }
              ],
              "make_way": []
            },
            {
              "job": 2,
              "array_tasks": null,
              "name": "job",
              "user": "alice",
              "partition": "cpu",
              "priority": 98,
              "starts": false,
              "reason": "Resources",
              "at_ms": 1795480698000,
              "places": [],
              "make_way": []
            }
          ]
        }
    "#]]
    .assert_eq(&format!("{:#}\n", object(&inputs, &lines)));
}

#[test]
fn each_task_of_an_array_starts_by_itself_and_the_others_wait_together() {
    let mut inputs = inputs();
    let asked = ArraySpec::parse("0-9", 10).expect("it is well formed");
    let waiting = Some(ArrayPart::Waiting(asked.tasks.clone()));
    let mut array = Job { array: waiting, ..job(1, 1) };
    Arc::make_mut(&mut array.spec).array = Some(Arc::new(asked));
    inputs.state.jobs.insert(array.id, Arc::new(array));
    let lines = lines(&inputs.state, NOW, sched::plan(&inputs.state, NOW));
    let shown = text(&inputs, &lines, &TimeZone::UTC, false);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let first: Vec<_> = shown.lines().skip(4).take(3).map(words).collect();
    let brief: Vec<_> = first.iter().map(|words| format!("{} {}", words[0], words[4])).collect();
    assert_eq!(brief, ["1_0 start", "1_1 start", "1_[2-9] wait"]);
}

/// A file is read as it was written, and gives the same plan.
#[test]
fn what_was_saved_is_planned_alike() {
    let Inputs { state, now, .. } = inputs();
    let bare = sched::inputs(&state);
    let parts: Vec<_> = proto::convert::input_parts(&bare, now, "0.0.0").collect();
    let read = read_inputs(&parts.concat().into()).expect("it was written just now");
    assert_eq!((read.now, read.release.as_str()), (now, "0.0.0"));
    assert_eq!(sched::plan(&read.state, read.now), sched::plan(&bare, now));
}
