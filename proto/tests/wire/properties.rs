//! Bytes from anywhere never panic a reader, and damage never passes for another entry in silence.

use common::machine::Entry;
use proptest::prelude::*;
use prost::Message as _;
use proto::convert::{StateReader, decode_batch, encode_batch};

use crate::samples;

fn batch() -> Vec<Entry> {
    samples::events().into_iter().map(samples::entry).collect()
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
