//! The controller: the daemon `rafterctld`, as a library that tests can start in their own process.
//!
//! ```text
//!   rpc ──▶ proposer ──▶ raft-store ──▶ applied state ──▶ reads
//!             ▲  head                        │
//!             │                              ├──▶ nodes: orders down, reports up
//!             └──────── leader: scheduler, timers, membership, silence of nodes
//! ```
//!
//! [`daemon::Controller::start`] makes a running controller of its parts.

pub mod authorities;
pub mod clock;
pub mod conf;
pub mod daemon;
pub mod head;
pub mod home;
pub mod measures;
pub mod proposer;

mod describe;
#[cfg(test)]
mod fixture;
mod leader;
mod nodes;
mod reasons;
mod rpc;
mod shared;
mod views;

pub use nodes::{desk, vigil};
pub use shared::ReadConfig;
