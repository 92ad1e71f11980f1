//! One append of the log as bytes.

use common::machine::Entry;
use prost::{Message as _, bytes::Bytes};

use crate::{Invalid, log as wire};

/// The bytes of entries that are appended together.
#[must_use]
pub fn encode_batch(entries: &[Entry]) -> Bytes {
    let batch = wire::Batch { entries: entries.iter().map(Into::into).collect() };
    batch.encode_to_vec().into()
}

/// The entries that were appended together.
///
/// # Errors
/// Where the bytes are no batch, or hold an event that this release does not know: the replica
/// that meets one must stop.
pub fn decode_batch(bytes: Bytes) -> Result<Vec<Entry>, Invalid> {
    let batch = wire::Batch::decode(bytes).map_err(Invalid::Encoding)?;
    batch.entries.into_iter().map(TryInto::try_into).collect()
}
