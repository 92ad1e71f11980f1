//! A node's record.

use common::{size::Mib, time::Timestamp};

use super::{
    super::session::Flags,
    record::{Record, or_null},
};
use crate::{
    render::Clock,
    users::UserNames,
    view::{Node, Partition},
};

/// Appends the record, in Slurm's order.
pub(in super::super) fn text(
    out: &mut String,
    node: &Node<'_>,
    partitions: &[Partition<'_>],
    clock: &Clock,
    flags: Flags,
    names: &mut UserNames,
) {
    let mut record = Record::new(out, flags.one_line);
    hardware(&mut record, node, flags.details);
    state(&mut record, node, partitions);
    times(&mut record, node, clock);
    if let Some(reason) = node.reason() {
        let by = names.name(reason.by);
        let at = clock.text(Some(Timestamp(reason.at)), "Unknown");
        record.line().pair("Reason", format_args!("{} [{by}@{at}]", reason.text));
    }
    record.end();
}

fn hardware(record: &mut Record<'_>, node: &Node<'_>, details: bool) {
    let conf = node.conf;
    record.pair("NodeName", node.name());
    if let Some(inventory) = node.inventory() {
        record.pair("Arch", &inventory.architecture);
    }
    // Slurm ends this line with a blank.
    record.pair("CoresPerSocket", format_args!("{} ", conf.cores_per_socket)).line();
    let load = node.load().map(|load| format!("{}.{:02}", load / 100, load % 100));
    record
        .pair("CPUAlloc", node.used.cpus)
        .pair("CPUEfctv", node.total.cpus)
        .pair("CPUTot", conf.cpus)
        .pair("CPULoad", load.as_deref().unwrap_or("N/A"))
        .line();
    let features = node.features();
    record.pair("AvailableFeatures", or_null(features.as_deref())).line();
    record.pair("ActiveFeatures", or_null(features.as_deref())).line();
    record.pair("Gres", or_null(node.gres().as_deref())).line();
    if details {
        record.pair("GresDrain", "N/A").line();
        if let Some(used) = node.gres_used() {
            record.pair("GresUsed", used).line();
        }
    }
    record
        .pair("NodeAddr", &node.node.address)
        .pair("NodeHostName", &node.node.host_name)
        .pair("Port", conf.port);
    if let Some(version) = node.version() {
        record.pair("Version", version);
    }
    record.line();
    if let Some(inventory) = node.inventory() {
        record.pair("OS", format_args!("{} ", inventory.operating_system)).line();
    }
    let free = node.free_mib().map(|mib| mib.to_string());
    record
        .pair("RealMemory", node.total.memory_mib)
        .pair("AllocMem", node.used.memory_mib)
        .pair("FreeMem", free.as_deref().unwrap_or("N/A"))
        .pair("Sockets", conf.sockets)
        .pair("Boards", conf.boards)
        .line();
}

fn state(record: &mut Record<'_>, node: &Node<'_>, partitions: &[Partition<'_>]) {
    let conf = node.conf;
    record
        .pair("State", node.state().list().join("+"))
        .pair("ThreadsPerCore", conf.threads_per_core)
        .pair("TmpDisk", conf.tmp_disk_mib)
        .pair("Weight", node.node.weight)
        .pair("Owner", "N/A")
        .pair("MCS_label", "N/A")
        .line();
    let names = partitions_of(node, partitions);
    if !names.is_empty() {
        record.pair("Partitions", format_args!("{} ", names.join(","))).line();
    }
}

/// The names of the partitions that the node is in.
pub(super) fn partitions_of<'a>(node: &Node<'_>, partitions: &[Partition<'a>]) -> Vec<&'a str> {
    let has = |partition: &&Partition<'_>| {
        partition.nodes.iter().any(|of_partition| of_partition.name() == node.name())
    };
    partitions.iter().filter(has).map(|partition| partition.conf.name.as_str()).collect()
}

fn times(record: &mut Record<'_>, node: &Node<'_>, clock: &Clock) {
    let moment = |at: Option<u64>| clock.text(at.map(Timestamp), "None");
    let inventory = node.inventory();
    record
        .pair("BootTime", moment(inventory.map(|inventory| inventory.booted)))
        .pair("SlurmdStartTime", moment(inventory.map(|inventory| inventory.daemon_started)))
        .line();
    let busy = Some(node.node.last_busy).filter(|at| *at > 0);
    record
        .pair("LastBusyTime", clock.text(busy.map(Timestamp), "Unknown"))
        .pair("ResumeAfterTime", "None")
        .pair("SuspendTime", "INFINITE")
        .line();
    record.pair("CfgTRES", total(node)).line();
    record.pair("AllocTRES", used(node)).line();
    record.pair("CurrentWatts", 0).pair("AveWatts", 0);
}

/// All that the node has.
pub(super) fn total(node: &Node<'_>) -> String {
    let (cpus, memory) = (node.total.cpus, Mib(node.total.memory_mib));
    format!("cpu={cpus},mem={memory},billing={cpus}{}", node.gres_tres())
}

/// What jobs hold of it; nothing where there is none.
pub(super) fn used(node: &Node<'_>) -> String {
    let used = match (node.used.cpus, node.used.memory_mib) {
        (0, 0) => return String::new(),
        (cpus, 0) => format!("cpu={cpus}"),
        (cpus, mib) => format!("cpu={cpus},mem={}", Mib(mib)),
    };
    used + &node.gres_used_tres()
}
