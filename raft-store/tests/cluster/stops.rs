//! When the log can't go on, it says so, and acknowledges nothing.

use bytes::Bytes;
use common::{id::Term, machine::Entry, time::Timestamp};
use proto::convert::encode_batch;
use raft_store::Lost;

use crate::world::World;

#[test]
fn an_entry_that_can_t_be_decoded_stops_every_replica() {
    let (world, head) = World::three(|_| {});
    let log = world.log(0);
    let batch = Bytes::from_static(&[0x0A, 0xFF, 0xFF]);
    assert_eq!(world.run(0, log.append(batch, head.state.term.0)), Err(Lost));
    for node in 0..3 {
        let stopped = world.run(node, world.log(node).stopped());
        assert!(stopped.reason.contains("can't be decoded"), "{stopped}");
        world.until(node, |known| !known.ready && known.leader.is_none());
    }
    let read = world.run(0, log.read_barrier());
    assert!(read.is_err(), "{read:?}");
    let more = world.run(0, log.append(encode_batch(&[]), head.state.term.0));
    assert_eq!(more, Err(Lost));
}

#[test]
fn an_event_of_a_newer_release_stops_the_log() {
    let (world, head) = World::formed();
    // One entry, one event, of a kind that nobody knows.
    let event = [(500_u32 << 3 | 2) as u8 | 0x80, (500_u32 << 3 >> 7) as u8, 0];
    let mut entry = vec![0x2A, event.len() as u8];
    entry.extend(event);
    entry.extend([0x08, 0x7F, 0x10, head.state.term.0 as u8, 0x30, 0x03]);
    let mut batch = vec![0x0A, entry.len() as u8];
    batch.extend(entry);
    let append = world.log(0).append(batch.into(), head.state.term.0);
    assert_eq!(world.run(0, append), Err(Lost));
    let stopped = world.run(0, world.log(0).stopped());
    assert!(stopped.reason.contains("newer release"), "{stopped}");
}

#[test]
fn a_state_that_can_t_follow_stops_the_log() {
    let (world, head) = World::formed();
    let entry = Entry {
        at: Timestamp(u64::MAX),
        term: Term(head.state.term.0),
        sequence: head.state.sequence + 1,
        digest: head.state.digest ^ 1,
        request: None,
        events: vec![],
    };
    let append = world.log(0).append(encode_batch(&[entry]), head.state.term.0);
    assert_eq!(world.run(0, append), Err(Lost));
    let stopped = world.run(0, world.log(0).stopped());
    assert!(stopped.reason.contains("diverged"), "{stopped}");
}
