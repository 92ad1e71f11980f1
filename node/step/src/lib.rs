//! What the supervisor of a batch step and the node's daemon agree on: the run's folder in the
//! spool, and the lines on its control socket.
//!
//! `rafterstepd FOLDER` runs one job's batch script and outlives the daemon that started it. The
//! daemon writes the folder with [`spool::Folder::prepare`], starts the supervisor with
//! [`spool::Folder::supervisor`], and talks to it through [`control`]. After a restart of its own
//! it asks [`spool::Folder::found`] what became of each run, and has [`orphans::reap`] remove what
//! a dead supervisor left.
//!
//! Depends on almost nothing: no async runtime, no wire, so that it starts in a millisecond and a
//! thousand of them fit beside the jobs.

pub mod cgroup;
pub mod control;
pub mod manifest;
pub mod orphans;
pub mod processes;
pub mod spool;
