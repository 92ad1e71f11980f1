//! How a job wants its nodes chosen, and whom it shares them with.

/// See the module. By default, in no way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placing {
    /// `--exclusive=user`: nobody else's jobs are on its nodes.
    pub user_alone: bool,
}

impl Placing {
    pub const NONE: Self = Self { user_alone: false };
}
