//! Real controllers, nodes and jobs, under faults.
//!
//! Each test raises a cluster of its own on loopback, from the programs that were built beside it,
//! and leaves nothing behind. The jobs witness their runs themselves: each appends its id to a
//! file, and what the file says is held against what was acknowledged.

mod arrays;
mod cluster;
mod controllers;
mod door;
mod nodes;
mod operations;
mod preemption;
mod record;
mod stream;
mod wait;
