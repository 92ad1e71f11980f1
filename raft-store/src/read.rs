//! Reads that miss nothing: the read index (Raft dissertation, section 6.4).
//!
//! Who reads waits for an index that the leader gave after the read began. One question answers
//! all who wait when it is asked, so a thousand readers cost no more than one.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use openraft::{
    ReadPolicy,
    async_runtime::watch::WatchReceiver as _,
    errors::{LinearizableReadError, RaftError},
    metrics::RaftServerMetrics,
    type_config::alias::WatchReceiverOf,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    Applied, Unavailable,
    log::Shared,
    types::{Peer, TypeConfig},
};

type Metrics = RaftServerMetrics<TypeConfig>;

/// How long a majority may take to confirm that this controller leads.
const CONFIRM: Duration = Duration::from_secs(2);

/// How long this controller may take to apply what a reader waits for.
const APPLY: Duration = Duration::from_secs(10);

/// Readers that wait for a question to be asked. Beyond it they wait for a place.
const WAITING: usize = 16_384;

type Answer = Result<Arc<Applied>, Unavailable>;
pub(crate) type Queries = mpsc::Receiver<oneshot::Sender<Answer>>;

/// Where readers queue. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reads {
    queue: mpsc::Sender<oneshot::Sender<Answer>>,
}

impl Reads {
    pub(crate) fn new() -> (Self, Queries) {
        let (queue, queries) = mpsc::channel(WAITING);
        (Self { queue }, queries)
    }

    pub(crate) async fn barrier(&self) -> Answer {
        let (sender, answer) = oneshot::channel();
        self.queue.send(sender).await.map_err(|_| Unavailable::Stopped)?;
        answer.await.unwrap_or(Err(Unavailable::Stopped))
    }
}

/// Starts the task that asks for all who wait. It ends with the log.
pub(crate) fn start(shared: &Arc<Shared>, queries: Queries) {
    tokio::spawn(ask(Arc::downgrade(shared), queries));
}

async fn ask(shared: Weak<Shared>, mut queries: Queries) {
    let mut readers = Vec::new();
    while queries.recv_many(&mut readers, WAITING).await > 0 {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let readers = std::mem::take(&mut readers);
        match index(&shared).await {
            // Others need not wait until this is applied before they are asked for.
            Ok(index) => drop(tokio::spawn(async move {
                tell(readers, &wait(&shared, index).await);
            })),
            Err(unavailable) => tell(readers, &Err(unavailable)),
        }
    }
}

fn tell(readers: Vec<oneshot::Sender<Answer>>, answer: &Answer) {
    for reader in readers {
        // One that has gone away needs no answer.
        let _ = reader.send(answer.clone());
    }
}

/// How far to wait, from whoever leads. Where another one leads before there is an answer, it is
/// asked instead: the first may never answer again.
async fn index(shared: &Shared) -> Result<u64, Unavailable> {
    let mut metrics = shared.raft.server_metrics();
    loop {
        let (id, peer) = {
            let known = metrics.borrow_and_update();
            let id = known.current_leader.ok_or(Unavailable::NoLeader)?;
            let peer = known.membership_config.membership().get_node(&id).cloned();
            (id, peer.ok_or(Unavailable::NoLeader)?)
        };
        tokio::select! {
            answer = ask_leader(shared, id, &peer) => return answer,
            () = another_leads(&mut metrics, id) => {}
        }
    }
}

async fn ask_leader(shared: &Shared, id: u64, peer: &Peer) -> Result<u64, Unavailable> {
    if id == shared.own.raft_id {
        return own_index(shared).await;
    }
    shared.network.read_index(id, peer).await.map_err(|status| Unavailable::Unreachable {
        name: peer.name.clone(),
        reason: status.message().to_owned(),
    })
}

async fn another_leads(metrics: &mut WatchReceiverOf<TypeConfig, Metrics>, id: u64) {
    loop {
        if metrics.borrow_and_update().current_leader != Some(id) {
            return;
        }
        if metrics.changed().await.is_err() {
            // Raft has ended; the answer says so.
            std::future::pending::<()>().await;
        }
    }
}

/// How far to wait, where this controller leads: a majority confirms it.
pub(crate) async fn own_index(shared: &Shared) -> Result<u64, Unavailable> {
    let asked = timeout(CONFIRM, shared.raft.get_read_log_id(ReadPolicy::ReadIndex)).await;
    match asked.map_err(|_| Unavailable::NoLeader)? {
        Ok((id, _)) => Ok(id.index()),
        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(other))) => {
            Err(match other.leader_node {
                Some(peer) if peer.name != shared.own.name => {
                    Unavailable::NotLeader { name: peer.name }
                }
                Some(_) | None => Unavailable::NoLeader,
            })
        }
        Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
            Err(Unavailable::NoLeader)
        }
        Err(RaftError::Fatal(_)) => Err(Unavailable::Stopped),
    }
}

async fn wait(shared: &Shared, index: u64) -> Answer {
    let mut applied = shared.board.applied.subscribe();
    let reached = timeout(APPLY, applied.wait_for(|applied| applied.index >= index)).await;
    match reached {
        Ok(Ok(applied)) => Ok(Arc::clone(&applied)),
        Ok(Err(_)) => Err(Unavailable::Stopped),
        Err(_) => Err(Unavailable::Behind),
    }
}
