//! What is done beside the log's work, so that it does not grow for ever.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use common::{machine::State, time::Timestamp};
use openraft::async_runtime::watch::WatchReceiver as _;
use tokio::{task::spawn_blocking, time::sleep};

use crate::{error::chain, log::Shared};

/// How often it is looked at what there is to do.
const LOOK: Duration = Duration::from_secs(1);

const DAY: u64 = 24 * 3_600 * 1_000;

/// How many batches stay behind a snapshot that was taken because they are large.
const KEEP_OF_LARGE: u64 = 64;

/// Starts the task. It ends with the log.
pub(crate) fn start(shared: &Arc<Shared>) {
    tokio::spawn(run(Arc::downgrade(shared)));
}

#[derive(Default)]
struct Done {
    /// Bytes that had been applied when the last snapshot was asked for because of them.
    bytes: u64,
    /// How far the log is to be cut off behind a snapshot.
    large: Option<u64>,
    /// Before which moment nothing is kept.
    cutoff: Timestamp,
}

async fn run(shared: Weak<Shared>) {
    let mut done = Done::default();
    while let Some(shared) = shared.upgrade() {
        done.snapshot(&shared).await;
        done.prune(&shared).await;
        drop(shared);
        sleep(LOOK).await;
    }
}

impl Done {
    /// Takes a snapshot where the batches since the last one are few, but large, and cuts the log
    /// off closely behind it. (Where they are many, Raft does it by itself.)
    async fn snapshot(&mut self, shared: &Shared) {
        let bytes = shared.board.bytes.load(Ordering::Relaxed);
        if bytes - self.bytes >= shared.options.snapshot_bytes {
            self.bytes = bytes;
            self.large = Some(shared.board.applied.borrow().index);
            // Where it fails, Raft has stopped.
            let _ = shared.raft.trigger().snapshot().await;
        }
        let snapshot = shared.raft.data_metrics().borrow_watched().snapshot;
        if let (Some(large), Some(snapshot)) = (self.large, snapshot)
            && snapshot.index >= large
        {
            self.large = None;
            let upto = large.saturating_sub(KEEP_OF_LARGE);
            let _ = shared.raft.trigger().purge_log(upto).await;
        }
    }

    /// Forgets history, once a day of the log's own time, so that each replica keeps the same.
    async fn prune(&mut self, shared: &Shared) {
        let cutoff = cutoff(&shared.board.applied.borrow().state);
        if cutoff <= self.cutoff {
            return;
        }
        self.cutoff = cutoff;
        let history = shared.history.clone();
        let pruned = spawn_blocking(move || history.prune(cutoff)).await;
        if let Ok(Err(error)) = pruned {
            tracing::warn!("old history was not removed: {}", chain(&error));
        }
    }
}

/// Before which moment the history is forgotten: the beginning of a day (UTC).
fn cutoff(state: &State) -> Timestamp {
    let days = state.config.as_ref().map_or(0, |config| config.history_retention_days);
    if days == 0 {
        return Timestamp(0);
    }
    Timestamp((state.at.0 / DAY).saturating_sub(u64::from(days)) * DAY)
}
