//! The machine as a whole: stories, and what must hold after any sequence of commands.

mod accounts;
mod arrays;
mod cluster;
mod constraints;
mod cpus;
mod dependencies;
mod gres;
mod het;
mod licenses;
mod limits;
mod members;
mod moves;
mod partition_qos;
mod partitions;
mod preempt;
mod properties;
mod requests;
mod reservations;
mod several;
mod sharing;
mod stories;
mod times;
mod usage;
