//! The sending side.

use std::{io, os::unix::fs::FileExt as _};

use common::{
    id::{ContentHash, JobId},
    machine::Event,
};
use proto::{
    convert::decode_batch,
    raft::{self as pb, raft_client::RaftClient, snapshot_part::Part, snapshot_reply::Reply},
};
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, transport::Channel};

use super::{AHEAD, CHUNK};
use crate::{
    History,
    types::{Snapshot, Vote},
    wire,
};

/// Sends a snapshot, and what the receiver lacks besides. The receiver's vote once it is installed.
pub(crate) async fn send(
    mut client: RaftClient<Channel>,
    route: pb::Route,
    vote: Vote,
    snapshot: Snapshot,
    history: History,
) -> Result<Vote, Status> {
    let upto = snapshot.meta.last_log_id.map_or(0, |last| last.index);
    let (parts, outgoing) = mpsc::channel(AHEAD);
    let file = Outbox { parts: parts.clone() };
    // Where it fails, the channel closes early and the receiver says what is missing.
    spawn_blocking(move || file.send_snapshot(route, &vote, &snapshot));
    let mut replies = client.snapshot(ReceiverStream::new(outgoing)).await?.into_inner();
    let mut outbox = Some(Outbox { parts });
    let mut wanted = Vec::new();
    while let Some(reply) = replies.message().await? {
        match reply.reply.ok_or_else(|| Status::invalid_argument("an empty reply"))? {
            Reply::Blobs(pb::BlobsWanted { hashes }) => {
                for hash in hashes {
                    let hash = hash.as_ref().try_into().map(ContentHash);
                    wanted.push(hash.map_err(|_| Status::invalid_argument("not a hash"))?);
                }
            }
            Reply::History(pb::HistoryWanted { after }) => {
                let outbox =
                    outbox.take().ok_or_else(|| Status::invalid_argument("asked twice"))?;
                let (history, wanted) = (history.clone(), std::mem::take(&mut wanted));
                spawn_blocking(move || outbox.send_extras(&history, wanted, after, upto));
            }
            Reply::Installed(pb::Installed { vote }) => return wire::to_vote(vote),
        }
    }
    Err(Status::unavailable("the receiver did not install the snapshot"))
}

/// Where the parts go. Used from a thread that may wait.
struct Outbox {
    parts: mpsc::Sender<pb::SnapshotPart>,
}

impl Outbox {
    fn put(&self, part: Part) -> io::Result<()> {
        let part = pb::SnapshotPart { part: Some(part) };
        self.parts.blocking_send(part).map_err(|_| io::Error::other("the receiver went away"))
    }

    fn send_snapshot(&self, route: pb::Route, vote: &Vote, snapshot: &Snapshot) {
        if let Err(error) = self.try_send_snapshot(route, vote, snapshot) {
            tracing::warn!(%error, "a snapshot was not sent to its end");
        }
    }

    fn try_send_snapshot(
        &self,
        route: pb::Route,
        vote: &Vote,
        snapshot: &Snapshot,
    ) -> io::Result<()> {
        let file = &snapshot.snapshot.file;
        let size = file.metadata()?.len();
        self.put(Part::Head(pb::SnapshotHead {
            route: Some(route),
            vote: Some(wire::from_vote(vote)),
            last: snapshot.meta.last_log_id.as_ref().map(wire::from_log_id),
            membership: Some(wire::from_stored(&snapshot.meta.last_membership)),
            size,
        }))?;
        let mut at = 0;
        while at < size {
            let mut chunk = vec![0; CHUNK.min(usize::try_from(size - at).unwrap_or(CHUNK))];
            file.read_exact_at(&mut chunk, at)?;
            at += chunk.len() as u64;
            self.put(Part::Chunk(chunk.into()))?;
        }
        self.put(Part::FileEnd(pb::FileEnd {}))
    }

    fn send_extras(&self, history: &History, wanted: Vec<ContentHash>, after: u64, upto: u64) {
        let sent = self
            .send_blobs(history, wanted)
            .and_then(|()| self.send_history(history, after, upto))
            .and_then(|()| self.put(Part::ExtrasEnd(pb::ExtrasEnd {})));
        if let Err(error) = sent {
            tracing::warn!(%error, "what goes with a snapshot was not sent to its end");
        }
    }

    /// A blob that is not there any more belongs to a job that was forgotten since: the entries
    /// behind the snapshot forget it at the receiver, too.
    fn send_blobs(&self, history: &History, wanted: Vec<ContentHash>) -> io::Result<()> {
        for hash in wanted {
            let Some(mut content) = history.blob(hash).map_err(io::Error::other)? else {
                continue;
            };
            loop {
                let chunk = content.split_to(CHUNK.min(content.len()));
                let last = content.is_empty();
                let hash = hash.0.to_vec().into();
                self.put(Part::Blob(pb::BlobPart { hash, chunk, last }))?;
                if last {
                    break;
                }
            }
        }
        Ok(())
    }

    fn send_history(&self, history: &History, after: u64, upto: u64) -> io::Result<()> {
        for batch in history.batches(after) {
            let (index, batch) = batch.map_err(io::Error::other)?;
            if index > upto {
                break;
            }
            let mut ended = Vec::new();
            for job in jobs_that_ended(batch.clone())? {
                ended.extend(history.ended_record(job).map_err(io::Error::other)?);
            }
            self.put(Part::History(pb::HistoryPart { index, batch, ended }))?;
        }
        Ok(())
    }
}

fn jobs_that_ended(batch: bytes::Bytes) -> io::Result<Vec<JobId>> {
    let entries = decode_batch(batch).map_err(io::Error::other)?;
    let events = entries.iter().flat_map(|entry| &entry.events);
    let ended = events.filter_map(|event| {
        if let Event::JobEnded { job, .. } | Event::JobForgotten { job } = event {
            return Some(*job);
        }
        None
    });
    Ok(ended.collect())
}
