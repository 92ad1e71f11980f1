//! What a log is opened with.

use std::{path::PathBuf, time::Duration};

use common::id::ClusterId;

/// Who this controller is. The store keeps a copy, and is opened by nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub cluster: ClusterId,
    /// Its number in Raft's membership. Never given to another store.
    pub raft_id: u64,
    /// As in its certificate.
    pub name: String,
    /// `HOST:PORT` where the other controllers reach it. It may change from start to start.
    pub address: String,
}

/// How a log is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the store is, which [`crate::Log::create`] made.
    pub folder: PathBuf,
    pub identity: Identity,
    /// How often a leader says that it is there.
    pub heartbeat: Duration,
    /// After how long without a word from the leader another one campaigns: the least and the
    /// most.
    pub election_timeout: (Duration, Duration),
    /// After how many batches a snapshot is taken.
    pub snapshot_every: u64,
    /// How many batches before a snapshot stay in the log, for followers that are a little behind.
    pub keep_behind_snapshot: u64,
    /// How many bytes of batches cause a snapshot, however few the batches are.
    pub snapshot_bytes: u64,
    /// How long [`crate::Log::admit`] waits for a controller to catch up.
    pub catch_up: Duration,
}

impl Options {
    /// The usual ones: heartbeats each 100 ms, elections after 300 to 600 ms.
    #[must_use]
    pub fn new(folder: PathBuf, identity: Identity) -> Self {
        Self {
            folder,
            identity,
            heartbeat: Duration::from_millis(100),
            election_timeout: (Duration::from_millis(300), Duration::from_millis(600)),
            snapshot_every: 50_000,
            keep_behind_snapshot: 10_000,
            snapshot_bytes: 1 << 30,
            catch_up: Duration::from_secs(30),
        }
    }
}
