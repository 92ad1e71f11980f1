//! Which CPUs jobs hold.

use std::sync::Arc;

use common::{
    config::Config,
    cpus::Grain,
    id::{JobId, NodeName},
    machine::{Command, Refusal},
};
use proptest::prelude::*;

use crate::cluster::{ALICE, Cluster, config, spec};

/// A node of eight CPUs, of which so many are one core.
fn with(grain: Grain, threads: u32) -> Config {
    let mut config = Config { grain, ..config(&["n1"], 8) };
    let node = &mut config.nodes[0];
    (node.sockets, node.cores_per_socket, node.threads_per_core) = (1, 8 / threads, threads);
    config
}

impl Cluster {
    fn has(&mut self, config: Config) {
        self.send(Command::SetConfig { config: Arc::new(config) }).expect("it can be used");
    }

    /// The CPUs that a job of so many gets.
    fn gets_cpus(&mut self, cpus: u32) -> Result<(JobId, String), Refusal> {
        let job = self.submit(ALICE, spec(ALICE))?;
        self.allocate(job, "n1", cpus)?;
        let run = self.state.jobs[&job].holding().expect("it holds nodes");
        Ok((job, run.places[0].cpus.to_string()))
    }
}

#[test]
fn the_lowest_are_given_and_given_again() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let (one, ids) = cluster.gets_cpus(2).expect("there is room");
    assert_eq!(ids, "0-1");
    assert_eq!(cluster.gets_cpus(3).expect("there is room").1, "2-4");
    cluster.exits("n1", one, 1, 0);
    assert_eq!(cluster.gets_cpus(4).expect("there is room").1, "0-1,5-6");
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn parts_of_cores_are_not_given() {
    let mut cluster = Cluster::new(&["n1"], 8);
    cluster.has(with(Grain::Core, 2));
    assert_eq!(cluster.gets_cpus(3), Err(Refusal::Stale), "a plan that was made before");
    assert_eq!(cluster.gets_cpus(4).expect("there is room").1, "0-3");
}

/// A release that knows no ids has started a job: it is taken to have the highest ones.
#[test]
fn jobs_of_an_older_log_have_none_and_are_counted() {
    let mut cluster = Cluster::new(&["n1"], 8);
    cluster.state.format = 1;
    let (old, ids) = cluster.gets_cpus(3).expect("there is room");
    assert_eq!(ids, "");
    cluster.state.format = 2;
    cluster.has(with(Grain::Core, 2));
    assert_eq!(cluster.gets_cpus(4).expect("two cores are left").1, "0-3");
    assert_eq!(cluster.gets_cpus(2), Err(Refusal::Stale));
    cluster.exits("n1", old, 1, 0);
    assert_eq!(cluster.gets_cpus(4).expect("there is room").1, "4-7");
    let node = &cluster.state.nodes[&NodeName::from("n1")];
    assert_eq!((node.used.cpus, node.cpus_used.to_string()), (8, "0-7".to_owned()));
}

#[derive(Clone, Debug)]
enum Step {
    Start { cpus: u32 },
    End { job: u32 },
    Configure { grain: Grain, threads: u32, format: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let grain = prop_oneof![Just(Grain::Cpu), Just(Grain::Core), Just(Grain::Socket)];
    prop_oneof![
        4 => (1..9_u32).prop_map(|cpus| Step::Start { cpus }),
        2 => (1..20_u32).prop_map(|job| Step::End { job }),
        1 => (grain, 0..3_u32, 1..3_u32).prop_map(|(grain, power, format)| {
            Step::Configure { grain, threads: 1 << power, format }
        }),
    ]
}

proptest! {
    /// `State::check` runs after each entry, and looks for CPUs that two jobs hold.
    #[test]
    fn no_sequence_gives_a_cpu_twice(steps in proptest::collection::vec(step(), 1..40)) {
        let mut cluster = Cluster::new(&["n1"], 8);
        for step in steps {
            match step {
                Step::Start { cpus } => {
                    let _ = cluster.gets_cpus(cpus);
                }
                Step::End { job } => {
                    let job = JobId(job);
                    let holds = cluster.state.jobs.get(&job).filter(|job| job.holding().is_some());
                    if let Some(attempt) = holds.map(|job| job.attempt.0) {
                        cluster.exits("n1", job, attempt, 0);
                    }
                }
                Step::Configure { grain, threads, format } => {
                    cluster.state.format = format;
                    cluster.has(with(grain, threads));
                }
            }
            let node = &cluster.state.nodes[&NodeName::from("n1")];
            prop_assert!(node.cpus_used.iter().all(|id| id < 8));
            prop_assert!(node.cpus_used.len() <= node.used.cpus);
        }
    }
}
