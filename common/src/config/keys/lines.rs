//! The keys of lines that are about some nodes or one partition.

use super::{Key, alias, honoured, idle, only, refused, unless};

const PER_GPU: &str = "a job says itself what it wants with each GPU";
const POWER: &str = "nodes are not switched off and on";
const BINDING: &str = "tasks are not bound to CPUs";
const SET_APART: &str = "nothing would be set apart for the system";
const SHARE: &str = "a partition's share of a node would not be bounded";
const TOPOLOGY: &str = "nodes are chosen without regard to the network between them";

/// Of lines that begin with `NodeName`.
pub(in crate::config) static NODE: &[Key] = &[
    honoured("NodeName"),
    idle("BcastAddr", "files are not broadcast"),
    honoured("Boards"),
    refused("CoreSpecCount", SET_APART),
    honoured("CoresPerSocket"),
    idle("CpuBind", BINDING),
    honoured("CPUs"),
    refused("CpuSpecList", SET_APART),
    alias("Feature", "Features"),
    honoured("Features"),
    honoured("Gres"),
    refused("MemSpecLimit", SET_APART),
    honoured("NodeAddr"),
    honoured("NodeHostname"),
    idle("Parameters", "none of them concerns anything that is done here"),
    honoured("Port"),
    alias("Procs", "CPUs"),
    honoured("RealMemory"),
    honoured("Reason"),
    idle("RestrictedCoresPerGPU", "no CPUs are kept for those who want GPUs"),
    honoured("Sockets"),
    honoured("SocketsPerBoard"),
    only(
        "State",
        &["UNKNOWN", "IDLE", "DOWN", "DRAIN"],
        "a node begins as UNKNOWN, DOWN or DRAIN here; it is there as soon as it is configured",
    ),
    honoured("ThreadsPerCore"),
    honoured("TmpDisk"),
    idle("Topology", TOPOLOGY),
    honoured("Weight"),
];

/// Of lines that begin with `DownNodes`.
pub(in crate::config) static DOWN_NODES: &[Key] = &[
    honoured("DownNodes"),
    honoured("Reason"),
    only("State", &["DOWN", "DRAIN"], "a node is taken out of use as DOWN or DRAIN here"),
];

/// Of lines that begin with `NodeSet`.
pub(in crate::config) static NODE_SET: &[Key] =
    &[honoured("NodeSet"), honoured("Feature"), honoured("Nodes")];

/// Of lines that begin with `PartitionName`.
pub(in crate::config) static PARTITION: &[Key] = &[
    honoured("PartitionName"),
    unless("AllocNodes", &["ALL"], "jobs could be submitted from everywhere"),
    honoured("AllowAccounts"),
    honoured("AllowGroups"),
    honoured("AllowQos"),
    refused("Alternate", "jobs would not move to the other partition"),
    idle("CpuBind", BINDING),
    honoured("Default"),
    honoured("DefaultTime"),
    idle("DefCpuPerGPU", PER_GPU),
    honoured("DefMemPerCPU"),
    idle("DefMemPerGPU", PER_GPU),
    honoured("DefMemPerNode"),
    honoured("DenyAccounts"),
    honoured("DenyQos"),
    honoured("DisableRootJobs"),
    only(
        "Exclusive",
        &["NO", "NODE", "USER"],
        "nodes are shared, or for one job or one user alone",
    ),
    unless("ExclusiveTopo", &["NO"], TOPOLOGY),
    honoured("ExclusiveUser"),
    honoured("GraceTime"),
    honoured("Hidden"),
    idle("JobDefaults", PER_GPU),
    honoured("LLN"),
    honoured("MaxCPUsPerNode"),
    unless("MaxCPUsPerSocket", &["UNLIMITED"], SHARE),
    honoured("MaxMemPerCPU"),
    honoured("MaxMemPerNode"),
    honoured("MaxNodes"),
    honoured("MaxTime"),
    honoured("MinNodes"),
    honoured("Nodes"),
    only(
        "OverSubscribe",
        &["NO", "YES", "YES:1", "FORCE:1", "EXCLUSIVE"],
        "a CPU is never given to two jobs at a time",
    ),
    unless("OverTimeLimit", &["0", "NONE"], "jobs end at their time limit"),
    unless("PowerDownOnIdle", &["NO"], POWER),
    honoured("PreemptMode"),
    alias("Priority", "PriorityTier"),
    honoured("PriorityJobFactor"),
    honoured("PriorityTier"),
    honoured("QOS"),
    unless("ReqResv", &["NO"], "a job may always be without a reservation"),
    idle("ResumeTimeout", POWER),
    honoured("RootOnly"),
    unless("SelectTypeParameters", &["NONE"], "the cluster's SelectTypeParameters hold everywhere"),
    alias("Shared", "OverSubscribe"),
    honoured("State"),
    idle("SuspendTime", POWER),
    idle("SuspendTimeout", POWER),
    idle("Topology", TOPOLOGY),
    honoured("TRESBillingWeights"),
];

/// Of lines of `topology.conf`.
pub(in crate::config) static SWITCH: &[Key] = &[
    honoured("SwitchName"),
    idle("LinkSpeed", "no speed of a link counts"),
    honoured("Nodes"),
    honoured("Switches"),
];

/// Of lines of `gres.conf`.
pub(in crate::config) static GRES: &[Key] = &[
    unless(
        "AutoDetect",
        &["off", "none", "(null)"],
        "devices are not looked for; name them by File, and set AutoDetect=off",
    ),
    idle("Cores", "CPUs are counted, and jobs are not bound to some"),
    honoured("Count"),
    alias("CPUs", "Cores"),
    honoured("File"),
    idle("Flags", "the variables of all vendors are set for GPUs"),
    idle("Links", "GPUs are chosen without regard to the links between them"),
    refused("MultipleFiles", "one file stands for each device"),
    honoured("Name"),
    honoured("NodeName"),
    honoured("Type"),
];
