//! Everything that hurts a cluster on purpose.
//!
//! [`sim`] runs whole clusters in one thread, from a seed; the tests in `tests/real` start the real
//! programs. `BUGS.md` lists what they have found.

pub mod check;
pub mod record;
pub mod report;
pub mod sim;
