//! The log over real disks and real connections: one process plays all the controllers.

mod membership;
mod single;
mod story;
mod three;
mod world;
