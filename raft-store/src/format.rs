//! How records look on this controller's own disk: the one place that knows.
//!
//! ```text
//!   0        2      3        4        8         12
//!   ┌────────┬──────┬────────┬────────┬─────────┬─────────────────────────┐
//!   │ "Rf"   │ kind │ format │ length │ crc32c  │ payload                 │
//!   └────────┴──────┴────────┴────────┴─────────┴─────────────────────────┘
//! ```
//!
//! Numbers of the head are little-endian. The checksum (CRC-32C, RFC 3720) covers kind, format,
//! length and payload. Of the payload, Raft's part is bincode with its standard configuration; a
//! batch of entries follows it as it came, in the protocol's own encoding.
//!
//! **Invariants:** bincode is used here and nowhere else, on nothing that came over the network.
//! A format, once released, is read for ever: golden files hold one record of each.

use std::collections::BTreeMap;

use bincode::{Decode, Encode, config};
use bytes::Bytes;

use crate::{
    Identity,
    types::{
        Batch, Entry, LogId, Membership, Payload, Peer, SnapshotMeta, StoredMembership, Vote,
        log_id, membership, term_of, vote,
    },
};

#[cfg(test)]
mod tests;

const MAGIC: [u8; 2] = *b"Rf";
pub(crate) const HEAD: usize = 12;
const FORMAT: u8 = 1;
/// No record is longer; a length beyond it is damage, and is not allocated.
const LONGEST: usize = 1 << 30;

/// What a record is, so that one can't be taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Identity = 1,
    Vote = 2,
    LogId = 3,
    Entry = 4,
    SnapshotHead = 5,
    SnapshotRecord = 6,
    SnapshotFoot = 7,
    HistoryBatch = 8,
    EndedJob = 9,
    Blob = 10,
    BackupHead = 11,
    BackupHistory = 12,
    BackupFoot = 13,
}

/// Why a record can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("a record is cut off")]
    Short,
    #[error("a record does not begin as one")]
    Magic,
    #[error("a record of kind {found} stands where one of kind {expected} should")]
    Kind { found: u8, expected: u8 },
    #[error("a record has format {0}, which this release does not know")]
    Format(u8),
    #[error("a record's checksum is wrong")]
    Checksum,
    #[error("a record can't be decoded: {0}")]
    Content(String),
}

/// Appends a record to `buffer`; `fill` writes its payload.
fn frame(kind: Kind, buffer: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&MAGIC);
    buffer.extend_from_slice(&[kind as u8, FORMAT]);
    buffer.extend_from_slice(&[0; 8]);
    fill(buffer);
    let length = u32::try_from(buffer.len() - start - HEAD).expect("records are below 4 GiB");
    buffer[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    let sum = checksum(&buffer[start + 2..start + 8], &buffer[start + HEAD..]);
    buffer[start + 8..start + HEAD].copy_from_slice(&sum.to_le_bytes());
}

fn checksum(head: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(head), payload)
}

/// What the first bytes of a record say.
pub(crate) struct Head {
    kind: u8,
    covered: [u8; 6],
    length: usize,
    sum: u32,
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let head: &[u8; HEAD] = bytes.first_chunk().ok_or(Unreadable::Short)?;
        let [m0, m1, kind, format, l0, l1, l2, l3, s0, s1, s2, s3] = *head;
        if [m0, m1] != MAGIC {
            return Err(Unreadable::Magic);
        }
        if format != FORMAT {
            return Err(Unreadable::Format(format));
        }
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > LONGEST {
            return Err(Unreadable::Content(format!("it would have {length} bytes")));
        }
        let covered = [kind, format, l0, l1, l2, l3];
        Ok(Self { kind, covered, length, sum: u32::from_le_bytes([s0, s1, s2, s3]) })
    }

    /// How many bytes of payload follow `head`.
    pub(crate) fn length(head: &[u8; HEAD]) -> Result<usize, Unreadable> {
        Self::read(head).map(|head| head.length)
    }
}

/// Whether `bytes` begin as a record of that kind.
pub(crate) fn is(kind: Kind, bytes: &[u8]) -> bool {
    Head::read(bytes).is_ok_and(|head| head.kind == kind as u8)
}

/// The payload of the one record that `bytes` are.
fn unframe(kind: Kind, bytes: &[u8]) -> Result<&[u8], Unreadable> {
    let head = Head::read(bytes)?;
    if head.kind != kind as u8 {
        return Err(Unreadable::Kind { found: head.kind, expected: kind as u8 });
    }
    let payload = &bytes[HEAD..];
    if payload.len() != head.length {
        return Err(Unreadable::Short);
    }
    if checksum(&head.covered, payload) != head.sum {
        return Err(Unreadable::Checksum);
    }
    Ok(payload)
}

