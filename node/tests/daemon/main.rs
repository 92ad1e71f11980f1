//! The daemon as a process, under leaders that are made up: over real TLS, with real supervisors
//! and real jobs.

mod called;
mod certificates;
mod cluster;
mod gpus;
mod host;
mod leaders;
mod runs;
mod users;
