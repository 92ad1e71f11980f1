//! The letters of `sinfo -o` and the keys of `sinfo -O`, with their headings.

use super::field::{
    Field::{self, Fixed, Measure as M, Node as N, Partition as P, Row as R},
    Measure as Of, OfNode, OfPartition, OfRow,
};
use crate::render::Lookup;

/// Letters, in the order in which `-o %all` has them.
const LETTERS: &[(char, &str, Field)] = &[
    ('a', "AVAIL", P(OfPartition::Available)),
    ('b', "ACTIVE_FEATURES", N(OfNode::Features)),
    ('c', "CPUS", M(Of::Cpus)),
    ('d', "TMP_DISK", M(Of::Disk)),
    ('e', "FREE_MEM", M(Of::FreeMemory)),
    ('f', "AVAIL_FEATURES", N(OfNode::Features)),
    ('g', "GROUPS", P(OfPartition::Groups)),
    ('h', "OVERSUBSCRIBE", P(OfPartition::Exclusive)),
    ('i', "RESERVATION", N(OfNode::Reservation)),
    ('l', "TIMELIMIT", P(OfPartition::Time)),
    ('m', "MEMORY", M(Of::Memory)),
    ('n', "HOSTNAMES", N(OfNode::HostName)),
    ('o', "NODE_ADDR", N(OfNode::Address)),
    ('p', "PRIO_TIER", P(OfPartition::PriorityTier)),
    ('r', "ROOT", P(OfPartition::Root)),
    ('s', "JOB_SIZE", P(OfPartition::JobSize)),
    ('t', "STATE", N(OfNode::StateCompact)),
    ('u', "USER", N(OfNode::User)),
    ('v', "VERSION", N(OfNode::Version)),
    ('w', "WEIGHT", M(Of::Weight)),
    ('z', "S:C:T", R(OfRow::Topology)),
    ('A', "NODES(A/I)", R(OfRow::NodesUsed)),
    ('B', "MAX_CPUS_PER_NODE", P(OfPartition::MaxCpusPerNode)),
    ('C', "CPUS(A/I/O/T)", R(OfRow::CpusState)),
    ('D', "NODES", R(OfRow::NodeCount)),
    ('E', "REASON", N(OfNode::Reason)),
    ('F', "NODES(A/I/O/T)", R(OfRow::NodesState)),
    ('G', "GRES", N(OfNode::Gres)),
    ('H', "TIMESTAMP", N(OfNode::ReasonTime)),
    ('I', "PRIO_JOB_FACTOR", P(OfPartition::JobFactor)),
    ('L', "DEFAULTTIME", P(OfPartition::DefaultTime)),
    ('M', "PREEMPT_MODE", P(OfPartition::PreemptMode)),
    ('N', "NODELIST", R(OfRow::NodeList)),
    ('O', "CPU_LOAD", M(Of::Load)),
    ('P', "PARTITION", P(OfPartition::Starred)),
    ('R', "PARTITION", P(OfPartition::Name)),
    ('S', "ALLOCNODES", Fixed("all")),
    ('T', "STATE", N(OfNode::StateLong)),
    ('U', "USER", N(OfNode::UserLong)),
    ('V', "CLUSTER", Fixed("N/A")),
    ('X', "SOCKETS", M(Of::Sockets)),
    ('Y', "CORES", M(Of::Cores)),
    ('Z', "THREADS", M(Of::Threads)),
];

