//! Real connections on loopback.

mod handshake;
mod world;
