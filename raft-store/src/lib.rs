//! The log: what the controllers agree on, on their disks and between them.
//!
//! [`Log`] is the handle. It appends batches of entries, says who leads, and publishes the state
//! that follows from what is committed. Raft is openraft's, the disk is RocksDB's.
//!
//! ```text
//!   append ──▶ openraft ──▶ storage, tail ──▶ writer (one thread) ──▶ RocksDB: log, vote
//!                 │  │
//!                 │  └────▶ network ──TLS──▶ service of the others
//!                 ▼ committed
//!              machine ──▶ history: RocksDB    snapshot: files ──transfer──▶ who is behind
//!                 │
//!                 ▼
//!              applied states, for readers
//! ```
//!
//! **Invariants:** nothing outside this crate names openraft. An append that succeeded is on the
//! disks of a majority, synced, and is applied here. Where the log can't go on (a broken disk, an
//! entry that can't be decoded), it says so through [`Log::stopped`], and acknowledges nothing.

mod backup;
mod disk;
mod error;
mod format;
mod haste;
mod health;
mod history;
mod lead;
mod log;
mod machine;
mod members;
mod muster;
mod network;
mod open;
mod options;
mod read;
pub mod records;
mod restore;
mod service;
mod snapshot;
mod storage;
mod tail;
mod transfer;
mod trial;
mod types;
mod upkeep;
mod wal;
mod wire;
mod writer;

pub use backup::{BackupError, BackupFacts, Copied};
pub use error::{MembershipError, StoreError, Unavailable};
pub use history::History;
pub use log::{Appended, Applied, Leadership, Log, Lost, Member, Progress, Stopped};
pub use options::{Identity, Options};
pub use restore::{RestoreError, look, recover, restore_backup};
pub use service::{Answers, RaftService};
pub use trial::{SnapshotTrial, try_snapshot};
