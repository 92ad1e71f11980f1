//! The supervisor with real processes.

mod bench;
mod ends;
mod launches;
mod orphans;
mod signals;
