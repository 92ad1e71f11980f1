//! The receiving side.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use common::{id::ContentHash, machine::State};
use proto::{
    convert::decode_batch,
    raft::{self as pb, snapshot_part::Part, snapshot_reply::Reply},
};
use tokio::{fs::File, io::AsyncWriteExt as _, sync::mpsc, task::spawn_blocking};
use tonic::{Status, Streaming};

use super::{AHEAD, CHUNK};
use crate::{
    History,
    error::chain,
    history::Feed,
    machine::Board,
    snapshot::{SnapshotFile, Snapshots},
    types::{Raft, Snapshot, SnapshotMeta},
    wire,
};

/// Hashes of one reply.
const HASHES: usize = 16_384;

/// The largest script or environment that is taken, in bytes: far beyond what is submitted.
const BLOB_LIMIT: usize = 256 << 20;

type Replies = mpsc::Sender<Result<pb::SnapshotReply, Status>>;

/// What a snapshot that comes in is put into.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) raft: Raft,
    pub(crate) board: Arc<Board>,
    pub(crate) history: History,
    pub(crate) snapshots: Arc<Snapshots>,
}

/// Removes the file of a snapshot that did not come in to its end.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It is gone already where it was adopted.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Receiver {
    /// Takes the parts behind `head`, in a task of its own. The stream is what the sender is told.
    pub(crate) fn start(
        self,
        head: pb::SnapshotHead,
        parts: Streaming<pb::SnapshotPart>,
    ) -> mpsc::Receiver<Result<pb::SnapshotReply, Status>> {
        let (replies, outgoing) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            if let Err(status) = self.receive(head, parts, &replies).await {
                tracing::warn!("a snapshot was not taken: {}", status.message());
                // The sender may be gone; it will try again.
                let _ = replies.send(Err(status)).await;
            }
        });
        outgoing
    }

    async fn receive(
        self,
        head: pb::SnapshotHead,
        mut parts: Streaming<pb::SnapshotPart>,
        replies: &Replies,
    ) -> Result<(), Status> {
        let vote = wire::to_vote(head.vote)?;
        let meta = SnapshotMeta {
            last_log_id: head.last.map(wire::to_log_id),
            last_membership: wire::to_stored(head.membership)?,
        };
        tracing::info!(bytes = head.size, "a snapshot comes in");
        let unfinished = Unfinished(self.snapshots.incoming());
        take_file(&mut parts, &unfinished, head.size).await?;
        let snapshots = Arc::clone(&self.snapshots);
        let path = unfinished.0.clone();
        let (found, file) = blocking(move || snapshots.read(&path)).await?;
        if found != meta {
            return Err(Status::data_loss("the snapshot is another than was announced"));
        }
        let state = file.state();
        let wanted = self.ask(state, replies).await?;
        self.take_extras(&mut parts, wanted).await?;
        let history = self.history.clone();
        blocking(move || history.flush()).await?;
        self.install(vote, meta, file, replies).await
    }

    async fn install(
        &self,
        vote: crate::types::Vote,
        meta: SnapshotMeta,
        snapshot: SnapshotFile,
        replies: &Replies,
    ) -> Result<(), Status> {
        let snapshot = Snapshot { meta, snapshot };
        let installed = self.raft.install_full_snapshot(vote, snapshot).await;
        let installed = installed.map_err(|error| Status::internal(chain(&error)))?;
        let vote = Some(wire::from_vote(&installed.vote));
        reply(replies, Reply::Installed(pb::Installed { vote })).await
    }

    /// Asks for the blobs of live jobs that are not here, and for the history since the last entry
    /// that was applied here.
    async fn ask(&self, state: State, replies: &Replies) -> Result<BTreeSet<ContentHash>, Status> {
        let after = self.board.applied.borrow().index;
        let history = self.history.clone();
        let wanted = blocking(move || {
            state.check();
            history.lacking(&state)
        })
        .await?;
        let hashes: Vec<_> = wanted.iter().map(|hash| hash.0.to_vec().into()).collect();
        for hashes in hashes.chunks(HASHES) {
            let hashes = hashes.to_vec();
            reply(replies, Reply::Blobs(pb::BlobsWanted { hashes })).await?;
        }
        reply(replies, Reply::History(pb::HistoryWanted { after })).await?;
        Ok(wanted)
    }

    async fn take_extras(
        &self,
        parts: &mut Streaming<pb::SnapshotPart>,
        wanted: BTreeSet<ContentHash>,
    ) -> Result<(), Status> {
        let mut content = Vec::new();
        loop {
            match next(parts).await? {
                Part::Blob(blob) => {
                    if content.len() + blob.chunk.len() > BLOB_LIMIT {
                        return Err(Status::invalid_argument("a blob is too large"));
                    }
                    content.extend_from_slice(&blob.chunk);
                    if blob.last {
                        self.take_blob(&blob.hash, &wanted, &content)?;
                        content.clear();
                    }
                }
                Part::History(part) => self.take_history(part)?,
                Part::ExtrasEnd(pb::ExtrasEnd {}) => return Ok(()),
                Part::Head(_) | Part::Chunk(_) | Part::FileEnd(_) => return Err(misplaced()),
            }
        }
    }

    fn take_blob(
        &self,
        hash: &[u8],
        wanted: &BTreeSet<ContentHash>,
        content: &[u8],
    ) -> Result<(), Status> {
        let found = ContentHash::of(content);
        if found.0 != hash || !wanted.contains(&found) {
            return Err(Status::data_loss("a blob has another hash than it should"));
        }
        let mut feed = Feed::default();
        self.history.feed_blob(&mut feed, found, content);
        self.history.write(feed).map_err(|error| Status::internal(chain(&error)))
    }

    fn take_history(&self, part: pb::HistoryPart) -> Result<(), Status> {
        let pb::HistoryPart { index, batch, ended } = part;
        let wrong = |error: &dyn std::fmt::Display| Status::data_loss(error.to_string());
        let entries = decode_batch(batch.clone()).map_err(|error| wrong(&error))?;
        let mut feed = Feed::default();
        self.history.feed_batch(&mut feed, index, &batch, &[], &entries);
        for job in &ended {
            self.history.feed_ended(&mut feed, job);
        }
        self.history.write(feed).map_err(|error| Status::internal(chain(&error)))
    }
}

