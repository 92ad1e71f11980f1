//! Nodes, and what they say of themselves.

use std::sync::Arc;

use common::{
    id::{Incarnation, NodeName, UserId},
    node::{Availability, Inventory, Node, NodeReason},
    time::Timestamp,
};

use super::{cpus, enumeration, gres, listed, need};
use crate::{Invalid, types as wire};

enumeration!(Availability, wire::Availability, "availability", {
    Unknown = Unknown, Up = Up, Down = Down, Lost = Lost,
});

impl From<&Inventory> for wire::Inventory {
    fn from(inventory: &Inventory) -> Self {
        Self {
            cpus: inventory.cpus,
            boards: inventory.boards,
            sockets: inventory.sockets,
            cores_per_socket: inventory.cores_per_socket,
            threads_per_core: inventory.threads_per_core,
            memory_mib: inventory.memory_mib,
            tmp_disk_mib: inventory.tmp_disk_mib,
            architecture: inventory.architecture.clone(),
            operating_system: inventory.operating_system.clone(),
            version: inventory.version.clone(),
            booted: inventory.booted.0,
            daemon_started: inventory.daemon_started.0,
            incarnation: inventory.incarnation.0,
            gres: inventory.gres.as_deref().map(gres::found),
        }
    }
}

impl From<wire::Inventory> for Inventory {
    fn from(wire: wire::Inventory) -> Self {
        Self {
            cpus: wire.cpus,
            boards: wire.boards,
            sockets: wire.sockets,
            cores_per_socket: wire.cores_per_socket,
            threads_per_core: wire.threads_per_core,
            memory_mib: wire.memory_mib,
            tmp_disk_mib: wire.tmp_disk_mib,
            architecture: wire.architecture,
            operating_system: wire.operating_system,
            version: wire.version,
            booted: Timestamp(wire.booted),
            daemon_started: Timestamp(wire.daemon_started),
            incarnation: Incarnation(wire.incarnation),
            gres: wire.gres.map(gres::of_found),
        }
    }
}

impl From<&NodeReason> for wire::NodeReason {
    fn from(reason: &NodeReason) -> Self {
        Self { text: reason.text.clone(), by: reason.by.0, at: reason.at.0 }
    }
}

impl From<wire::NodeReason> for NodeReason {
    fn from(wire: wire::NodeReason) -> Self {
        Self { text: wire.text, by: UserId(wire.by), at: Timestamp(wire.at) }
    }
}

impl From<&Node> for wire::Node {
    fn from(node: &Node) -> Self {
        Self {
            name: node.name.to_string(),
            total: Some(node.total.into()),
            weight: node.weight,
            address: node.address.clone(),
            host_name: node.host_name.clone(),
            inventory: node.inventory.as_deref().map(Into::into),
            availability: wire::Availability::from(node.availability).into(),
            drain: node.drain,
            reason: node.reason.as_ref().map(Into::into),
            used: Some(node.used.into()),
            jobs: node.jobs,
            last_busy: node.last_busy.0,
            gres: gres::several(&node.gres),
            gres_used: gres::several(&node.gres_used),
            cpus_used: cpus::runs(&node.cpus_used),
        }
    }
}

impl TryFrom<wire::Node> for Node {
    type Error = Invalid;

    fn try_from(wire: wire::Node) -> Result<Self, Invalid> {
        Ok(Self {
            name: NodeName::from(wire.name),
            total: need(wire.total, "total")?.into(),
            weight: wire.weight,
            address: wire.address,
            host_name: wire.host_name,
            inventory: wire.inventory.map(|inventory| Arc::new(inventory.into())),
            availability: listed::<wire::Availability, _>(wire.availability, "availability")?,
            drain: wire.drain,
            reason: wire.reason.map(Into::into),
            used: need(wire.used, "used")?.into(),
            jobs: wire.jobs,
            last_busy: Timestamp(wire.last_busy),
            gres: gres::all(wire.gres)?.into(),
            gres_used: gres::all(wire.gres_used)?,
            cpus_used: cpus::cpu_set(&wire.cpus_used)?,
        })
    }
}