/// Keys, in the order of their names. Slurm takes them in any case.
const KEYS: &[(&str, &str, Field)] = &[
    ("AllocMem", "ALLOCMEM", N(OfNode::AllocatedMemory)),
    ("AllocNodes", "ALLOCNODES", Fixed("all")),
    ("Available", "AVAIL", P(OfPartition::Available)),
    ("Cluster", "CLUSTER", Fixed("N/A")),
    ("Comment", "COMMENT", Fixed("(null)")),
    ("Cores", "CORES", M(Of::Cores)),
    ("CPUs", "CPUS", M(Of::Cpus)),
    ("CPUsLoad", "CPU_LOAD", M(Of::Load)),
    ("CPUsState", "CPUS(A/I/O/T)", R(OfRow::CpusState)),
    ("DefaultTime", "DEFAULTTIME", P(OfPartition::DefaultTime)),
    ("Disk", "TMP_DISK", M(Of::Disk)),
    ("Extra", "EXTRA", Fixed("(null)")),
    ("Features", "AVAIL_FEATURES", N(OfNode::Features)),
    ("features_act", "ACTIVE_FEATURES", N(OfNode::Features)),
    ("FreeMem", "FREE_MEM", M(Of::FreeMemory)),
    ("Gres", "GRES", N(OfNode::Gres)),
    ("GresUsed", "GRES_USED", N(OfNode::GresUsed)),
    ("Groups", "GROUPS", P(OfPartition::Groups)),
    ("MaxCPUsPerNode", "MAX_CPUS_PER_NODE", P(OfPartition::MaxCpusPerNode)),
    ("Memory", "MEMORY", M(Of::Memory)),
    ("NodeAddr", "NODE_ADDR", N(OfNode::Address)),
    ("NodeAI", "NODES(A/I)", R(OfRow::NodesUsed)),
    ("NodeAIOT", "NODES(A/I/O/T)", R(OfRow::NodesState)),
    ("NodeHost", "HOSTNAMES", N(OfNode::HostName)),
    ("NodeList", "NODELIST", R(OfRow::NodeList)),
    ("Nodes", "NODES", R(OfRow::NodeCount)),
    ("OverSubscribe", "OVERSUBSCRIBE", P(OfPartition::Exclusive)),
    ("Partition", "PARTITION", P(OfPartition::Starred)),
    ("PartitionName", "PARTITION", P(OfPartition::Name)),
    ("Port", "PORT", R(OfRow::Port)),
    ("PreemptMode", "PREEMPT_MODE", P(OfPartition::PreemptMode)),
    ("PriorityJobFactor", "PRIO_JOB_FACTOR", P(OfPartition::JobFactor)),
    ("PriorityTier", "PRIO_TIER", P(OfPartition::PriorityTier)),
    ("Reason", "REASON", N(OfNode::Reason)),
    ("Reservation", "RESERVATION", N(OfNode::Reservation)),
    ("Root", "ROOT", P(OfPartition::Root)),
    ("Size", "JOB_SIZE", P(OfPartition::JobSize)),
    ("SocketCoreThread", "S:C:T", R(OfRow::Topology)),
    ("Sockets", "SOCKETS", M(Of::Sockets)),
    ("StateCompact", "STATE", N(OfNode::StateCompact)),
    ("StateComplete", "STATECOMPLETE", N(OfNode::StateComplete)),
    ("StateLong", "STATE", N(OfNode::StateLong)),
    ("Threads", "THREADS", M(Of::Threads)),
    ("Time", "TIMELIMIT", P(OfPartition::Time)),
    ("TimeStamp", "TIMESTAMP", N(OfNode::ReasonTime)),
    ("User", "USER", N(OfNode::User)),
    ("UserLong", "USER", N(OfNode::UserLong)),
    ("Version", "VERSION", N(OfNode::Version)),
    ("Weight", "WEIGHT", M(Of::Weight)),
];

pub(super) fn letter(letter: char) -> Lookup<Field> {
    let found = LETTERS.iter().find(|(known, ..)| *known == letter);
    found.map(|(_, heading, field)| (*field, *heading))
}

pub(super) fn key(key: &str) -> Lookup<Field> {
    let found = KEYS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(key));
    found.map(|(_, heading, field)| (*field, *heading))
}

/// What `-o %all` stands for: Slurm puts a blank after the capital letters.
pub(super) fn all() -> String {
    let (lower, upper): (Vec<_>, Vec<_>) =
        LETTERS.iter().map(|(letter, ..)| *letter).partition(char::is_ascii_lowercase);
    let lower: String = lower.iter().map(|letter| format!("%{letter}|")).collect();
    let upper: Vec<_> = upper.iter().map(|letter| format!("%{letter} ")).collect();
    format!("{lower}{}", upper.join("|"))
}

pub(super) fn letters() -> Vec<String> {
    LETTERS.iter().map(|(letter, ..)| letter.to_string()).collect()
}

pub(super) fn keys() -> Vec<String> {
    KEYS.iter().map(|(key, ..)| (*key).to_owned()).collect()
}
