//! The seeded simulator: controllers, nodes and users in one thread.
//!
//! What is real: the machine (`decide`, `apply`, `check`, timers, orders), the leader's head, the
//! log's encoding, snapshots of the state, the scheduler, and the nodes' agent. What is simulated:
//! time, the network, disks, the supervisors of jobs, and Raft, of which `raft` keeps the
//! promises and nothing more.
//!
//! ```text
//!   user ──▶ controller ──▶ raft ──▶ controllers ──▶ node ──▶ supervisor
//!     ▲          │                        ▲            │          │
//!     └──────────┘                        └────────────┴──────────┘
//! ```
//!
//! A run has two phases. In the first, faults of all kinds overlap, and nothing wrong may happen.
//! Then the faults end, and within a bound every job must have ended and every node be clean.
//!
//! **Invariant:** a seed gives everything. Nothing here reads a clock or iterates in an order that
//! differs from run to run.

mod controller;
mod faults;
mod host;
mod leader;
mod network;
mod raft;
mod trace;
mod user;
mod witness;
mod world;

pub use trace::Trace;
pub use world::{Options, Outcome, World};

/// Runs a cluster from `seed` to its end.
///
/// # Panics
/// Where an invariant does not hold. The message names the seed.
#[must_use]
pub fn run(seed: u64, options: Options) -> Outcome {
    World::new(seed, options).run()
}
