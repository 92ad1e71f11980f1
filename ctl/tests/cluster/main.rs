//! A controller in this process, over real TLS: who may call what, what comes back, and how a node
//! and its jobs fare.

mod jobs;
mod members;
mod nodes;
mod permissions;
mod planning;
mod reads;
mod three;
mod world;
