//! The controller: the daemon `rafterctld`, as a library that tests can start in their own process.
//!
//! ```text
//!   rpc ──▶ proposer ──▶ raft-store ──▶ applied state ──▶ reads
//!             ▲  head                        │
//!             │                              ├──▶ nodes: orders down, reports up
//!             └──────── leader: scheduler, timers, membership, silence of nodes
//! ```

pub mod clock;
pub mod head;
