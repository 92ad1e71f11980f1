//! The wall clock: the one place where this crate reads it.

use std::time::{SystemTime, UNIX_EPOCH};

use common::time::Timestamp;

/// Now, as this controller's clock has it.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
