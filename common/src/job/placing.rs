//! How a job wants its nodes chosen, and whom it shares them with.

use crate::{count, time::parse_span};

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
    /// `--switches`
    pub switches: Option<Switches>,
}

/// Beside how few switches its nodes are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Switches {
    pub most: u32,
    /// For how many seconds it waits for such nodes; none: as long as it may.
    pub wait_s: Option<u32>,
}

impl Placing {
    pub const NONE: Self = Self {
        user_alone: false,
        contiguous: false,
        spread: false,
        use_min_nodes: false,
        switches: None,
    };
}

impl Switches {
    /// `2`, or with the time for which it waits for as few: `2@10:00`.
    ///
    /// # Errors
    /// Where it is neither, or there is not one switch at least.
    pub fn parse(text: &str) -> Result<Self, SwitchError> {
        let (most, wait) = match text.split_once('@') {
            Some((most, wait)) => (most, Some(wait)),
            None => (text, None),
        };
        let most = count::parse_positive(most).ok_or(SwitchError)?;
        let Some(wait) = wait else { return Ok(Self { most, wait_s: None }) };
        let wait = parse_span(wait).map_err(|_| SwitchError)?;
        let seconds = wait.map(|wait| u32::try_from(wait.seconds()).unwrap_or(u32::MAX));
        Ok(Self { most, wait_s: seconds })
    }
}

/// Not what `--switches` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a number of switches is wanted, and perhaps @ and a time")]
pub struct SwitchError;
