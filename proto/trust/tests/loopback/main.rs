//! Real connections on loopback.

mod calls;
mod handshake;
mod join;
mod service;
mod serving;
mod world;
