//! An entry without an event: a request was refused.

use std::sync::Arc;

use common::{
    id::RequestId,
    machine::{Answered, Entry, Event, Refused},
    time::Span,
};

use crate::samples::entry;

/// One that says that a request was refused, and nothing else.
pub(crate) fn refused() -> Entry {
    let words = "Invalid partition name specified".to_owned();
    let detail = Some("invalid partition specified: x".to_owned());
    Entry {
        request: Some(Answered {
            request: RequestId([0x5A; 16]),
            answer: Err(Arc::new(Refused { words, errno: Some(2000), detail })),
            forget_at: Span(1_764_100_120_123),
        }),
        events: vec![],
        ..entry(Event::FormatRaised { format: 2 })
    }
}
