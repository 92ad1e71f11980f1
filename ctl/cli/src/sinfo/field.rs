//! What `sinfo` can show of a row: of a partition, and of nodes of it that are alike.

use std::fmt::Write as _;

use common::{
    hostlist::Hostlist,
    time::{TimeLimit, Timestamp},
};
use proto::config::PartitionState;

use super::row::{Extent, Row};
use crate::{
    render::Clock,
    view::{self, Node},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Of the partition.
    Partition(OfPartition),
    /// Of each node, so that only nodes that are alike share a row.
    Node(OfNode),
    /// Of all nodes of the row, from the least to the most.
    Measure(Measure),
    /// Of all nodes of the row together.
    Row(OfRow),
    /// What Slurm shows of what there is not here.
    Fixed(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfPartition {
    Available,
    DefaultTime,
    Exclusive,
    Groups,
    JobFactor,
    JobSize,
    MaxCpusPerNode,
    Name,
    PreemptMode,
    /// The default one with a star.
    Starred,
    PriorityTier,
    Root,
    Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfNode {
    Address,
    AllocatedMemory,
    Features,
    Gres,
    GresUsed,
    HostName,
    Reason,
    ReasonTime,
    /// The one that holds it now.
    Reservation,
    StateCompact,
    StateComplete,
    StateLong,
    User,
    UserLong,
    Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Cores,
    Cpus,
    Disk,
    FreeMemory,
    Load,
    Memory,
    Sockets,
    Threads,
    Weight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfRow {
    CpusState,
    NodeCount,
    NodeList,
    NodesState,
    NodesUsed,
    Port,
    Topology,
}

/// How fields are written.
pub(crate) struct Style<'a> {
    pub(crate) clock: &'a Clock,
    /// The name of the user with this number.
    pub(crate) user: &'a dyn Fn(u32) -> String,
}

impl Field {
    /// Whether rows are of one partition each because of this field.
    pub(crate) fn names_partition(self) -> bool {
        matches!(self, Self::Partition(OfPartition::Name | OfPartition::Starred))
    }

    /// Appends its value for this row.
    pub(crate) fn put(self, out: &mut String, row: &Row<'_>, style: &Style<'_>) {
        match self {
            Self::Fixed(text) => out.push_str(text),
            Self::Measure(measure) => measure.put(out, row),
            Self::Node(of_node) => of_node.put(out, row.nodes.first(), style),
            Self::Partition(of_partition) => of_partition.put(out, row.partition),
            Self::Row(of_row) => of_row.put(out, row),
        }
    }

    /// Appends what tells this node from others; with `exact` that is more.
    pub(crate) fn put_key(self, out: &mut String, node: &Node<'_>, exact: bool, style: &Style<'_>) {
        let all: &[Measure] = match self {
            Self::Node(of_node) => return of_node.put(out, Some(node), style),
            Self::Measure(measure) => &[measure],
            Self::Row(OfRow::CpusState) => &[Measure::Cpus],
            Self::Row(OfRow::Topology) => &[Measure::Sockets, Measure::Cores, Measure::Threads],
            Self::Row(_) | Self::Partition(_) | Self::Fixed(_) => &[],
        };
        for measure in all.iter().filter(|_| exact) {
            write!(out, "{:?}\0", measure.of(node)).expect("a String takes it");
        }
    }

    /// What rows are sorted by; none where text will do.
    pub(crate) fn number(self, row: &Row<'_>) -> Option<u64> {
        let least = |measure: Measure| row.extent(|node| measure.of(node)).map(|(least, _)| least);
        match self {
            Self::Measure(measure) => Some(least(measure).unwrap_or(0)),
            Self::Partition(OfPartition::JobFactor) => {
                Some(row.partition.conf.priority_job_factor.into())
            }
            Self::Partition(OfPartition::PriorityTier) => {
                Some(row.partition.conf.priority_tier.into())
            }
            Self::Partition(OfPartition::Time) => {
                Some(row.partition.max_time().span().map_or(u64::MAX, |limit| limit.0))
            }
            Self::Row(OfRow::CpusState) => Some(row.cpus()[0]),
            Self::Row(OfRow::NodeCount) => Some(row.nodes.len() as u64),
            Self::Row(OfRow::NodesState | OfRow::NodesUsed) => Some(row.shares()[0]),
            Self::Row(OfRow::Topology) => Some(least(Measure::Sockets).unwrap_or(0)),
            Self::Fixed(_) | Self::Node(_) | Self::Partition(_) | Self::Row(_) => None,
        }
    }
}

impl OfPartition {
    pub(crate) fn put(self, out: &mut String, partition: &view::Partition<'_>) {
        let conf = partition.conf;
        match self {
            Self::Available => out.push_str(match conf.state() {
                PartitionState::Up | PartitionState::Unspecified => "up",
                PartitionState::Down => "down",
                PartitionState::Drain => "drain",
                PartitionState::Inactive => "inact",
            }),
            Self::DefaultTime => match partition.default_time() {
                Some(limit) => put_limit(out, limit),
                None => out.push_str("n/a"),
            },
            Self::Exclusive => out.push_str(if conf.exclusive { "EXCLUSIVE" } else { "NO" }),
            Self::Groups if conf.allow_groups.is_empty() => out.push_str("all"),
            Self::Groups => out.push_str(&conf.allow_groups.join(",")),
            Self::JobFactor => put_number(out, conf.priority_job_factor),
            Self::PreemptMode => out.push_str(partition.preempt_mode().unwrap_or("OFF")),
            Self::JobSize => {
                let min = conf.min_nodes.max(1);
                put_number(out, min);
                match conf.max_nodes {
                    None => out.push_str("-infinite"),
                    Some(max) if max == min => {}
                    Some(max) => write!(out, "-{max}").expect("a String takes it"),
                }
            }
            Self::MaxCpusPerNode => match conf.max_cpus_per_node {
                Some(cpus) => put_number(out, cpus),
                None => out.push_str("UNLIMITED"),
            },
            Self::Name => out.push_str(&conf.name),
            Self::Starred => {
                out.push_str(&conf.name);
                if conf.default {
                    out.push('*');
                }
            }
            Self::PriorityTier => put_number(out, conf.priority_tier),
            Self::Root => out.push_str(if conf.root_only { "yes" } else { "no" }),
            Self::Time => put_limit(out, partition.max_time()),
        }
    }
}

impl OfNode {
    /// Appends what a node says of itself, or what stands there where a row has no nodes.
    fn put(self, out: &mut String, node: Option<&Node<'_>>, style: &Style<'_>) {
        let reason = node.and_then(Node::reason);
        match self {
            Self::Address => out.push_str(node.map_or("", |node| &node.node.address)),
            Self::AllocatedMemory => put_number(out, node.map_or(0, |node| node.used.memory_mib)),
            Self::Features => {
                let features = node.and_then(Node::features);
                out.push_str(features.as_deref().unwrap_or("(null)"));
            }
            Self::Gres => {
                out.push_str(node.and_then(Node::gres).as_deref().unwrap_or("(null)"));
            }
            Self::GresUsed => {
                out.push_str(node.and_then(Node::gres_used).as_deref().unwrap_or("(null)"));
            }
            Self::HostName => out.push_str(node.map_or("", |node| &node.node.host_name)),
            Self::Reservation => {
                let held = node.and_then(|node| node.view.reservation.as_deref());
                out.push_str(held.unwrap_or_default());
            }
            Self::Reason => out.push_str(reason.map_or("none", |reason| &reason.text)),
            Self::ReasonTime => {
                style.clock.put(out, reason.map(|reason| Timestamp(reason.at)), "Unknown");
            }
            Self::StateCompact => match node {
                Some(node) => out.push_str(&node.state().compact()),
                None => out.push_str(NONE),
            },
            Self::StateComplete => match node {
                Some(node) => out.push_str(&node.state().list().join("+").to_ascii_lowercase()),
                None => out.push_str(NONE),
            },
            Self::StateLong => match node {
                Some(node) => out.push_str(&node.state().long()),
                None => out.push_str(NONE),
            },
            Self::User => match reason {
                Some(reason) => out.push_str(&(style.user)(reason.by)),
                None => out.push_str("Unknown"),
            },
            Self::UserLong => match reason {
                Some(reason) => {
                    let name = (style.user)(reason.by);
                    write!(out, "{name}({})", reason.by).expect("a String takes it");
                }
                None => out.push_str("Unknown"),
            },
            Self::Version => out.push_str(node.and_then(Node::version).unwrap_or("N/A")),
        }
    }
}

/// The state of no nodes.
const NONE: &str = "n/a";

impl Measure {
    /// None: the node has not told yet.
    fn of(self, node: &Node<'_>) -> Option<u64> {
        match self {
            Self::Cores => Some(node.conf.cores_per_socket.into()),
            Self::Cpus => Some(node.total.cpus.into()),
            Self::Disk => Some(node.conf.tmp_disk_mib),
            Self::FreeMemory => node.free_mib(),
            Self::Load => node.load(),
            Self::Memory => Some(node.total.memory_mib),
            Self::Sockets => Some(node.conf.sockets.into()),
            Self::Threads => Some(node.conf.threads_per_core.into()),
            Self::Weight => Some(node.node.weight.into()),
        }
    }

    fn put(self, out: &mut String, row: &Row<'_>) {
        let extent = row.extent(|node| self.of(node));
        match self {
            Self::FreeMemory => put_range(out, row, extent, |mib| mib.to_string()),
            Self::Load => {
                put_range(out, row, extent, |load| format!("{}.{:02}", load / 100, load % 100))
            }
            Self::Cores
            | Self::Cpus
            | Self::Disk
            | Self::Memory
            | Self::Sockets
            | Self::Threads
            | Self::Weight => put_extent(out, extent),
        }
    }
}

impl OfRow {
    fn put(self, out: &mut String, row: &Row<'_>) {
        match self {
            Self::CpusState => put_shares(out, row.cpus()),
            Self::NodeCount => put_number(out, row.nodes.len()),
            Self::NodeList => {
                let names = row.nodes.iter().map(Node::name);
                put_number(out, Hostlist::from_names(names).sorted());
            }
            Self::NodesState => put_shares(out, row.shares()),
            Self::NodesUsed => {
                let [allocated, idle, ..] = row.shares();
                write!(out, "{allocated}/{idle}").expect("a String takes it");
            }
            Self::Port => put_number(out, row.nodes.first().map_or(0, |node| node.conf.port)),
            Self::Topology => {
                Measure::Sockets.put(out, row);
                out.push(':');
                Measure::Cores.put(out, row);
                out.push(':');
                Measure::Threads.put(out, row);
            }
        }
    }
}

fn put_number(out: &mut String, number: impl std::fmt::Display) {
    write!(out, "{number}").expect("a String takes it");
}

fn put_limit(out: &mut String, limit: TimeLimit) {
    match limit {
        TimeLimit::Unlimited => out.push_str("infinite"),
        TimeLimit::Minutes(_) => out.push_str(&limit.brief()),
    }
}

/// The least, and a `+` where some have more.
fn put_extent(out: &mut String, extent: Extent) {
    let (least, most) = extent.unwrap_or((0, 0));
    put_number(out, least);
    if most > least {
        out.push('+');
    }
}

/// The least and the most. What no node has told is `N/A`.
fn put_range(out: &mut String, row: &Row<'_>, extent: Extent, text: impl Fn(u64) -> String) {
    match extent {
        None if row.nodes.is_empty() => out.push_str(&text(0)),
        None => out.push_str("N/A"),
        Some((least, most)) if least == most => out.push_str(&text(least)),
        Some((least, most)) => {
            write!(out, "{}-{}", text(least), text(most)).expect("a String takes it");
        }
    }
}

fn put_shares(out: &mut String, [allocated, idle, other, total]: [u64; 4]) {
    write!(out, "{allocated}/{idle}/{other}/{total}").expect("a String takes it");
}
