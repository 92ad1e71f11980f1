//! Openraft's type parameters, as this crate fills them in.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use openraft::{
    EntryPayload,
    type_config::alias::{
        EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf,
    },
};

use crate::{machine::Machine, snapshot::SnapshotFile};

openraft::declare_raft_types!(
    /// Textbook Raft: one leader in a term at most, so that an entry is known by term and index.
    pub(crate) TypeConfig:
        D = Batch,
        R = Verdict,
        NodeId = u64,
        Node = Peer,
        Term = u64,
        LeaderId = openraft::impls::leader_id_std::LeaderId<Self::Term, Self::NodeId>,
);

pub(crate) type Raft = openraft::Raft<TypeConfig, Machine>;
pub(crate) type Entry = EntryOf<TypeConfig>;
pub(crate) type LogId = LogIdOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<u64, Peer>;
pub(crate) type Payload = EntryPayload<Batch, u64, Peer>;
pub(crate) type Snapshot = SnapshotOf<TypeConfig, SnapshotFile>;
pub(crate) type SnapshotMeta = SnapshotMetaOf<TypeConfig>;
pub(crate) type StoredMembership = StoredMembershipOf<TypeConfig>;
pub(crate) type Vote = VoteOf<TypeConfig>;

/// A batch of entries, encoded (`proto::log::Batch`).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Batch(pub(crate) Bytes);

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a batch of {} bytes", self.0.len())
    }
}

/// What became of a batch when it was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Applied,
    /// Some of its entries were decided on top of others that were lost, and were passed over.
    Void,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A controller in the membership.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) address: String,
}

pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new_term_index(term, index)
}

pub(crate) fn term_of(id: &LogId) -> u64 {
    **id.committed_leader_id()
}

pub(crate) fn vote(term: u64, candidate: u64, committed: bool) -> Vote {
    if committed { Vote::new_committed(term, candidate) } else { Vote::new(term, candidate) }
}

/// A membership that was checked when it was first made.
pub(crate) fn membership(
    configs: Vec<Vec<u64>>,
    peers: BTreeMap<u64, Peer>,
) -> Result<Membership, String> {
    if configs.is_empty() {
        return Ok(Membership::default());
    }
    let configs = configs.into_iter().map(|voters| voters.into_iter().collect()).collect();
    Membership::new(configs, peers).map_err(|error| error.to_string())
}
