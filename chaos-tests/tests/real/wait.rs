//! Waiting for something to become true, with a bound.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long is waited between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Returns what `look` finds, once it finds something.
///
/// # Panics
/// Where that takes longer than `bound`.
pub(crate) fn until<T>(what: &str, bound: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < bound, "{what}: not within {} s", bound.as_secs());
        thread::park_timeout(PAUSE);
    }
}
