//! The clock of the replica that runs, for the bug of one that reads it. Only in builds that are
//! made to be caught.

use std::cell::Cell;

use common::time::Timestamp;

thread_local! {
    /// Each run has a thread for itself.
    static CLOCK: Cell<Timestamp> = const { Cell::new(Timestamp(0)) };
}

pub(super) fn set_clock(now: Timestamp) {
    CLOCK.set(now);
}

/// Lets the process have this clock.
pub(super) fn use_clock() {
    common::planted::set_clock(|| CLOCK.get());
}
