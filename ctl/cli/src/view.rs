//! What the controllers answer, looked at as Slurm's users look at it.
//!
//! **Invariant:** pure. A view that lacks what each has is [`Malformed`]; it is never read with a
//! guess.

pub(crate) mod asks;
pub(crate) mod gres;
mod het;
pub(crate) mod job;
pub(crate) mod node;
pub(crate) mod partition;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod signal_text;
pub(crate) mod state;
pub(crate) mod target;

pub(crate) use job::Job;
pub(crate) use node::Node;
pub(crate) use partition::Partition;
pub(crate) use state::State;
pub(crate) use target::JobTarget;

/// An answer that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the controller's answer lacks a {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);
