//! What a job asks of the sockets, cores and threads of its nodes.

use crate::{
    config::NodeConf,
    cpus::{CpuLayout, Grain},
};

/// See the module. By default, nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CoreAsk {
    /// `--sockets-per-node`: each node has so many at least.
    pub sockets: Option<u32>,
    /// `--cores-per-socket`
    pub cores: Option<u32>,
    /// `--threads-per-core`: and tasks use no more of each core.
    pub threads: Option<u32>,
    /// `--ntasks-per-core`: the most tasks that share one.
    pub tasks_per_core: Option<u32>,
}

impl CoreAsk {
    pub const NONE: Self = Self { sockets: None, cores: None, threads: None, tasks_per_core: None };

    /// Whether the node is such a one. Where single CPUs are given out, nobody knows who shares a
    /// core: what is asked of its use holds only where a core is one CPU.
    #[must_use]
    pub fn admits(&self, grain: Grain, node: &NodeConf) -> bool {
        let enough = |asked: Option<u32>, has: u32| asked.is_none_or(|asked| asked <= has);
        let used = self.threads.is_some_and(|threads| threads < node.threads_per_core)
            || self.tasks_per_core.is_some();
        enough(self.sockets, node.sockets)
            && enough(self.cores, node.cores_per_socket)
            && enough(self.threads, node.threads_per_core)
            && (!used || grain != Grain::Cpu || CpuLayout::of(node).threads == 1)
    }
}
