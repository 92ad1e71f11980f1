//! Whether a partition could ever run a job: what Slurm refuses at once, and does not let wait.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{
    asks::{admits, has_tmp_disk},
    gres,
};
use crate::{
    config::{Config, PartitionConf},
    cpus::{CpuLayout, Grain, Steps},
    gres::Units,
    id::NodeName,
    job::{CoreAsk, Features, JobSpec, MemoryRequest, assign},
    machine::{Lacking, State},
    node::Node,
    resources::Resources,
};

pub(super) fn members<'a>(
    state: &'a State,
    partition: &'a PartitionConf,
) -> impl Iterator<Item = &'a Node> {
    partition
        .nodes
        .iter()
        .filter_map(|name| state.nodes.get(&NodeName::from(name.as_str())))
        .map(AsRef::as_ref)
}

/// The CPUs that the job takes of a node at least.
pub(super) fn cpus_on_node(spec: &JobSpec) -> u32 {
    let layout = &spec.layout;
    let of_tasks =
        layout.cpus_per_task.unwrap_or(1).saturating_mul(layout.tasks_per_node.unwrap_or(1));
    of_tasks.max(spec.units(1).cpus_min)
}

/// What keeps the job from ever running in the partition, were it idle and up; nothing where that
/// could be. A job that asks for more than the whole partition has may wait, as in Slurm: `squeue`
/// shows for what.
pub(super) fn lacking(
    state: &State,
    config: &Config,
    partition: &PartitionConf,
    spec: &JobSpec,
) -> Option<Lacking> {
    // A partition without nodes fails for another reason, which `squeue` shows.
    if partition.nodes.is_empty() {
        return None;
    }
    if !has_tmp_disk(state, partition, spec) {
        return Some(Lacking::TmpDisk);
    }
    let mut lacking = None;
    for alternative in spec.constraint().alternatives() {
        let found = lacking_with(state, config, partition, (spec, alternative))?;
        lacking.get_or_insert(found);
    }
    lacking
}

/// The same for one of the constraint's alternatives.
fn lacking_with(
    state: &State,
    config: &Config,
    partition: &PartitionConf,
    (spec, alternative): (&JobSpec, Option<&Features>),
) -> Option<Lacking> {
    let least = least_on_node(config, spec);
    let excluded: BTreeSet<&NodeName> = spec.excluded_nodes.iter().collect();
    let units = spec.units(nodes_min(spec));
    let admitted = |name: &NodeName| admits(state, spec, alternative, name);
    if !spec.required_nodes.iter().all(admitted) {
        return Some(Lacking::Nodes);
    }
    let may_have = |node: &&Node| !excluded.contains(&node.name) && admitted(&node.name);
    let own = (config, partition);
    let left = || members(state, partition).filter(may_have);
    let any = |fits: &dyn Fn(Resources) -> bool| left().any(|node| fits(there(partition, node)));
    if left().any(|node| fits(state, own, (spec, least), node)) {
        let fit = |node: &Node| {
            if fits(state, own, (spec, least), node) {
                let tasks = tasks_on(state, own, (spec, &units), node);
                tasks.min(gres::units_on(spec, &units, node))
            } else {
                0
            }
        };
        let fits = |node: &Node| may_have(&node) && fit(node) > 0;
        if !all_required(state, partition, spec, &fits) {
            return Some(Lacking::Nodes);
        }
        let suffices = match spec.constraint().counts.is_empty() {
            true => suffice(left().map(fit), spec, units.count),
            false => {
                suffice_and_count(state, left().map(|node| (node, fit(node))), spec, units.count)
            }
        };
        let suffices = suffices || exceeds_partition(members(state, partition), partition, spec);
        (!suffices).then_some(Lacking::Nodes)
    } else if !any(&|_| true) {
        Some(Lacking::Nodes)
    } else if !any(&|total| least.cpus <= total.cpus) {
        Some(Lacking::Cpus)
    } else if matches!(spec.memory, MemoryRequest::PerNode(_))
        && !any(&|total| least.memory_mib <= total.memory_mib)
    {
        Some(Lacking::Memory)
    } else {
        Some(Lacking::Nodes)
    }
}

