//! The log over real disks and real connections: one process plays all the controllers.

mod figures;
mod membership;
mod single;
mod snapshots;
mod stops;
mod story;
mod three;
mod trouble;
mod world;
