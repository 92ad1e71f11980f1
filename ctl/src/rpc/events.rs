//! The log as people read it: what happened, from some entry on, and what happens.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use common::{id::JobId, machine::Entry};
use futures::Stream;
use prost::Message as _;
use proto::{ctl as wire, log};
use raft_store::History;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::status::{operator_in, unavailable, user};
use crate::{
    describe::{Described, describe},
    shared::Shared,
};

/// How many entries are read at a time.
const PAGE: usize = 256;

pub(super) type Told = Pin<Box<dyn Stream<Item = Result<wire::EventsReply, Status>> + Send>>;

pub(super) async fn events(
    shared: &Shared,
    request: Request<wire::EventsRequest>,
) -> Result<Told, Status> {
    let (user, _) = user(&request)?;
    let wire::EventsRequest { follow, job, after, entries, stale_ok } = request.into_inner();
    // What the caller knows to have happened is in what he reads.
    let applied = match stale_ok {
        true => shared.log.applied(),
        false => shared.log.read_barrier().await.map_err(|error| unavailable(&error))?,
    };
    if entries {
        operator_in(&applied.state, user)?;
    }
    let (sender, told) = mpsc::channel(PAGE);
    let teller = Teller {
        history: shared.log.history(),
        changes: shared.log.watch(),
        job: job.map(JobId),
        after,
        entries,
        sender,
    };
    tokio::spawn(teller.tell(follow));
    Ok(Box::pin(ReceiverStream::new(told)))
}

struct Teller<C> {
    history: History,
    changes: watch::Receiver<Arc<C>>,
    job: Option<JobId>,
    after: u64,
    entries: bool,
    sender: mpsc::Sender<Result<wire::EventsReply, Status>>,
}

impl<C: Send + Sync + 'static> Teller<C> {
    /// Ends where the listener has gone, there is no more, or the controller stops.
    async fn tell(mut self, follow: bool) {
        loop {
            // Seen before the history is read, so that what comes meanwhile is read next time.
            self.changes.mark_unchanged();
            let page = match self.page().await {
                Ok(page) => page,
                Err(status) => {
                    let _ = self.sender.send(Err(status)).await;
                    return;
                }
            };
            let last = page.last().map(|(index, _)| *index);
            for (index, entry) in page {
                for reply in self.replies(index, &entry) {
                    if self.sender.send(Ok(reply)).await.is_err() {
                        return;
                    }
                }
            }
            if let Some(last) = last {
                self.after = last;
                continue;
            }
            if !follow {
                return;
            }
            let changed = tokio::select! {
                changed = self.changes.changed() => changed.is_ok(),
                () = self.sender.closed() => false,
            };
            if !changed {
                return;
            }
        }
    }

    /// A history that can't be read, as on a disk that has lost its power, is this controller's
    /// trouble alone: who asks goes on with another.
    async fn page(&self) -> Result<Vec<(u64, Entry)>, Status> {
        let (history, job, after) = (self.history.clone(), self.job, self.after);
        let read = move || match job {
            Some(job) => history.of_job(job, after, PAGE),
            None => history.entries(after, PAGE),
        };
        let read = tokio::task::spawn_blocking(read).await;
        // As a controller that stops has none read any more.
        let read = read.map_err(|error| Status::unavailable(error.to_string()))?;
        read.map_err(|error| Status::unavailable(error.to_string()))
    }

    fn replies(&self, index: u64, entry: &Entry) -> Vec<wire::EventsReply> {
        if self.entries {
            let entry = log::Entry::from(entry).encode_to_vec().into();
            return vec![wire::EventsReply { index, entry, ..Default::default() }];
        }
        let told = entry.events.iter().filter_map(describe);
        let told = told.filter(|told| self.job.is_none() || told.job == self.job);
        let reply = |told: Described| wire::EventsReply {
            index,
            at: entry.at.0,
            term: entry.term.0,
            text: told.text,
            kind: told.kind.to_owned(),
            job: told.job.map(|job| job.0),
            node: told.node,
            entry: Bytes::new(),
        };
        told.map(reply).collect()
    }
}
