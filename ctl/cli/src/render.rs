//! How results are laid out: columns, formats, times, and Slurm's JSON.
//!
//! **Invariant:** pure. What depends on the clock, the time zone or the environment comes in with
//! [`Clock`]; everything else writes text into a buffer.

pub(crate) mod clock;
pub(crate) mod column;
pub(crate) mod format;
pub(crate) mod json;

pub(crate) use clock::Clock;
pub(crate) use column::Column;
pub(crate) use format::{Format, Lookup};
