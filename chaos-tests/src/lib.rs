//! Everything that hurts a cluster on purpose.
//!
//! [`sim`] runs whole clusters in one thread, from a seed; [`chaos`] runs the real programs on
//! hosts of their own, under faults, and writes a [`record`] of it, which [`check`] judges; the
//! tests in `tests/real` start the real programs one by one. `BUGS.md` lists what they have found.
//! [`soak`] holds a cluster of real controllers under [`load`] for long.

pub mod chaos;
pub mod check;
pub mod figures;
pub mod gate;
pub mod load;
pub mod pass;
mod plot;
pub mod record;
pub mod report;
pub mod sim;
pub mod soak;
