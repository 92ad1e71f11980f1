//! What was ever written must decode for ever, and nothing that was not.

mod accounts;
mod asks;
mod cpus;
mod golden;
mod gres;
mod het;
mod placing;
mod preemption;
mod properties;
mod qos;
mod refusals;
mod reservations;
mod samples;
mod story;
mod usage;
