//! The seeded simulator: controllers, nodes and users in one thread.
//!
//! What is real: the machine (`decide`, `apply`, `check`, timers, orders), the leader's head, its
//! desk and its vigil, the scheduler, the encoding of the log, the format of the controllers'
//! records and snapshots, the nodes' agent, and the files of their runs. What is simulated: time,
//! the network, disks, the supervisors of jobs, and Raft, of which `raft` keeps the promises and
//! nothing more, and says why.
//!
//! What goes wrong: messages are late, lost, doubled, and overtake each other; places are cut off
//! from each other, on both sides or one; clocks are wrong, and jump; processes freeze and die;
//! power fails, and takes along what was not synced; disks are full, slow, fail to sync, and flip
//! bits.
//!
//! ```text
//!   user ──▶ controller ──▶ raft ──▶ controllers ──▶ node ──▶ supervisor
//!     ▲          │                        ▲            │          │
//!     └──────────┘                        └────────────┴──────────┘
//! ```
//!
//! A run has two phases. In the first, faults of all kinds overlap, and nothing wrong may happen:
//! no acknowledged job is lost, no id is given twice, a run's script starts once and where it was
//! allocated, no CPU of a node is used twice, no end is told that the node did not see, none that
//! it saw is lost, nobody makes way for another who need not, or before his time, no read misses
//! what was acknowledged before it, what is committed stays, no node is given up that its leader
//! could have heard, and the state never contradicts itself. Then the faults end, and within a
//! bound every job must have ended and every node be clean, and all replicas be the same.
//!
//! Known bugs (`common::planted`) are planted to see that it notices: `tests/gate.rs`.
//!
//! **Invariant:** a seed gives everything. Nothing here depends on a clock, or iterates in an order
//! that differs from run to run.

mod campaign;
mod controller;
mod cpus;
mod disk;
mod elect;
mod faults;
mod gpus;
mod het;
mod host;
mod leader;
mod licenses;
mod log;
mod network;
mod orders;
#[cfg(feature = "planted")]
mod planted;
mod preempting;
mod raft;
mod reserved;
mod spool;
mod tasks;
mod trace;
mod user;
mod waits;
mod witness;
mod world;

pub use campaign::{Failure, Totals, campaign, options, try_run};
pub use preempting::Making;
pub use trace::Trace;
pub use world::{Options, Outcome};

use world::World;
