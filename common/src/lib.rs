//! What every process must agree on: the words, and the machine.
//!
//! **Invariant:** pure. No clock, no file, no socket, no randomness and no environment is reached
//! from this crate; what depends on them comes in as an argument.

pub mod account;
pub mod config;
pub mod count;
pub mod cpus;
pub mod date;
pub mod gres;
pub mod hostlist;
pub mod id;
pub mod job;
pub mod machine;
pub mod node;
pub mod pattern;
pub mod planted;
pub mod reservation;
pub mod resources;
pub mod size;
pub mod time;