/// A record whose payload is bytes of somebody else's encoding.
pub(crate) fn encode_raw(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(HEAD + payload.len());
    frame(kind, &mut buffer, |buffer| buffer.extend_from_slice(payload));
    buffer
}

/// As [`encode_raw`], behind what is in `buffer`.
pub(crate) fn encode_message(kind: Kind, message: &impl prost::Message, buffer: &mut Vec<u8>) {
    frame(kind, buffer, |buffer| {
        message.encode(buffer).expect("a vector takes as much as it is given");
    });
}

pub(crate) fn decode_raw(kind: Kind, bytes: &[u8]) -> Result<&[u8], Unreadable> {
    unframe(kind, bytes)
}

fn encode(kind: Kind, content: impl Encode) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(64);
    frame(kind, &mut buffer, |buffer| put(content, buffer));
    buffer
}

fn put(content: impl Encode, buffer: &mut Vec<u8>) {
    bincode::encode_into_std_write(content, buffer, config::standard())
        .expect("a vector takes as much as it is given");
}

/// The content at the beginning of `payload`, and how long it was.
fn take<T: Decode<()>>(payload: &[u8]) -> Result<(T, usize), Unreadable> {
    bincode::decode_from_slice(payload, config::standard().with_limit::<LONGEST>())
        .map_err(|error| Unreadable::Content(error.to_string()))
}

fn decode<T: Decode<()>>(kind: Kind, bytes: &[u8]) -> Result<T, Unreadable> {
    let payload = unframe(kind, bytes)?;
    match take(payload)? {
        (content, length) if length == payload.len() => Ok(content),
        (_, length) => {
            let left = payload.len() - length;
            Err(Unreadable::Content(format!("{left} bytes are left over")))
        }
    }
}

#[derive(Encode, Decode)]
struct IdentityRecord {
    cluster: [u8; 16],
    raft_id: u64,
    name: String,
}

/// The store's owner. Its address is not part of it: that may change.
pub(crate) fn encode_identity(identity: &Identity) -> Vec<u8> {
    let Identity { cluster, raft_id, name, address: _ } = identity;
    let record = IdentityRecord { cluster: cluster.0, raft_id: *raft_id, name: name.clone() };
    encode(Kind::Identity, record)
}

pub(crate) fn decode_identity(bytes: &[u8]) -> Result<Identity, Unreadable> {
    let IdentityRecord { cluster, raft_id, name } = decode(Kind::Identity, bytes)?;
    let cluster = common::id::ClusterId(cluster);
    Ok(Identity { cluster, raft_id, name, address: String::new() })
}

#[derive(Encode, Decode)]
struct VoteRecord {
    term: u64,
    candidate: u64,
    committed: bool,
}

pub(crate) fn encode_vote(vote: &Vote) -> Vec<u8> {
    let Vote { leader_id, committed } = *vote;
    let record = VoteRecord { term: leader_id.term, candidate: leader_id.voted_for, committed };
    encode(Kind::Vote, record)
}

pub(crate) fn decode_vote(bytes: &[u8]) -> Result<Vote, Unreadable> {
    let VoteRecord { term, candidate, committed } = decode(Kind::Vote, bytes)?;
    Ok(vote(term, candidate, committed))
}

#[derive(Encode, Decode)]
struct LogIdRecord {
    term: u64,
    index: u64,
}

impl From<&LogId> for LogIdRecord {
    fn from(id: &LogId) -> Self {
        Self { term: term_of(id), index: id.index }
    }
}

impl From<LogIdRecord> for LogId {
    fn from(record: LogIdRecord) -> Self {
        log_id(record.term, record.index)
    }
}

pub(crate) fn encode_log_id(id: &LogId) -> Vec<u8> {
    encode(Kind::LogId, LogIdRecord::from(id))
}

pub(crate) fn decode_log_id(bytes: &[u8]) -> Result<LogId, Unreadable> {
    decode::<LogIdRecord>(Kind::LogId, bytes).map(Into::into)
}

#[derive(Encode, Decode)]
struct MembershipRecord {
    configs: Vec<Vec<u64>>,
    /// Raft id, name, address.
    peers: Vec<(u64, String, String)>,
}

impl From<&Membership> for MembershipRecord {
    fn from(membership: &Membership) -> Self {
        let configs = membership.get_joint_config().iter();
        let peers = membership.nodes();
        Self {
            configs: configs.map(|voters| voters.iter().copied().collect()).collect(),
            peers: peers.map(|(id, p)| (*id, p.name.clone(), p.address.clone())).collect(),
        }
    }
}

