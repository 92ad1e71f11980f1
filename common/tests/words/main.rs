//! The words against what real Slurm was seen to do, and against arbitrary texts.
//!
//! The captures are of Slurm 26.05: a command, its exit code, what it printed, and where the
//! command tells too little, a line of what the job looked like.

mod accounts;
mod arrays;
mod captures;
mod config;
mod constraints;
mod cpus;
mod dates;
mod dependencies;
mod gres;
mod hostlists;
mod licenses;
mod patterns;
mod reservations;
mod sizes;
mod times;
