//! What a plan may still give away.

use std::collections::BTreeMap;

use common::{id::NodeName, job::Place, machine::State, resources::Resources};

/// One node, as the plan sees it.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) name: NodeName,
    pub(crate) weight: u32,
    pub(crate) total: Resources,
    pub(crate) free: Resources,
    /// Up, and not draining.
    pub(crate) usable: bool,
    /// A more urgent job waits for it: nobody behind that job may take it.
    pub(crate) awaited: bool,
}

/// The nodes, and what is free on each after the starts that the plan has decided so far.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    shares: Vec<Share>,
    by_name: BTreeMap<NodeName, usize>,
}

impl Books {
    /// The nodes stand in the configuration's order, in which Slurm fills and lists them.
    pub(crate) fn open(view: &State) -> Self {
        let configured = view.config.iter().flat_map(|config| &config.nodes);
        let shares: Vec<_> = configured
            .filter_map(|node| view.nodes.get(&NodeName::from(node.name.as_str())))
            .map(|node| Share {
                name: node.name.clone(),
                weight: node.weight,
                total: node.total,
                free: node.free(),
                usable: node.is_usable(),
                awaited: false,
            })
            .collect();
        let by_name = shares.iter().enumerate().map(|(at, s)| (s.name.clone(), at)).collect();
        Self { shares, by_name }
    }

    /// The same nodes with nothing on them.
    pub(crate) fn idle(&self) -> Self {
        let mut idle = self.clone();
        for share in &mut idle.shares {
            share.free = share.total;
        }
        idle
    }

    pub(crate) fn position(&self, name: &NodeName) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn share(&self, at: usize) -> &Share {
        &self.shares[at]
    }

    /// Keeps `nodes` for the job that waits for them.
    pub(crate) fn reserve(&mut self, nodes: &[usize]) {
        for at in nodes {
            self.shares[*at].awaited = true;
        }
    }

    pub(crate) fn take(&mut self, places: &[Place]) {
        for place in places {
            let at = self.by_name[&place.node];
            let free = &mut self.shares[at].free;
            *free = free.checked_sub(place.held).expect("a place was found free");
        }
    }
}
