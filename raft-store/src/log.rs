//! The handle to the log.

use std::{
    future::Future,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use common::{id::ContentHash, machine::State};
use openraft::{impls::ProgressResponder, raft::ClientWriteResult};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_blocking,
};
use trust::tls::Keyring;

use crate::{
    BackupFacts, History, Identity, MembershipError, Options, RaftService, StoreError, Unavailable,
    backup,
    disk::Disk,
    haste::{self, Doubts},
    health::Health,
    lead,
    machine::Board,
    members, muster,
    network::Network,
    open,
    read::{self, Reads},
    service,
    transfer::Receiver,
    types::{Batch, Peer, Raft, TypeConfig, Verdict},
    upkeep,
};

/// The state after some entry of the log. It never changes: the next one is another.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    pub state: State,
    /// The index of the last entry that is in it.
    pub index: u64,
}

/// Who leads, as this controller knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    pub term: u64,
    /// This controller leads, and has applied everything from before its term.
    pub ready: bool,
    /// The name of the controller that leads.
    pub leader: Option<String>,
}

/// A controller in Raft's membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub raft_id: u64,
    pub address: String,
    /// Whether it counts in a majority. One that doesn't is still catching up.
    pub voter: bool,
}

/// How far a member has followed, as the leader knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub name: String,
    pub raft_id: u64,
    /// The last index that it has on its disk.
    pub matched: u64,
    /// Whether it answered lately.
    pub reachable: bool,
}

/// Why the log stopped. The process must end: what it would say from here on is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log has stopped: {reason}")]
pub struct Stopped {
    pub reason: String,
}

/// The batch was not appended, or nobody can tell: its entries may still be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch was not appended, or its outcome is unknown")]
pub struct Lost;

/// An append on its way: resolves once it is committed and applied here.
#[derive(Debug)]
pub struct Appended {
    outcome: oneshot::Receiver<ClientWriteResult<TypeConfig>>,
}

impl Future for Appended {
    /// The index of the batch.
    type Output = Result<u64, Lost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.outcome).poll(context).map(|outcome| match outcome {
            Ok(Ok(written)) if written.data == Verdict::Applied => Ok(written.log_id.index),
            Ok(Ok(_) | Err(_)) | Err(_) => Err(Lost),
        })
    }
}

/// A handle to the log. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) own: Arc<Identity>,
    pub(crate) options: Options,
    pub(crate) raft: Raft,
    pub(crate) network: Network,
    pub(crate) board: Arc<Board>,
    pub(crate) health: Health,
    pub(crate) leadership: watch::Sender<Leadership>,
    pub(crate) disk: Arc<Disk>,
    /// It is being shut down: that Raft ends is no failure.
    pub(crate) ending: AtomicBool,
    appends: mpsc::UnboundedSender<Append>,
    pub(crate) doubts: Doubts,
    pub(crate) history: History,
    receiver: Receiver,
    reads: Reads,
}

/// A batch that waits for its turn to be given to Raft.
struct Append {
    batch: Bytes,
    term: u64,
    responder: ProgressResponder<TypeConfig, ClientWriteResult<TypeConfig>>,
}

impl Log {
    /// Makes an empty store.
    ///
    /// # Errors
    /// Where there is one already, or the disk fails.
    pub fn create(folder: &Path, identity: &Identity) -> Result<(), StoreError> {
        open::create(folder, identity)
    }

