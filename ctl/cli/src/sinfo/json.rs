//! A row of `sinfo` as JSON, in the shape of Slurm's `data_parser/v0.0.45`.

use serde_json::{Value, json};

use super::{
    field::{Field, OfNode, OfPartition, Style},
    row::{Extent, Row},
};
use crate::{
    render::json::{self, Meta, maybe, or_infinite},
    view::Node,
};

/// What tells rows apart: as in the text, the partition and the state, and what a row has only one
/// value of.
pub(super) const FIELDS: &[Field] = &[
    Field::Partition(OfPartition::Name),
    Field::Node(OfNode::StateComplete),
    Field::Node(OfNode::Features),
    Field::Node(OfNode::Gres),
    Field::Node(OfNode::GresUsed),
    Field::Node(OfNode::Reason),
    Field::Node(OfNode::Reservation),
    Field::Node(OfNode::User),
    Field::Node(OfNode::ReasonTime),
];

/// The whole answer.
pub(super) fn answer(
    rows: &[Row<'_>],
    meta: &Meta<'_>,
    style: &Style<'_>,
    compact: bool,
) -> String {
    let data = vec![("sinfo", rows.iter().map(|row| self::row(row, style)).collect())];
    json::text(&json::answer(data, meta), compact)
}

fn row(row: &Row<'_>, style: &Style<'_>) -> Value {
    let node = row.nodes.first();
    let features = node.and_then(Node::features).unwrap_or_default();
    let reason = node.and_then(Node::reason);
    let states = node.map_or_else(|| vec!["UNKNOWN"], |node| node.state().list());
    let [allocated, idle, other, total] = row.shares();
    let names: Vec<_> = row.nodes.iter().map(Node::name).collect();
    json!({
        "port": node.map_or(0, |node| node.conf.port),
        "node": { "state": states },
        "nodes": {
            "allocated": allocated,
            "idle": idle,
            "other": other,
            "total": total,
            "hostnames": [],
            "addresses": [],
            "nodes": names,
        },
        "cpus": cpus(row),
        "sockets": extent(row.extent(|node| Some(node.conf.sockets.into()))),
        "cores": extent(row.extent(|node| Some(node.conf.cores_per_socket.into()))),
        "threads": extent(row.extent(|node| Some(node.conf.threads_per_core.into()))),
        "disk": extent(row.extent(|node| Some(node.conf.tmp_disk_mib))),
        "memory": memory(row),
        "weight": extent(row.extent(|node| Some(node.node.weight.into()))),
        "features": { "total": features, "active": features },
        "gres": {
            "total": node.and_then(Node::gres).unwrap_or_default(),
            "used": node.and_then(Node::gres_used).unwrap_or_default(),
        },
        "cluster": "",
        "comment": "",
        "extra": "",
        "reason": {
            "description": reason.map_or("", |reason| &reason.text),
            "time": reason.map_or(0, |reason| reason.at / 1000),
        },
        "reservation": node.and_then(|node| node.view.reservation.as_deref()).unwrap_or(""),
        "reason_set_by_user": reason.map_or_else(String::new, |reason| (style.user)(reason.by)),
        "resource_spec": { "cpus": "", "memory": 0 },
        "partition": row.partition.json(),
    })
}

fn extent(extent: Extent) -> Value {
    let (minimum, maximum) = extent.unwrap_or((0, 0));
    json!({ "minimum": minimum, "maximum": maximum })
}

fn cpus(row: &Row<'_>) -> Value {
    let [allocated, idle, other, total] = row.cpus();
    let (minimum, maximum) = row.extent(|node| Some(node.total.cpus.into())).unwrap_or((0, 0));
    json!({
        "allocated": allocated,
        "idle": idle,
        "other": other,
        "total": total,
        "minimum": minimum,
        "maximum": maximum,
        "load": extent(row.extent(Node::load)),
        "per_node": {
            "max": or_infinite(row.partition.conf.max_cpus_per_node.map(u64::from)),
        },
    })
}

fn memory(row: &Row<'_>) -> Value {
    let (minimum, maximum) = row.extent(|node| Some(node.total.memory_mib)).unwrap_or((0, 0));
    let free = row.extent(Node::free_mib);
    json!({
        "minimum": minimum,
        "maximum": maximum,
        "free": {
            "minimum": maybe(free.map(|(least, _)| least)),
            "maximum": maybe(free.map(|(_, most)| most)),
        },
        "allocated": row.nodes.iter().map(|node| node.used.memory_mib).sum::<u64>(),
    })
}
