//! How nodes and the configuration follow the log.

use std::{collections::BTreeSet, sync::Arc};

use super::super::{NodeChange, State};
use crate::{
    config::{Config, ConfiguredState, NodeConf, PartitionConf},
    cpus::CpuSet,
    id::{NodeName, UserId},
    node::{Availability, Inventory, Node, NodeReason},
    resources::Resources,
    time::Timestamp,
};

impl State {
    /// Takes over a configuration: new nodes appear, changed ones keep what they have become, and
    /// those that are named no longer vanish. `decide` made sure that they are empty.
    pub(super) fn set_config(&mut self, at: Timestamp, config: &Arc<Config>) {
        let gone: Vec<NodeName> = self
            .nodes
            .keys()
            .filter(|name| !config.nodes.iter().any(|conf| conf.name == name.as_str()))
            .cloned()
            .collect();
        for name in gone {
            self.remove_node(&name);
        }
        for conf in &config.nodes {
            let name = NodeName::from(conf.name.as_str());
            let node = match self.nodes.get(&name) {
                Some(known) => Node {
                    total: total(conf, config),
                    gres: conf.gres_total().into(),
                    weight: conf.weight,
                    address: conf.address.clone(),
                    host_name: conf.hostname.clone(),
                    ..known.as_ref().clone()
                },
                None => fresh(at, name, conf, config),
            };
            self.put_node(Arc::new(node));
        }
        let qos = |config: &Config| {
            let of = |conf: &PartitionConf| Some((conf.name.clone(), conf.qos.clone()?));
            config.partitions.iter().filter_map(of).collect::<BTreeSet<_>>()
        };
        let as_before = self.config.as_deref().map(qos).unwrap_or_default() == qos(config);
        self.config = Some(Arc::clone(config));
        if !as_before {
            self.count_anew();
        }
        self.find_positions();
    }

    pub(super) fn register_node(
        &mut self,
        name: &NodeName,
        address: &str,
        inventory: &Arc<Inventory>,
    ) {
        self.with_node(name, |node| {
            address.clone_into(&mut node.address);
            node.inventory = Some(Arc::clone(inventory));
        });
    }

    pub(super) fn change_node(&mut self, at: Timestamp, name: &NodeName, change: &NodeChange) {
        self.with_node(name, |node| {
            if node.availability != Availability::Up && change.availability == Availability::Up {
                node.last_busy = at;
            }
            node.availability = change.availability;
            node.drain = change.drain;
            node.reason.clone_from(&change.reason);
        });
    }

    /// Changes one node's record.
    pub(super) fn with_node(&mut self, name: &NodeName, change: impl FnOnce(&mut Node)) {
        let mut node = self
            .nodes
            .get(name)
            .cloned()
            .unwrap_or_else(|| panic!("the log names node {name} before it exists"));
        change(Arc::make_mut(&mut node));
        self.put_node(node);
    }
}

/// What a node's jobs may hold. Memory counts only where the configuration says so.
fn total(conf: &NodeConf, config: &Config) -> Resources {
    let memory_mib = if config.select_memory { conf.real_memory_mib } else { 0 };
    Resources { cpus: conf.cpus, memory_mib }
}

fn fresh(at: Timestamp, name: NodeName, conf: &NodeConf, config: &Config) -> Node {
    let (availability, drain) = match conf.state {
        ConfiguredState::Unknown => (Availability::Unknown, false),
        ConfiguredState::Down => (Availability::Down, false),
        ConfiguredState::Drain => (Availability::Unknown, true),
    };
    let text = conf.reason.clone();
    Node {
        total: total(conf, config),
        weight: conf.weight,
        address: conf.address.clone(),
        host_name: conf.hostname.clone(),
        inventory: None,
        availability,
        drain,
        reason: text.map(|text| NodeReason { text, by: UserId::ROOT, at }),
        used: Resources::default(),
        jobs: 0,
        last_busy: at,
        gres: conf.gres_total().into(),
        gres_used: vec![],
        cpus_used: CpuSet::default(),
        name,
    }
}
