//! Golden records: what was once written is read for ever.

use std::{fmt::Debug, fs, path::Path};

use common::id::ClusterId;
use proptest::prelude::*;

use super::*;

/// Holds `record` against the golden file of that name; `UPDATE_EXPECT=1` makes a missing one, and
/// never changes one that is there.
fn golden(name: &str, record: &[u8]) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if !path.exists() && std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, record).expect("written");
    }
    let held = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(held, record, "{name} is written differently: give it a new format number");
    held
}

fn two_peers() -> Membership {
    let peer = |name: &str| Peer { name: name.into(), address: format!("{name}:6817") };
    let peers = BTreeMap::from([(1, peer("ctl1")), (u64::MAX, peer("ctl2"))]);
    membership(vec![vec![1], vec![1, u64::MAX]], peers).expect("a membership")
}

fn check<T: PartialEq + Debug>(
    name: &str,
    record: &[u8],
    value: &T,
    decode: impl Fn(&[u8]) -> Result<T, Unreadable>,
) {
    let held = golden(name, record);
    assert_eq!(&decode(&held).expect("it is read"), value);
    for place in 0..held.len() {
        let mut damaged = held.clone();
        damaged[place] ^= 0x08;
        assert!(decode(&damaged).is_err(), "{name}: byte {place} is not missed");
        assert!(decode(&held[..place]).is_err(), "{name}: cut at {place}");
    }
    let mut longer = held;
    longer.push(0);
    assert!(decode(&longer).is_err(), "{name}: one byte more");
}

#[test]
fn records_of_every_kind_are_read_for_ever() {
    let identity = Identity {
        cluster: ClusterId([0xA5; 16]),
        raft_id: 0x0123_4567_89AB_CDEF,
        name: "ctl1".into(),
        address: String::new(),
    };
    check("identity.1", &encode_identity(&identity), &identity, decode_identity);
    let vote = vote(7, u64::MAX, true);
    check("vote.1", &encode_vote(&vote), &vote, decode_vote);
    let id = log_id(3, 1_000_000);
    check("log_id.1", &encode_log_id(&id), &id, decode_log_id);
    let last_membership = StoredMembership::new(Some(log_id(2, 9)), two_peers());
    let meta = SnapshotMeta { last_log_id: Some(id), last_membership };
    check("snapshot_head.1", &encode_snapshot_head(&meta), &meta, decode_snapshot_head);
    check("snapshot_foot.1", &encode_snapshot_foot(70_000), &70_000, decode_snapshot_foot);
    let raw = |bytes: &[u8]| decode_raw(Kind::Blob, bytes).map(<[u8]>::to_vec);
    check("blob.1", &encode_raw(Kind::Blob, b"#!/bin/sh\n"), &b"#!/bin/sh\n".to_vec(), raw);
}

#[test]
fn entries_of_every_kind_are_read_for_ever() {
    let payloads = [
        ("entry_blank.1", Payload::Blank),
        ("entry_batch.1", Payload::Normal(Batch(Bytes::from_static(b"a batch")))),
        ("entry_membership.1", Payload::Membership(two_peers())),
    ];
    for (name, payload) in payloads {
        let entry = Entry { log_id: log_id(5, 300), payload };
        let mut record = Vec::new();
        encode_entry(&entry, &mut record);
        check(name, &record, &entry, |bytes| decode_entry(&Bytes::copy_from_slice(bytes)));
    }
}

#[test]
fn a_kind_is_not_taken_for_another() {
    let vote = encode_vote(&vote(1, 1, false));
    let wrong = Unreadable::Kind { found: Kind::Vote as u8, expected: Kind::LogId as u8 };
    assert_eq!(decode_log_id(&vote), Err(wrong));
    let mut newer = vote;
    newer[3] = 2;
    assert_eq!(decode_vote(&newer), Err(Unreadable::Format(2)));
}

proptest! {
    #[test]
    fn anything_else_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode_entry(&Bytes::from(bytes.clone())).is_err());
        prop_assert!(decode_snapshot_head(&bytes).is_err());
    }

    /// With the right head and checksum: bincode alone stands between these bytes and us.
    #[test]
    fn a_strange_payload_is_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_entry(&encode_raw(Kind::Entry, &bytes).into());
        let _ = decode_identity(&encode_raw(Kind::Identity, &bytes));
        let _ = decode_snapshot_head(&encode_raw(Kind::SnapshotHead, &bytes));
    }

    #[test]
    fn entries_come_back(
        term in any::<u64>(),
        index in any::<u64>(),
        batch in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let payload = Payload::Normal(Batch(batch.into()));
        let entry = Entry { log_id: log_id(term, index), payload };
        let mut record = Vec::new();
        encode_entry(&entry, &mut record);
        prop_assert_eq!(decode_entry(&record.into()), Ok(entry));
    }
}
