//! How a job wants its nodes chosen, and whom it shares them with.

/// See the module. By default, in no way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of sbatch's")]
pub struct Placing {
    /// `--exclusive=user`: nobody else's jobs are on its nodes.
    pub user_alone: bool,
    /// `--contiguous`: its nodes follow each other in the configuration.
    pub contiguous: bool,
    /// `--spread-job`: on as many nodes as may be, with about as many tasks on each.
    pub spread: bool,
    /// `--use-min-nodes`: of a range of nodes, no more than its tasks need. So it is in any case.
    pub use_min_nodes: bool,
}

impl Placing {
    pub const NONE: Self =
        Self { user_alone: false, contiguous: false, spread: false, use_min_nodes: false };
}
