//! Bytes from anywhere never panic a reader, and damage never passes for another entry in silence.

use bytes::Bytes;
use common::{machine::Entry, time::Timestamp};
use proptest::prelude::*;
use prost::Message as _;
use proto::convert::{StateReader, decode_batch, encode_batch, input_parts, read_inputs};

use crate::{samples, story};

fn batch() -> Vec<Entry> {
    samples::events().into_iter().map(samples::entry).collect()
}

/// A file of `rafter sched dump`.
fn inputs() -> Bytes {
    let parts: Vec<Bytes> = input_parts(&story::state(), Timestamp(2_000_000), "1.2.3").collect();
    parts.concat().into()
}

#[test]
fn a_batch_of_everything_survives_the_wire() {
    let entries = batch();
    assert_eq!(decode_batch(encode_batch(&entries)).expect("ours"), entries);
}

#[test]
fn an_event_of_a_later_release_is_refused() {
    // Field 1 (an entry) that holds field 5 (an event) that holds field 1000, which nobody knows.
    let event = [0xC2, 0x3E, 0x00];
    let entry = [&[0x2A, u8::try_from(event.len()).expect("short")], &event[..]].concat();
    let bytes = [&[0x0A, u8::try_from(entry.len()).expect("short")], &entry[..]].concat();
    let error = decode_batch(bytes.into()).expect_err("an unknown event is never skipped");
    assert_eq!(error.to_string(), "`kind` is missing");
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = decode_batch(bytes.clone().into());
        if let Ok(record) = proto::log::StateRecord::decode(&*bytes) {
            let mut reader = StateReader::default();
            let _ = reader.take(record);
            let _ = reader.finish();
        }
    }

    #[test]
    fn damaged_bytes_do_no_harm(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut bytes = encode_batch(&batch()).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let _ = decode_batch(bytes.into());
    }

    /// Not a byte of what a plan is made of may be lost or changed.
    #[test]
    fn damaged_inputs_are_refused(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let whole = inputs();
        let read = read_inputs(&whole).expect("it is whole");
        prop_assert_eq!(&read.state, &story::state());
        let at = at.index(whole.len());
        prop_assert!(read_inputs(&whole.slice(..at)).is_err(), "cut");
        let mut damaged = whole.to_vec();
        damaged[at] ^= flip;
        if let Ok(other) = read_inputs(&damaged.into()) {
            // A message has more than one spelling.
            prop_assert_eq!((other.now, other.release), (read.now, read.release));
            prop_assert_eq!(other.state, read.state);
        }
    }

    #[test]
    fn a_cut_batch_is_refused_or_shorter(at in any::<prop::sample::Index>()) {
        let entries = batch();
        let bytes = encode_batch(&entries);
        let cut = bytes.slice(..at.index(bytes.len()));
        if let Ok(read) = decode_batch(cut) {
            prop_assert!(read.len() < entries.len());
            prop_assert_eq!(&read[..], &entries[..read.len()]);
        }
    }
}
