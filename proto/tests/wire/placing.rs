//! How jobs want their nodes, and what partitions say of sharing them. Since format 2.

use std::sync::Arc;

use common::{
    config::{Config, PartitionConf, SwitchConf},
    job::{Asks, Hold, JobSpec, Placing, Switches},
    machine::Event,
    time::TimeLimit,
};

use crate::samples::{JOB, bare_spec};

pub(crate) fn events() -> Vec<Event> {
    let partition = PartitionConf {
        exclusive_user: true,
        max_cpus_per_node: Some(6),
        ..PartitionConf::defaults("own")
    };
    let config = Config { partitions: vec![partition], ..Config::defaults("sharing") };
    let partition = PartitionConf { lln: true, ..PartitionConf::defaults("even") };
    let least_loaded = Config { partitions: vec![partition], ..Config::defaults("loaded") };
    let leaf = |name: &str, node: &str| SwitchConf {
        name: name.to_owned(),
        switches: vec![],
        nodes: vec![node.to_owned()],
    };
    let top = SwitchConf {
        name: "top".to_owned(),
        switches: vec!["s1".to_owned(), "s2".to_owned()],
        nodes: vec![],
    };
    let switches = vec![leaf("s1", "n1"), leaf("s2", "n2"), top];
    let tree = Config { switches, ..Config::defaults("tree") };
    vec![
        Event::ConfigSet { config: Arc::new(config) },
        submitted(Placing { user_alone: true, ..Placing::NONE }),
        submitted(Placing { contiguous: true, ..Placing::NONE }),
        submitted(Placing { spread: true, use_min_nodes: true, ..Placing::NONE }),
        Event::ConfigSet { config: Arc::new(least_loaded) },
        submitted(Placing { switches: few(1, Some(90)), ..Placing::NONE }),
        submitted(Placing { switches: few(2, None), ..Placing::NONE }),
        Event::ConfigSet { config: Arc::new(tree) },
    ]
}

fn few(most: u32, wait_s: Option<u32>) -> Option<Switches> {
    Some(Switches { most, wait_s })
}

fn submitted(placing: Placing) -> Event {
    let asks = Asks { placing, ..Asks::NONE };
    Event::JobSubmitted {
        job: JOB,
        spec: Arc::new(JobSpec { asks: Some(Arc::new(asks)), ..bare_spec() }),
        priority: 4_294_901_759,
        hold: Hold::None,
        time_limit: TimeLimit::Unlimited,
        requeue: true,
    }
}
