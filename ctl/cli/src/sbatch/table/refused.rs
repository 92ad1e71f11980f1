//! The options that Slurm has, and that are refused: each would change what the job gets.

use super::{Opt, Row};

const BURST: Opt = Opt::Unsupported("there are no burst buffers");
const CONTAINER: Opt = Opt::Unsupported("jobs run in no containers");
const FEATURE: Opt = Opt::Unsupported("use --constraint, which all nodes of a job meet");
const GPUS: Opt =
    Opt::Unsupported("GPUs are given to a job's nodes, not bound to some of its tasks");
const PLACEMENT: Opt = Opt::Unsupported("tasks are not placed or bound within a node");
const SHARE: Opt = Opt::Unsupported("CPUs are not shared by jobs");
const TOPOLOGY: Opt = Opt::Unsupported("nodes are not chosen by where they are in the network");

pub(super) const REFUSED: &[Row] = &[
    Row::value("acctg-freq", "", Opt::Unsupported("what jobs use is not sampled"))
        .or(&["SBATCH_ACCTG_FREQ"]),
    Row::value("autocomplete", "", Opt::Unsupported("completion comes from the shell")),
    Row::value("batch", "", FEATURE).or(&["SBATCH_BATCH"]),
    Row::value("bb", "", BURST),
    Row::value("bbf", "", BURST),
    Row::value("cluster-constraint", "", Opt::Unsupported("there are no federations"))
        .or(&["SBATCH_CLUSTER_CONSTRAINT"]),
    Row::flag("consolidate-segments", TOPOLOGY),
    Row::value("container", "", CONTAINER).or(&["SBATCH_CONTAINER"]),
    Row::value("container-id", "", CONTAINER).or(&["SBATCH_CONTAINER_ID"]),
    Row::value("container-type", "", CONTAINER).or(&["SBATCH_CONTAINER_TYPE"]),
    Row::value("context", "", Opt::Unsupported("jobs have no security context of SELinux")),
    Row::value("cpu-freq", "", Opt::Unsupported("the frequency of CPUs is not set")),
    Row::value("delay-boot", "", Opt::Only("0", "nodes are not booted")).or(&["SBATCH_DELAY_BOOT"]),
    Row::value("distribution", "", PLACEMENT).short('m').or(&["SBATCH_DISTRIBUTION"]),
    Row::flag("external", Opt::Unsupported("each job has a batch script")),
    Row::value("extra", "", Opt::Unsupported("nodes have no extra texts to choose by")),
    Row::flag("get-user-env", Opt::Unsupported("use --export, or a login shell in the script"))
        .or(&["SBATCH_GET_USER_ENV"]),
    Row::value("gpu-bind", "", GPUS).or(&["SBATCH_GPU_BIND"]),
    Row::value("gpu-freq", "", Opt::Unsupported("the frequency of GPUs is not set"))
        .or(&["SBATCH_GPU_FREQ"]),
    Row::value("gpus-per-socket", "", GPUS).or(&["SBATCH_GPUS_PER_SOCKET"]),
    Row::value("gres-flags", "", GPUS).or(&["SBATCH_GRES_FLAGS"]),
    Row::value("mcs-label", "", Opt::Unsupported("jobs have no security label")),
    Row::value("mem-bind", "", PLACEMENT).or(&["SBATCH_MEM_BIND"]),
    Row::value("mem-update", "", Opt::Unsupported("a job's memory stays as it was asked for")),
    Row::value("network", "", TOPOLOGY).or(&["SBATCH_NETWORK"]),
    Row::may_value("no-kill", "", Opt::Unsupported("a job ends when one of its nodes fails"))
        .short('k')
        .or(&["SBATCH_NO_KILL"]),
    Row::value("ntasks-per-gpu", "", GPUS),
    Row::value("ntasks-per-socket", "", PLACEMENT),
    Row::value("ntasks-per-tres", "", GPUS),
    Row::may_value("oom-kill-step", "", Opt::Unsupported("a job that runs out of memory ends"))
        .or(&["SBATCH_OOM_KILL_STEP"]),
    Row::flag("overcommit", SHARE).short('O').or(&["SBATCH_OVERCOMMIT"]),
    Row::flag("oversubscribe", SHARE).short('s'),
    Row::value("prefer", "", FEATURE),
    Row::value("profile", "", Opt::Unsupported("what jobs use is not sampled"))
        .or(&["SBATCH_PROFILE"]),
    Row::flag("reboot", Opt::Unsupported("nodes are not booted")),
    Row::value("resources", "", Opt::Unsupported("licenses are asked for by --licenses")),
    Row::may_value("resv-ports", "", Opt::Unsupported("no ports are given to jobs")),
    Row::value("segment", "", TOPOLOGY).or(&["SBATCH_SEGMENT_SIZE"]),
    Row::flag("spread-segments", TOPOLOGY),
    Row::flag("stepmgr", Opt::Unsupported("a job's steps have no manager of their own")),
    Row::value("tres-bind", "", GPUS).or(&["SBATCH_TRES_BIND"]),
    Row::value("tres-per-task", "", GPUS).or(&["SBATCH_TRES_PER_TASK"]),
    Row::value("wait-all-nodes", "", Opt::Only("0", "a script starts when its node is ready"))
        .or(&["SBATCH_WAIT_ALL_NODES"]),
    Row::value("wckey", "", Opt::Unsupported("jobs have no workload key")).or(&["SBATCH_WCKEY"]),
];
