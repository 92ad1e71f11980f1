//! A compute node: its daemon, `rafterd`.
//!
//! - [`agent`] decides, pure, what is done about the node's runs; [`run`] is what it speaks of.

pub mod agent;
pub mod run;
