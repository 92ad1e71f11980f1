//! The records of a controller's disk, without the disk: for who simulates one.
//!
//! All of it is what the store itself does with the bytes that it reads and writes. Openraft's
//! types stay inside: here an entry is a [`Record`].

use std::{collections::BTreeMap, io};

use bytes::Bytes;
use common::{
    machine::{Entry as Fact, FORMAT, State},
    planted::{Bug, planted},
};
use prost::Message as _;
use proto::log as wire;

use crate::{
    format,
    snapshot::{self, ReadError},
    types::{
        Batch, Entry, Membership, Payload, Peer, SnapshotMeta, StoredMembership, log_id,
        membership, term_of, vote,
    },
};

/// An entry of the log, as Raft has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub term: u64,
    pub index: u64,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Blank,
    /// `rafter.log.v1.Batch`.
    Batch(Bytes),
    /// The Raft ids of those who count in majorities.
    Members(Vec<u64>),
}

/// A snapshot that was read.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The term and index of the last entry that is in it.
    pub last: (u64, u64),
    pub members: Vec<u64>,
    pub state: State,
}

fn members_of(membership: &Membership) -> Vec<u64> {
    membership.voter_ids().collect()
}

fn membership_of(members: &[u64]) -> Membership {
    let peers: BTreeMap<u64, Peer> = members.iter().map(|id| (*id, Peer::default())).collect();
    membership(vec![members.to_vec()], peers).expect("its voters are its peers")
}

/// The bytes of an entry in the log's store.
#[must_use]
pub fn encode(record: &Record) -> Bytes {
    let payload = match &record.content {
        Content::Blank => Payload::Blank,
        Content::Batch(batch) => Payload::Normal(Batch(batch.clone())),
        Content::Members(members) => Payload::Membership(membership_of(members)),
    };
    let entry = Entry { log_id: log_id(record.term, record.index), payload };
    let mut buffer = Vec::new();
    format::encode_entry(&entry, &mut buffer);
    buffer.into()
}

/// The entry that the store has at `index`.
///
/// # Errors
/// Where it can't be read, or is another one: the store is damaged.
pub fn decode(index: u64, bytes: &Bytes) -> Result<Option<Record>, String> {
    let Some(entry) = read_entry(index, bytes)? else { return Ok(None) };
    let content = match entry.payload {
        Payload::Blank => Content::Blank,
        Payload::Normal(batch) => Content::Batch(batch.0),
        Payload::Membership(membership) => Content::Members(members_of(&membership)),
    };
    Ok(Some(Record { term: term_of(&entry.log_id), index, content }))
}

/// The entry at `index` of a log that is opened. There is always one; only a planted bug passes
/// over what can't be read.
pub(crate) fn read_entry(index: u64, bytes: &Bytes) -> Result<Option<Entry>, String> {
    match format::decode_entry(bytes) {
        Ok(entry) if entry.log_id.index == index => Ok(Some(entry)),
        Ok(_) => Err(format!("entry {index} of the log is missing")),
        Err(_) if planted(Bug::SkipUndecodable) => Ok(None),
        Err(error) => Err(format!("entry {index} of the log: {error}")),
    }
}

/// What the entries of the batch at `index` say, or why this replica can't follow the log any
/// further.
///
/// # Errors
/// Where one of them can't be read: to pass over it would be to lose what was acknowledged.
pub fn facts(index: u64, batch: &Bytes) -> Result<Vec<Fact>, String> {
    let wire = match wire::Batch::decode(batch.clone()) {
        Ok(wire) => wire,
        Err(_) if planted(Bug::SkipUndecodable) => return Ok(vec![]),
        Err(error) => return Err(format!("entry {index} of the log can't be decoded: {error}")),
    };
    let mut facts = Vec::with_capacity(wire.entries.len());
    for entry in wire.entries {
        if !planted(Bug::SkipUndecodable) {
            understood(&entry)?;
        }
        match Fact::try_from(entry) {
            Ok(fact) => facts.push(fact),
            Err(_) if planted(Bug::SkipUndecodable) => {}
            Err(error) => {
                return Err(format!(
                    "entry {index} of the log can't be understood: {error}. A newer release may \
                     have written it: upgrade this controller"
                ));
            }
        }
    }
    Ok(facts)
}

