//! Snapshots between controllers.
//!
//! ```text
//!   sender                                   receiver
//!     head, chunks of the file, end  ─────▶  writes and checks the file
//!                                    ◀─────  which blobs it lacks, from where its history ends
//!     blobs, history, end            ─────▶  writes and flushes them
//!                                    ◀─────  installed
//! ```
//!
//! A follower that gets a snapshot passes over entries of the log, so it gets with it what those
//! entries would have left beside the state: the contents that live jobs need, and the whole
//! history that it lacks, so that the history is the same on each controller.

mod receive;
mod send;

pub(crate) use receive::Receiver;
pub(crate) use send::send;

/// Bytes of one message, about.
const CHUNK: usize = 1 << 20;

/// Messages that wait to be sent or handled.
const AHEAD: usize = 4;
