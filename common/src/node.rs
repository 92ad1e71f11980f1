//! A node, as the cluster knows it.

use std::sync::Arc;

use crate::{
    cpus::CpuSet,
    gres::{self, Gres},
    id::{Incarnation, NodeName, UserId},
    resources::Resources,
    time::Timestamp,
};

/// What a node's daemon measured, and says of itself when it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    pub cpus: u32,
    pub boards: u32,
    pub sockets: u32,
    pub cores_per_socket: u32,
    pub threads_per_core: u32,
    pub memory_mib: u64,
    pub tmp_disk_mib: u64,
    /// `uname -m`, as `Arch=` shows.
    pub architecture: String,
    /// `OS=`: system, release and version.
    pub operating_system: String,
    /// Rafter's version.
    pub version: String,
    /// When the machine booted.
    pub booted: Timestamp,
    /// When the daemon started.
    pub daemon_started: Timestamp,
    pub incarnation: Incarnation,
    /// What it found of the generic resources that the configuration gives it. None: it does not
    /// know the configuration yet, or is of a release that did not look.
    pub gres: Option<Vec<GresFound>>,
}

/// How much of one generic resource is there, whatever its types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GresFound {
    pub name: String,
    pub count: u64,
}

/// Whether a node can be used. Draining is apart: a node may be down and drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Availability {
    /// Has never registered.
    Unknown,
    Up,
    /// An operator took it down, or it registered with less than it should have.
    Down,
    /// Was silent for `SlurmdTimeout`.
    Lost,
}

/// Why a node is down or drained, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReason {
    pub text: String,
    pub by: UserId,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub name: NodeName,
    /// What its jobs may hold in all, as configured.
    pub total: Resources,
    pub weight: u32,
    /// Where its daemon listens and is known to its users.
    pub address: String,
    pub host_name: String,
    pub inventory: Option<Arc<Inventory>>,
    pub availability: Availability,
    pub drain: bool,
    pub reason: Option<NodeReason>,
    /// What its jobs hold.
    pub used: Resources,
    /// How many jobs hold some of it.
    pub jobs: u32,
    /// When its last job left it, or it came up.
    pub last_busy: Timestamp,
    /// Its generic resources, as configured, and what its jobs hold of them.
    pub gres: Arc<[Gres]>,
    pub gres_used: Vec<Gres>,
    /// Which of its CPUs jobs hold, as far as that is said of those.
    pub cpus_used: CpuSet,
}

impl Node {
    /// What no job holds.
    ///
    /// A configuration may shrink a node below what its jobs hold: nothing is free then.
    #[must_use]
    pub fn free(&self) -> Resources {
        Resources {
            cpus: self.total.cpus.saturating_sub(self.used.cpus),
            memory_mib: self.total.memory_mib.saturating_sub(self.used.memory_mib),
        }
    }

    /// The generic resources that no job holds; none before the node has said that they are there.
    #[must_use]
    pub fn free_gres(&self) -> Vec<Gres> {
        if self.vouches_for_gres() { gres::free(&self.gres, &self.gres_used) } else { vec![] }
    }

    /// Whether its daemon has looked for its generic resources.
    #[must_use]
    pub fn vouches_for_gres(&self) -> bool {
        self.inventory.as_ref().is_some_and(|inventory| inventory.gres.is_some())
    }

    /// Whether a job may start on it.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.availability == Availability::Up && !self.drain
    }
}