/// Whether each node that it names is in the partition, and could take a part of it.
fn all_required(
    state: &State,
    partition: &PartitionConf,
    spec: &JobSpec,
    fits: &dyn Fn(&Node) -> bool,
) -> bool {
    if spec.required_nodes.is_empty() {
        return true;
    }
    let members: BTreeSet<&str> = partition.nodes.iter().map(String::as_str).collect();
    spec.required_nodes.iter().all(|name| {
        members.contains(name.as_str()) && state.nodes.get(name).is_some_and(|node| fits(node))
    })
}

/// What the job needs at least of each of its nodes.
fn least_on_node(config: &Config, spec: &JobSpec) -> Resources {
    let cpus = cpus_on_node(spec);
    let memory_mib = match spec.memory {
        _ if !config.select_memory => 0,
        MemoryRequest::Default | MemoryRequest::PerNode(0) => gres::memory_on_node(spec),
        MemoryRequest::PerNode(mib) => mib,
        MemoryRequest::PerCpu(mib) => mib.saturating_mul(u64::from(cpus)),
    };
    Resources { cpus, memory_mib }
}

/// MiB that go with each CPU, where any do.
fn memory_per_cpu(config: &Config, spec: &JobSpec) -> Option<u64> {
    match spec.memory {
        MemoryRequest::PerCpu(mib) if config.select_memory && mib > 0 => Some(mib),
        MemoryRequest::PerCpu(_) | MemoryRequest::PerNode(_) | MemoryRequest::Default => None,
    }
}

/// In which steps the job would take CPUs of the node.
fn steps(
    state: &State,
    config: &Config,
    (spec, each): (&JobSpec, (u32, u32)),
    node: &Node,
) -> Steps {
    let layout = match config.grain {
        Grain::Cpu => None,
        Grain::Core | Grain::Socket => state.node_conf(&node.name).map(CpuLayout::of),
    };
    let layout = layout.unwrap_or(CpuLayout::flat(node.total.cpus));
    Steps::of(layout, config.grain, each, &spec.asks().cores)
}

/// What the partition's jobs may have of the node.
fn there(partition: &PartitionConf, node: &Node) -> Resources {
    Resources { cpus: partition.cpus_of(node.total.cpus), ..node.total }
}

/// Whether the node has what the job needs at least of each of its nodes.
fn fits(
    state: &State,
    (config, partition): (&Config, &PartitionConf),
    (spec, least): (&JobSpec, Resources),
    node: &Node,
) -> bool {
    let total = there(partition, node);
    if (spec.exclusive || partition.exclusive) && total.cpus < node.total.cpus {
        // It can't have the whole of it.
        return false;
    }
    let per_cpu = memory_per_cpu(config, spec);
    if per_cpu.is_none() && spec.asks().cores == CoreAsk::NONE {
        return least.fits_in(total);
    }
    // Whole cores bring CPUs and memory with them that nobody asked for.
    let steps = steps(state, config, (spec, (0, 0)), node);
    let count = steps.count(0, least.cpus);
    let memory = per_cpu.map_or(least.memory_mib, |mib| {
        mib.saturating_mul(u64::from(count.saturating_mul(steps.used)))
    });
    let cpus = count.saturating_mul(steps.taken);
    Resources { cpus, memory_mib: memory }.fits_in(total)
}

/// How many of its tasks (or what else is placed in one piece) fit on the node when it is idle.
fn tasks_on(
    state: &State,
    (config, partition): (&Config, &PartitionConf),
    (spec, units): (&JobSpec, &Units),
    node: &Node,
) -> u32 {
    let steps = steps(state, config, (spec, (units.cpus, units.tasks_each)), node);
    let there = there(partition, node).cpus / steps.taken;
    let there = memory_per_cpu(config, spec).map_or(there, |mib| {
        let memory = node.total.memory_mib / mib.saturating_mul(u64::from(steps.used));
        there.min(u32::try_from(memory).unwrap_or(u32::MAX))
    });
    steps.tasks(there).min(units.most_on_node.unwrap_or(u32::MAX))
}