    /// Opens the store, and takes part in the cluster from here on.
    ///
    /// # Errors
    /// Where the store is missing, damaged, in use, or another controller's.
    pub async fn open(options: Options, keyring: Arc<Keyring>) -> Result<Self, StoreError> {
        let health = Health::new();
        let (given, told) = (options.clone(), health.clone());
        let opened = spawn_blocking(move || open::open(&given, &told)).await;
        let opened = opened.map_err(|error| {
            StoreError::damaged(&options.folder, format!("its state contradicts itself: {error}"))
        })??;
        let own = Arc::new(options.identity.clone());
        let network = Network::new(Arc::clone(&own), keyring, opened.history.clone());
        let raft = opened.start(&options, network.clone()).await?;
        let (appends, queue) = mpsc::unbounded_channel();
        let receiver = Receiver {
            raft: raft.clone(),
            board: Arc::clone(&opened.board),
            history: opened.history.clone(),
            snapshots: Arc::clone(&opened.snapshots),
        };
        let (reads, queries) = Reads::new();
        let shared = Arc::new(Shared {
            own,
            options,
            raft,
            network,
            board: opened.board,
            health,
            leadership: watch::Sender::default(),
            disk: opened.disk,
            ending: AtomicBool::new(false),
            appends,
            doubts: Doubts::default(),
            history: opened.history,
            receiver,
            reads,
        });
        tokio::spawn(pump(shared.raft.clone(), queue));
        lead::start(&shared);
        haste::start(&shared);
        muster::start(&shared);
        upkeep::start(&shared);
        read::start(&shared, queries);
        Ok(Self { shared })
    }

    /// What answers the other controllers: to be added to [`trust::serve::server`].
    #[must_use]
    pub fn service(&self) -> RaftService {
        let Shared { own, raft, receiver, doubts, reads, .. } = self.shared.as_ref();
        let parts = (receiver.clone(), doubts.clone(), reads.clone());
        service::service(Arc::clone(own), raft.clone(), parts)
    }

    /// Forms a cluster of this one. Once in the life of a cluster; again, it does nothing.
    ///
    /// # Errors
    /// Where the log has stopped.
    pub async fn form(&self) -> Result<(), MembershipError> {
        members::form(&self.shared).await
    }

    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    /// The newest state.
    #[must_use]
    pub fn applied(&self) -> Arc<Applied> {
        Arc::clone(&self.shared.board.applied.borrow())
    }

