//! A node as JSON, in the shape of Slurm's `data_parser/v0.0.45`.

use common::time::Timestamp;
use serde_json::{Value, json};

use super::node::{partitions_of, total, used};
use crate::{
    render::json::{infinite, maybe, number},
    users::UserNames,
    view::{Node, Partition},
};

pub(in super::super) fn node(
    node: &Node<'_>,
    partitions: &[Partition<'_>],
    names: &mut UserNames,
) -> Value {
    let mut value = hardware(node);
    let rest = standing(node, partitions, names);
    if let (Value::Object(value), Value::Object(rest)) = (&mut value, rest) {
        value.extend(rest);
    }
    value
}

fn moment(at: Option<u64>) -> Value {
    number(at.map_or(0, |at| Timestamp(at).seconds()))
}

fn hardware(node: &Node<'_>) -> Value {
    let inventory = node.inventory();
    json!({
        "architecture": inventory.map_or("", |inventory| &inventory.architecture),
        "burstbuffer_network_address": "",
        "boards": node.conf.boards,
        "boot_time": moment(inventory.map(|inventory| inventory.booted)),
        "tls_cert_last_renewal": number(0),
        "cert_flags": [],
        "cluster_name": "",
        "cores": node.conf.cores_per_socket,
        "specialized_cores": 0,
        "cpu_binding": 0,
        "cpu_load": node.load().unwrap_or(0),
        "free_mem": maybe(node.free_mib()),
        "cpus": node.conf.cpus,
        "effective_cpus": node.total.cpus,
        "specialized_cpus": "",
        "energy": {
            "average_watts": 0,
            "base_consumed_energy": 0,
            "consumed_energy": 0,
            "current_watts": number(0),
            "previous_consumed_energy": 0,
            "last_collected": 0,
        },
        "extra": "",
        "features": node.conf.features,
        "active_features": node.conf.features,
        "gpu_spec": "",
        "gres": node.gres().unwrap_or_default(),
        "gres_drained": "N/A",
        "gres_used": node.gres_used().unwrap_or_default(),
        "instance_id": "",
        "instance_type": "",
        "last_busy": moment(Some(node.node.last_busy)),
        "mcs_label": "",
        "specialized_memory": 0,
        "name": node.name(),
    })
}

fn standing(node: &Node<'_>, partitions: &[Partition<'_>], names: &mut UserNames) -> Value {
    let inventory = node.inventory();
    let reason = node.reason();
    let idle = node.total.cpus.saturating_sub(node.used.cpus);
    json!({
        "next_state_after_reboot": ["INVALID"],
        "address": node.node.address,
        "hostname": node.node.host_name,
        "state": node.state().list(),
        "operating_system": inventory.map_or("", |inventory| &inventory.operating_system),
        "owner": "",
        "partitions": partitions_of(node, partitions),
        "port": node.conf.port,
        "real_memory": node.total.memory_mib,
        "res_cores_per_gpu": 0,
        "comment": "",
        "reason": reason.map_or("", |reason| &reason.text),
        "reason_changed_at": moment(reason.map(|reason| reason.at)),
        "reason_set_by_user": reason.map_or_else(String::new, |reason| names.name(reason.by)),
        "resume_after": number(0),
        "reservation": node.view.reservation.as_deref().unwrap_or(""),
        "suspend_time": infinite(),
        "alloc_memory": node.used.memory_mib,
        "alloc_cpus": node.used.cpus,
        "alloc_idle_cpus": idle,
        "tres_used": used(node),
        "slurmd_start_time": moment(inventory.map(|inventory| inventory.daemon_started)),
        "sockets": node.conf.sockets,
        "threads": node.conf.threads_per_core,
        "temporary_disk": node.conf.tmp_disk_mib,
        "weight": node.node.weight,
        "topology": "",
        "tres": total(node),
        "version": node.version().unwrap_or_default(),
    })
}
