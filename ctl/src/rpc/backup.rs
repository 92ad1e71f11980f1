//! A backup, sent while the log goes on.

use std::{io, pin::Pin};

use bytes::Bytes;
use futures::Stream;
use proto::ctl as wire;
use raft_store::BackupFacts;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::status::{operator_in, unavailable, user};
use crate::shared::Shared;

/// Chunks that wait to be taken.
const AHEAD: usize = 4;

pub(super) type Parts = Pin<Box<dyn Stream<Item = Result<wire::BackupReply, Status>> + Send>>;

/// All that was acknowledged before the question is in it.
pub(super) async fn backup(
    shared: &Shared,
    request: Request<wire::BackupRequest>,
) -> Result<Parts, Status> {
    let (user, _) = user(&request)?;
    let applied = shared.log.read_barrier().await.map_err(|error| unavailable(&error))?;
    operator_in(&applied.state, user)?;
    let (sender, parts) = mpsc::channel(AHEAD);
    let log = shared.log.clone();
    tokio::task::spawn_blocking(move || {
        let mut put = |chunk: Bytes| {
            let reply = wire::BackupReply { chunk, facts: None };
            sender.blocking_send(Ok(reply)).map_err(|_| io::Error::other("nobody takes it"))
        };
        let last = match log.backup(&applied, &mut put) {
            Ok(facts) => Ok(wire::BackupReply { chunk: Bytes::new(), facts: Some(told(&facts)) }),
            Err(error) => Err(Status::internal(format!("the backup was not finished: {error}"))),
        };
        // Who has gone away needs no last word.
        let _ = sender.blocking_send(last);
    });
    Ok(Box::pin(ReceiverStream::new(parts)))
}

fn told(facts: &BackupFacts) -> wire::BackupFacts {
    let BackupFacts { cluster, index, at, digest, bytes, sha256 } = facts;
    wire::BackupFacts {
        cluster: cluster.to_string(),
        index: *index,
        at: at.0,
        digest: *digest,
        bytes: *bytes,
        sha256: sha256.to_vec().into(),
    }
}
