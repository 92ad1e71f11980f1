//! The scheduler on trial: logs of real machines, played again under a virtual clock, and queues
//! far longer than a test's. `cargo xtask sim trace` and `cargo xtask bench` run the programs.

pub mod mix;
pub mod plot;
pub mod replay;
pub mod state;
pub mod swf;