async fn take_file(
    parts: &mut Streaming<pb::SnapshotPart>,
    unfinished: &Unfinished,
    size: u64,
) -> Result<(), Status> {
    let disk = |error: std::io::Error| Status::internal(chain(&error));
    let mut file = File::create(&unfinished.0).await.map_err(disk)?;
    let (mut taken, mut unsynced) = (0, 0);
    loop {
        match next(parts).await? {
            Part::Chunk(chunk) => {
                taken += chunk.len() as u64;
                unsynced += chunk.len();
                file.write_all(&chunk).await.map_err(disk)?;
                // Little by little: see how a snapshot of one's own is written.
                if unsynced >= 4 * CHUNK {
                    file.sync_data().await.map_err(disk)?;
                    unsynced = 0;
                }
            }
            Part::FileEnd(pb::FileEnd {}) => break,
            Part::Head(_) | Part::Blob(_) | Part::History(_) | Part::ExtrasEnd(_) => {
                return Err(misplaced());
            }
        }
        if taken > size {
            return Err(Status::invalid_argument("the file is longer than was announced"));
        }
    }
    if taken != size {
        return Err(Status::invalid_argument("the file is shorter than was announced"));
    }
    file.sync_all().await.map_err(disk)
}

async fn next(parts: &mut Streaming<pb::SnapshotPart>) -> Result<Part, Status> {
    let part = parts.message().await?.and_then(|part| part.part);
    part.ok_or_else(|| Status::aborted("the sender stopped before the end"))
}

fn misplaced() -> Status {
    Status::invalid_argument("a part of a snapshot came out of its order")
}

async fn reply(replies: &Replies, reply: Reply) -> Result<(), Status> {
    let reply = pb::SnapshotReply { reply: Some(reply) };
    replies.send(Ok(reply)).await.map_err(|_| Status::aborted("the sender went away"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, crate::StoreError> + Send + 'static,
) -> Result<T, Status> {
    let done = spawn_blocking(work).await;
    let done = done.map_err(|error| Status::data_loss(error.to_string()))?;
    done.map_err(|error| Status::internal(chain(&error)))
}
