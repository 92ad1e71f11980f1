//! Making and opening a store.
//!
//! ```text
//!   FOLDER/log/        RocksDB: the log, the vote, and whose store it is
//!   FOLDER/history/    RocksDB: what happened, and contents by hash
//!   FOLDER/snapshots/  files
//! ```

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
    time::Duration,
};

use common::machine::FORMAT;
use openraft::{Config, SnapshotPolicy};

use crate::{
    History, Identity, Options, StoreError,
    disk::{Disk, Held},
    health::Health,
    machine::{Board, Machine, Parts},
    network::Network,
    records::too_new,
    snapshot::{SnapshotFile, Snapshots},
    storage::Storage,
    types::{LogId, Raft, SnapshotMeta},
};

pub(crate) const LOG: &str = "log";
pub(crate) const HISTORY: &str = "history";
pub(crate) const SNAPSHOTS: &str = "snapshots";

/// The log comes last: a store that has its identity has all else, and one that has not was never
/// finished, and may be made again.
pub(crate) fn create(folder: &Path, identity: &Identity) -> Result<(), StoreError> {
    let disk = |source| StoreError::disk(folder, source);
    fs::create_dir_all(folder).map_err(disk)?;
    History::create(&folder.join(HISTORY))?;
    Snapshots::open(&folder.join(SNAPSHOTS))?;
    Disk::create(&folder.join(LOG), identity)?;
    for made in [Some(folder), folder.parent()].into_iter().flatten() {
        File::open(made).and_then(|folder| folder.sync_all()).map_err(disk)?;
    }
    Ok(())
}

/// A store that was read and checked.
pub(crate) struct Opened {
    pub(crate) disk: Arc<Disk>,
    pub(crate) board: Arc<Board>,
    pub(crate) history: History,
    pub(crate) snapshots: Arc<Snapshots>,
    storage: Storage,
    health: Health,
    snapshot: Option<(SnapshotMeta, SnapshotFile)>,
}

/// Refuses a log whose beginning is gone, and no snapshot goes so far.
pub(crate) fn connected(
    folder: &Path,
    held: &Held,
    covered: Option<LogId>,
) -> Result<(), StoreError> {
    if held.purged > covered {
        let what = "the snapshot that the log goes on from is missing".to_owned();
        return Err(StoreError::damaged(folder, what));
    }
    Ok(())
}

/// Reads the store. It may take a while: not for a thread that others wait for.
pub(crate) fn open(options: &Options, health: &Health) -> Result<Opened, StoreError> {
    let folder = &options.folder;
    let (disk, held) = Disk::open(&folder.join(LOG), &options.identity, health.clone())?;
    let history = History::open(&folder.join(HISTORY))?;
    let snapshots = Snapshots::open(&folder.join(SNAPSHOTS))?;
    let snapshot = snapshots.load()?;
    if let Some((_, SnapshotFile { state: Some(state), .. })) = &snapshot {
        if state.format > FORMAT {
            return Err(StoreError::Start { reason: too_new(state.format) });
        }
        state.check();
    }
    let covered = snapshot.as_ref().and_then(|(meta, _)| meta.last_log_id);
    let last = disk.tail.last().max(covered);
    if held.committed > last {
        let end = |id: Option<_>| id.map_or("nothing".to_owned(), |id: LogId| id.to_string());
        let what = format!(
            "everything up to {} was committed, and the log ends at {}",
            end(held.committed),
            end(last)
        );
        return Err(StoreError::damaged(folder, what));
    }
    connected(folder, &held, covered)?;
    let disk = Arc::new(disk);
    let storage = Storage::new(Arc::clone(&disk), &held);
    Ok(Opened {
        disk,
        board: Arc::default(),
        history,
        snapshots: Arc::new(snapshots),
        storage,
        health: health.clone(),
        snapshot,
    })
}

impl Opened {
    /// Starts Raft on it, which applies again what was committed after the snapshot.
    pub(crate) async fn start(
        &self,
        options: &Options,
        network: Network,
    ) -> Result<Raft, StoreError> {
        let start = |reason: String| StoreError::Start { reason };
        let config = config(options).map_err(start)?;
        let parts = Parts {
            board: Arc::clone(&self.board),
            history: self.history.clone(),
            snapshots: Arc::clone(&self.snapshots),
            health: self.health.clone(),
        };
        let machine = Machine::new(parts, self.snapshot.clone());
        let storage = self.storage.clone();
        let raft_id = options.identity.raft_id;
        let raft = Raft::new(raft_id, Arc::new(config), network, storage, machine).await;
        raft.map_err(|error| {
            start(self.health.failure().map_or_else(|| error.to_string(), |stopped| stopped.reason))
        })
    }
}

fn config(options: &Options) -> Result<Config, String> {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let (least, most) = options.election_timeout;
    let config = Config {
        cluster_name: options.identity.cluster.to_string(),
        heartbeat_interval: millis(options.heartbeat),
        election_timeout_min: millis(least),
        election_timeout_max: millis(most),
        // A controller that was away asks before it disturbs the others with a new term.
        enable_pre_vote: Some(true),
        // A leader that comes back campaigns as anybody else: what it had committed may be known
        // to it only in part.
        enable_leader_restore: Some(false),
        max_payload_entries: 1_024,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(options.snapshot_every),
        max_in_snapshot_log_to_keep: options.keep_behind_snapshot,
        purge_batch_size: (options.snapshot_every / 4).clamp(1, 1_024),
        replication_lag_threshold: options.snapshot_every + options.keep_behind_snapshot,
        // Snapshots of any size are sent: a dead peer is noticed by the connection.
        install_snapshot_timeout: millis(Duration::from_secs(24 * 3_600)),
        backoff: "100ms 200ms ...500ms".to_owned(),
        ..Config::default()
    };
    config.validate().map_err(|error| error.to_string())
}