impl TryFrom<MembershipRecord> for Membership {
    type Error = Unreadable;

    fn try_from(record: MembershipRecord) -> Result<Self, Unreadable> {
        let peers = record.peers.into_iter();
        let peers: BTreeMap<u64, Peer> =
            peers.map(|(id, name, address)| (id, Peer { name, address })).collect();
        membership(record.configs, peers).map_err(Unreadable::Content)
    }
}

#[derive(Encode, Decode)]
enum PayloadRecord {
    Blank,
    /// The batch follows this record.
    Batch,
    Membership(MembershipRecord),
}

#[derive(Encode, Decode)]
struct EntryRecord {
    term: u64,
    index: u64,
    payload: PayloadRecord,
}

/// Appends an entry of the log to `buffer`.
pub(crate) fn encode_entry(entry: &Entry, buffer: &mut Vec<u8>) {
    let (payload, batch) = match &entry.payload {
        Payload::Blank => (PayloadRecord::Blank, None),
        Payload::Normal(batch) => (PayloadRecord::Batch, Some(&batch.0)),
        Payload::Membership(membership) => (PayloadRecord::Membership(membership.into()), None),
    };
    let id = &entry.log_id;
    let record = EntryRecord { term: term_of(id), index: id.index, payload };
    frame(Kind::Entry, buffer, |buffer| {
        put(record, buffer);
        buffer.extend_from_slice(batch.map_or(&[], |batch| batch));
    });
}

pub(crate) fn decode_entry(bytes: &Bytes) -> Result<Entry, Unreadable> {
    let payload = unframe(Kind::Entry, bytes)?;
    let (record, length) = take::<EntryRecord>(payload)?;
    let rest = bytes.slice(HEAD + length..);
    let left = rest.len();
    let payload = match record.payload {
        PayloadRecord::Batch => Payload::Normal(Batch(rest)),
        PayloadRecord::Blank | PayloadRecord::Membership(_) if left > 0 => {
            return Err(Unreadable::Content(format!("{left} bytes are left over")));
        }
        PayloadRecord::Blank => Payload::Blank,
        PayloadRecord::Membership(record) => Payload::Membership(record.try_into()?),
    };
    Ok(Entry { log_id: log_id(record.term, record.index), payload })
}

#[derive(Encode, Decode)]
struct SnapshotHeadRecord {
    last: Option<LogIdRecord>,
    membership_id: Option<LogIdRecord>,
    membership: MembershipRecord,
}

/// The first record of a snapshot: how far it goes, and who was a member then.
pub(crate) fn encode_snapshot_head(meta: &SnapshotMeta) -> Vec<u8> {
    let SnapshotMeta { last_log_id, last_membership } = meta;
    let record = SnapshotHeadRecord {
        last: last_log_id.as_ref().map(Into::into),
        membership_id: last_membership.log_id().as_ref().map(Into::into),
        membership: last_membership.membership().into(),
    };
    encode(Kind::SnapshotHead, record)
}

pub(crate) fn decode_snapshot_head(bytes: &[u8]) -> Result<SnapshotMeta, Unreadable> {
    let SnapshotHeadRecord { last, membership_id, membership } = decode(Kind::SnapshotHead, bytes)?;
    let last_membership =
        StoredMembership::new(membership_id.map(Into::into), membership.try_into()?);
    Ok(SnapshotMeta { last_log_id: last.map(Into::into), last_membership })
}

/// The last record of a snapshot: how many records of the state came before it.
pub(crate) fn encode_snapshot_foot(records: u64) -> Vec<u8> {
    encode(Kind::SnapshotFoot, records)
}

pub(crate) fn decode_snapshot_foot(bytes: &[u8]) -> Result<u64, Unreadable> {
    decode(Kind::SnapshotFoot, bytes)
}

/// The first record of a backup: of what it is one.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub(crate) struct BackupHead {
    pub(crate) cluster: [u8; 16],
    pub(crate) index: u64,
    pub(crate) term: u64,
}

pub(crate) fn encode_backup_head(head: BackupHead) -> Vec<u8> {
    encode(Kind::BackupHead, head)
}

pub(crate) fn decode_backup_head(bytes: &[u8]) -> Result<BackupHead, Unreadable> {
    decode(Kind::BackupHead, bytes)
}

/// The last record of a backup: how many came before it, and the SHA-256 of those.
pub(crate) fn encode_backup_foot(records: u64, sha256: [u8; 32]) -> Vec<u8> {
    encode(Kind::BackupFoot, (records, sha256))
}

pub(crate) fn decode_backup_foot(bytes: &[u8]) -> Result<(u64, [u8; 32]), Unreadable> {
    decode(Kind::BackupFoot, bytes)
}
