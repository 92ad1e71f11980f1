//! What is planted in this process. Only in builds that are made to be caught.

use std::sync::{
    OnceLock,
    atomic::{AtomicU8, Ordering},
};

use super::Bug;
use crate::time::Timestamp;

/// The bug's number; 0: none.
static PLANTED: AtomicU8 = AtomicU8::new(0);

/// Now, as the replica that runs has it.
static CLOCK: OnceLock<fn() -> Timestamp> = OnceLock::new();

/// Whether this protection is taken away.
#[must_use]
pub fn planted(bug: Bug) -> bool {
    PLANTED.load(Ordering::Relaxed) == bug as u8
}

/// Plants a bug in this process, in place of another one.
pub fn plant(bug: Bug) {
    PLANTED.store(bug as u8, Ordering::Relaxed);
}

/// Puts all protections back.
pub fn pull() {
    PLANTED.store(0, Ordering::Relaxed);
}

/// Says what clock [`Bug::ClockInApply`] reads. The first one stays.
pub fn set_clock(clock: fn() -> Timestamp) {
    // A process has one clock; the simulator's threads share a function and differ in what it says.
    let _ = CLOCK.set(clock);
}

/// The moment that the state follows an entry of `at`: its own clock's with
/// [`Bug::ClockInApply`].
#[must_use]
pub fn clock_in_apply(at: Timestamp) -> Timestamp {
    match CLOCK.get() {
        Some(clock) if planted(Bug::ClockInApply) => clock(),
        Some(_) | None => at,
    }
}

/// Plants what `RAFTER_PLANTED` names: a daemon gives its value, and its clock.
///
/// # Panics
/// Where there is no such bug: a harness that mistypes it would find nothing.
pub fn plant_named(name: &str, clock: fn() -> Timestamp) {
    let bug = Bug::named(name).unwrap_or_else(|| panic!("there is no bug called {name:?}"));
    set_clock(clock);
    plant(bug);
}
