//! The handle to the log.

use std::{
    collections::BTreeMap,
    future::Future,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use common::{
    id::ContentHash,
    machine::{Event, State},
};
use proto::convert::decode_batch;
use tokio::sync::{oneshot, watch};
use trust::tls::Keyring;

use crate::{History, Identity, MembershipError, Options, StoreError, Unavailable};

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
    outcome: oneshot::Receiver<Result<u64, Lost>>,
}

impl Future for Appended {
    /// The index of the batch.
    type Output = Result<u64, Lost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.outcome).poll(context).map(|outcome| outcome.unwrap_or(Err(Lost)))
    }
}

/// A handle to the log. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    identity: Identity,
    leadership: watch::Sender<Leadership>,
    applied: watch::Sender<Arc<Applied>>,
    blobs: Mutex<BTreeMap<ContentHash, Bytes>>,
    history: History,
}

impl Log {
    /// Makes an empty store.
    ///
    /// # Errors
    /// Where there is one already, or the disk fails.
    pub fn create(folder: &Path, _identity: &Identity) -> Result<(), StoreError> {
        let disk = |source| StoreError::Disk { folder: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(disk)
    }

    /// Opens the store, and takes part in the cluster from here on.
    ///
    /// # Errors
    /// Where the store is missing, damaged, in use, or another controller's.
    pub async fn open(options: Options, _keyring: Arc<Keyring>) -> Result<Self, StoreError> {
        let shared = Shared {
            identity: options.identity,
            leadership: watch::Sender::default(),
            applied: watch::Sender::default(),
            blobs: Mutex::default(),
            history: History::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Forms a cluster of this one. Once in the life of a cluster; again, it does nothing.
    ///
    /// # Errors
    /// Where the log has stopped.
    pub async fn form(&self) -> Result<(), MembershipError> {
        let leader = Some(self.shared.identity.name.clone());
        self.shared.leadership.send_replace(Leadership { term: 1, ready: true, leader });
        Ok(())
    }

    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    /// The newest state.
    #[must_use]
    pub fn applied(&self) -> Arc<Applied> {
        Arc::clone(&self.shared.applied.borrow())
    }

    /// The states as they follow each other. Who looks seldom misses some.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Applied>> {
        self.shared.applied.subscribe()
    }

    /// Appends a batch of entries (`proto::log::Batch`) if this controller leads in `term`.
    ///
    /// It starts at once, behind those that were started before.
    #[must_use]
    pub fn append(&self, batch: Bytes, term: u64) -> Appended {
        let (sender, outcome) = oneshot::channel();
        let mut applied = Applied::clone(&self.applied());
        let entries = decode_batch(batch).unwrap_or_default();
        applied.index += 1;
        let leads = self.shared.leadership.borrow().term == term;
        for entry in entries.into_iter().filter(|_| leads) {
            for event in &entry.events {
                if let Event::BlobStored { hash, content } = event {
                    let blobs = self.shared.blobs.lock();
                    blobs.unwrap_or_else(PoisonError::into_inner).insert(*hash, content.clone());
                }
            }
            applied.state.apply(&entry);
            self.shared.history.feed(applied.index, entry);
        }
        let index = applied.index;
        self.shared.applied.send_replace(Arc::new(applied));
        let _ = sender.send(if leads { Ok(index) } else { Err(Lost) });
        Appended { outcome }
    }

    /// Gives up this term: whoever leads next starts another one.
    pub fn campaign(&self) {
        self.shared.leadership.send_modify(|leadership| leadership.term += 1);
    }

    /// The index up to which a reader must have applied to miss nothing that was acknowledged
    /// before this call. A majority has confirmed that this controller leads.
    ///
    /// # Errors
    /// Where this controller does not lead, or can't tell.
    pub async fn read_index(&self) -> Result<u64, Unavailable> {
        Ok(self.applied().index)
    }

    /// A state that misses nothing that was acknowledged before this call. On any controller: it
    /// asks the leader how far to wait.
    ///
    /// # Errors
    /// Where there is no leader to be asked.
    pub async fn read_barrier(&self) -> Result<Arc<Applied>, Unavailable> {
        Ok(self.applied())
    }

    /// The controllers in Raft's membership, this one included.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let Identity { name, raft_id, address, .. } = self.shared.identity.clone();
        vec![Member { name, raft_id, address, voter: true }]
    }

    /// How far the members have followed; nothing where this controller does not lead.
    #[must_use]
    pub fn progress(&self) -> Vec<Progress> {
        let Identity { name, raft_id, .. } = self.shared.identity.clone();
        vec![Progress { name, raft_id, matched: self.applied().index, reachable: true }]
    }

    /// Takes a controller into the membership: it catches up first, and then counts in majorities.
    /// May be repeated, and goes on where it stopped.
    ///
    /// # Errors
    /// Where this controller does not lead, or the other one does not catch up.
    pub async fn admit(
        &self,
        _raft_id: u64,
        _name: &str,
        _address: &str,
    ) -> Result<(), MembershipError> {
        Err(MembershipError::NotLeader)
    }

    /// Takes a controller out of the membership. May be repeated.
    ///
    /// # Errors
    /// Where this controller does not lead, or the other one is the last.
    pub async fn dismiss(&self, _raft_id: u64) -> Result<(), MembershipError> {
        Err(MembershipError::Last)
    }

    /// Hands the leadership to another controller, before a planned stop. Does nothing where this
    /// one does not lead, or is alone.
    ///
    /// # Errors
    /// Where nobody took it in time.
    pub async fn hand_over(&self) -> Result<(), MembershipError> {
        Ok(())
    }

    /// Waits until the log can't go on.
    pub async fn stopped(&self) -> Stopped {
        std::future::pending().await
    }

    /// Stops it, and closes the store.
    pub async fn shutdown(&self) {}

    /// A script or environment that a live job uses.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn blob(&self, hash: ContentHash) -> Result<Option<Bytes>, StoreError> {
        let blobs = self.shared.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(blobs.get(&hash).cloned())
    }

    #[must_use]
    pub fn history(&self) -> History {
        self.shared.history.clone()
    }
}