    /// The states as they follow each other. Who looks seldom misses some.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Applied>> {
        self.shared.board.applied.subscribe()
    }

    /// Appends a batch of entries (`proto::log::Batch`) if this controller leads in `term`.
    ///
    /// It starts at once, behind those that were started before. It succeeds once a majority has
    /// the batch on its disks and it is applied here, and every entry of it counted.
    #[must_use]
    pub fn append(&self, batch: Bytes, term: u64) -> Appended {
        let (responder, outcome) = ProgressResponder::complete_only();
        // The caller bounds how many are on their way. Where the pump is gone, the responder is
        // dropped, and that says so.
        let _ = self.shared.appends.send(Append { batch, term, responder });
        Appended { outcome }
    }

    /// Gives up this term: whoever leads next starts another one. Returns at once.
    pub fn campaign(&self) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move { lead::give_up(&shared).await });
    }

    /// The index up to which a reader must have applied to miss nothing that was acknowledged
    /// before this call. A majority has confirmed that this controller leads.
    ///
    /// # Errors
    /// Where this controller does not lead, or can't tell.
    pub async fn read_index(&self) -> Result<u64, Unavailable> {
        read::own_index(&self.shared).await
    }

    /// A state that misses nothing that was acknowledged before this call. On any controller: it
    /// asks the leader how far to wait.
    ///
    /// # Errors
    /// Where there is no leader to be asked.
    pub async fn read_barrier(&self) -> Result<Arc<Applied>, Unavailable> {
        self.shared.reads.barrier().await
    }

    /// The controllers in Raft's membership, this one included.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        members::members(&self.shared.raft)
    }

    /// How far the members have followed; nothing where this controller does not lead.
    #[must_use]
    pub fn progress(&self) -> Vec<Progress> {
        members::progress(&self.shared)
    }

    /// Takes a controller into the membership: it catches up first, and then counts in majorities.
    /// May be repeated, and goes on where it stopped.
    ///
    /// # Errors
    /// Where this controller does not lead, or the other one does not catch up.
    pub async fn admit(
        &self,
        raft_id: u64,
        name: &str,
        address: &str,
    ) -> Result<(), MembershipError> {
        self.learn(raft_id, name, address).await?;
        self.promote(raft_id).await
    }

    /// The first half of [`Self::admit`]: lets a controller learn the log, and waits until it has
    /// nearly all of it. It counts in no majority yet. May be dropped.
    ///
    /// # Errors
    /// Where this controller does not lead, or the other one does not catch up.
    pub async fn learn(
        &self,
        raft_id: u64,
        name: &str,
        address: &str,
    ) -> Result<(), MembershipError> {
        let peer = Peer { name: name.to_owned(), address: address.to_owned() };
        members::learn(&self.shared, raft_id, peer).await
    }

    /// The second half of [`Self::admit`]: one that has learned counts from here on.
    ///
    /// # Errors
    /// Where this controller does not lead, or no majority agrees.
    pub async fn promote(&self, raft_id: u64) -> Result<(), MembershipError> {
        members::promote(&self.shared, raft_id).await
    }

    /// Takes a controller out of the membership. May be repeated.
    ///
    /// # Errors
    /// Where this controller does not lead, or the other one is the last.
    pub async fn dismiss(&self, raft_id: u64) -> Result<(), MembershipError> {
        members::dismiss(&self.shared, raft_id).await
    }

    /// Hands the leadership to another controller, before a planned stop. Does nothing where this
    /// one does not lead, or is alone.
    ///
    /// # Errors
    /// Where nobody took it in time.
    pub async fn hand_over(&self) -> Result<(), MembershipError> {
        lead::hand_over(&self.shared).await
    }

    /// Hands the leadership to the controller of that number, and waits until it leads.
    ///
    /// # Errors
    /// Where this controller does not lead, or that one has no vote, does not answer, or did not
    /// take it in time. Where it is not taken, this controller leads on.
    pub async fn hand_over_to(&self, raft_id: u64) -> Result<(), MembershipError> {
        lead::hand_over_to(&self.shared, raft_id).await
    }

    /// Waits until the log can't go on.
    pub async fn stopped(&self) -> Stopped {
        self.shared.health.failed().await
    }

    /// Stops it, and closes the store.
    pub async fn shutdown(&self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        if let Err(error) = self.shared.raft.shutdown().await {
            tracing::warn!(%error, "Raft did not end well");
        }
        let disk = Arc::clone(&self.shared.disk);
        let history = self.shared.history.clone();
        let closed = spawn_blocking(move || {
            disk.stop();
            history.flush()
        });
        if let Ok(Err(error)) = closed.await {
            tracing::warn!(%error, "the history was not flushed: it is made again at the start");
        }
    }

    /// A script or environment that a live job uses.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn blob(&self, hash: ContentHash) -> Result<Option<Bytes>, StoreError> {
        self.shared.history.blob(hash)
    }

    /// Writes a backup of what was applied, which `applied` is, to `put`, bit by bit. It may take a
    /// while: not for a thread that others wait for.
    ///
    /// # Errors
    /// Where the disk fails, or `put` does.
    pub fn backup(
        &self,
        applied: &Applied,
        put: &mut dyn FnMut(Bytes) -> std::io::Result<()>,
    ) -> std::io::Result<BackupFacts> {
        backup::write(self.shared.own.cluster, applied, &self.shared.history, put)
    }

    #[must_use]
    pub fn history(&self) -> History {
        self.shared.history.clone()
    }
}

/// Gives batches to Raft in the order in which they were appended.
async fn pump(raft: Raft, mut queue: mpsc::UnboundedReceiver<Append>) {
    while let Some(Append { batch, term, responder }) = queue.recv().await {
        // Where Raft has stopped, it drops the responder.
        let _ = raft.write(Batch(batch)).responder(responder).with_leader(term).await;
    }
}