/// Whether nodes on which as many tasks fit are enough for all of them, and for what is counted.
fn suffice_and_count<'a>(
    state: &State,
    fits: impl Iterator<Item = (&'a Node, u32)>,
    spec: &JobSpec,
    tasks: u32,
) -> bool {
    let nodes_min = nodes_min(spec) as usize;
    let nodes_max = spec.layout.max_nodes.map(|most| nodes_min.max(most as usize));
    let none_given = if spec.layout.nodes_given { nodes_min } else { usize::MAX };
    let nodes_max = nodes_max.unwrap_or(none_given);
    let (counts, apart) = (&spec.constraint().counts, spec.constraint().apart);
    let asked: Vec<u32> = counts.iter().map(|(_, count)| *count).collect();
    // What is named comes first, and is counted before others.
    let others = |node: &Node| !spec.required_nodes.contains(&node.name);
    let mut fits: Vec<_> = fits.filter(|(_, fit)| *fit > 0).collect();
    fits.sort_by_key(|(node, _)| others(node));
    let named = fits.partition_point(|(node, _)| !others(node));
    let enough = |fits: &[(&Node, u32)]| {
        let has = |thing: usize, node: usize| {
            let conf = state.node_conf(&fits[node].0.name);
            conf.is_some_and(|conf| counts[thing].0.met(&|name| conf.has_feature(name)))
        };
        let Some(taken) = assign(&asked, apart, fits.len(), &has) else { return false };
        let must = |node: &usize| *node < named || taken.binary_search(node).is_ok();
        let (mut chosen, others): (Vec<usize>, Vec<usize>) = (0..fits.len()).partition(must);
        let musts = chosen.len();
        chosen.extend(others.into_iter().take(nodes_max.saturating_sub(musts)));
        let room = chosen.iter().fold(0_u32, |room, node| room.saturating_add(fits[*node].1));
        musts <= nodes_max && chosen.len() >= nodes_min && room >= tasks
    };
    if enough(&fits) {
        return true;
    }
    // Those that take most tasks come first where few may be had.
    fits[named..].sort_by_key(|(_, fit)| Reverse(*fit));
    enough(&fits)
}

pub(super) fn nodes_min(spec: &JobSpec) -> u32 {
    let named = u32::try_from(spec.required_nodes.len()).unwrap_or(u32::MAX);
    spec.layout.min_nodes.max(named).max(1)
}

/// Whether nodes on which as many tasks fit are enough for all of them.
fn suffice(fits: impl Iterator<Item = u32>, spec: &JobSpec, tasks: u32) -> bool {
    let nodes_min = nodes_min(spec);
    let nodes_max = spec.layout.max_nodes.map_or(usize::MAX, |most| most.max(nodes_min) as usize);
    let mut all = vec![];
    let mut room = 0_u32;
    for fit in fits.filter(|fit| *fit > 0) {
        all.push(fit);
        room = room.saturating_add(fit);
        // Most jobs are small: few nodes are looked at.
        if all.len() >= nodes_min as usize && room >= tasks && all.len() <= nodes_max {
            return true;
        }
    }
    all.sort_unstable_by(|left, right| right.cmp(left));
    let room = all.iter().take(nodes_max).fold(0_u32, |room, fit| room.saturating_add(*fit));
    all.len() >= nodes_min as usize && room >= tasks
}

/// Whether the job asks for more nodes or CPUs than the partition's jobs may have in all.
fn exceeds_partition<'a>(
    members: impl Iterator<Item = &'a Node>,
    partition: &PartitionConf,
    spec: &JobSpec,
) -> bool {
    let cpus: u64 = members.map(|node| u64::from(there(partition, node).cpus)).sum();
    nodes_min(spec) as usize > partition.nodes.len() || u64::from(spec.layout.cpus()) > cpus
}
