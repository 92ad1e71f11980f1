//! What a snapshot costs, for those who measure.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    StoreError,
    snapshot::Snapshots,
    types::{SnapshotMeta, StoredMembership, log_id},
};
use common::machine::State;

/// A snapshot that was written, read again, and removed.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotTrial {
    pub written: Duration,
    pub read: Duration,
    pub bytes: u64,
}

/// Writes a snapshot of `state` into a folder of its own below `folder`, as a controller does
/// beside its work, and reads it again.
///
/// # Errors
/// Where the disk fails, or what comes back is another state.
pub fn try_snapshot(folder: &Path, state: &State) -> Result<SnapshotTrial, StoreError> {
    let own = folder.join("snapshot-trial");
    let disk = |source| StoreError::disk(&own, source);
    let snapshots = Snapshots::open(&own)?;
    let meta = SnapshotMeta {
        last_log_id: Some(log_id(1, 1)),
        last_membership: StoredMembership::default(),
    };
    let started = Instant::now();
    let file = snapshots.write(&meta, state).map_err(disk)?;
    let written = started.elapsed();
    let bytes = file.file.metadata().map_err(disk)?.len();
    let started = Instant::now();
    let (_, again) = snapshots.read(&file.path)?;
    let read = started.elapsed();
    std::fs::remove_dir_all(&own).map_err(disk)?;
    if again.state.as_ref() != Some(state) {
        return Err(StoreError::damaged(&own, "another state came back".to_owned()));
    }
    Ok(SnapshotTrial { written, read, bytes })
}