/// Whether a write is on the disk, not only with the kernel, before it is reported as done.
#[must_use]
pub fn writes_are_synced() -> bool {
    !planted(Bug::SkipFsync)
}

/// The bytes of a vote.
#[must_use]
pub fn encode_vote(term: u64, candidate: u64) -> Bytes {
    format::encode_vote(&vote(term, candidate, false)).into()
}

/// The term and the candidate of a vote.
///
/// # Errors
/// Where it can't be read: a guess could vote twice.
pub fn decode_vote(bytes: &[u8]) -> Result<(u64, u64), String> {
    let vote = format::decode_vote(bytes).map_err(|error| format!("its vote: {error}"))?;
    Ok((vote.leader_id.term, vote.leader_id.voted_for))
}

/// The bytes of a snapshot's file.
#[must_use]
pub fn encode_snapshot(last: (u64, u64), members: &[u64], state: &State) -> Bytes {
    let last_log_id = Some(log_id(last.0, last.1));
    let last_membership = StoredMembership::new(last_log_id, membership_of(members));
    let meta = SnapshotMeta { last_log_id, last_membership };
    let mut bytes = Vec::new();
    let filled = snapshot::encode(&meta, state, |fill| {
        fill(&mut bytes);
        io::Result::Ok(())
    });
    filled.expect("a vector takes as much as it is given");
    bytes.into()
}

/// # Errors
/// Where it is damaged.
pub fn decode_snapshot(bytes: &[u8]) -> Result<Restored, String> {
    let (meta, state) = snapshot::decode(bytes).map_err(|error| match error {
        ReadError::Disk(error) => error.to_string(),
        ReadError::Content(what) => what,
    })?;
    let last = meta.last_log_id.ok_or_else(|| "a snapshot of nothing".to_owned())?;
    let members = members_of(meta.last_membership.membership());
    Ok(Restored { last: (term_of(&last), last.index), members, state })
}

/// A log of a format that this release does not know holds, or will hold, what it can't follow.
fn understood(entry: &wire::Entry) -> Result<(), String> {
    for event in &entry.events {
        if let Some(wire::event::Kind::FormatRaised(raised)) = &event.kind
            && raised.format > FORMAT
        {
            return Err(too_new(raised.format));
        }
    }
    Ok(())
}

/// What is said of a log of this format.
pub(crate) fn too_new(format: u32) -> String {
    format!(
        "the log is of format {format}, and this release understands no more than format \
         {FORMAT}: install the release that wrote it, or a later one"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let batch = Content::Batch(Bytes::from_static(b"batch"));
        for content in [Content::Blank, batch, Content::Members(vec![1, 4])] {
            let record = Record { term: 3, index: 7, content };
            let bytes = encode(&record);
            assert_eq!(decode(7, &bytes), Ok(Some(record)));
            assert!(decode(8, &bytes).is_err(), "another entry");
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(decode(7, &flipped.into()).is_err(), "bit {bit}");
            }
        }
        assert_eq!(decode_vote(&encode_vote(4, 2)), Ok((4, 2)));
        let snapshot = encode_snapshot((3, 9), &[1, 2, 3], &State::default());
        let restored = decode_snapshot(&snapshot).expect("whole");
        assert_eq!((restored.last, restored.members), ((3, 9), vec![1, 2, 3]));
        assert_eq!(restored.state, State::default());
        for cut in 0..snapshot.len() {
            assert!(decode_snapshot(&snapshot[..cut]).is_err(), "cut at {cut}");
        }
    }
}
