//! The machine: how the cluster's state changes.
//!
//! ```text
//!   people, nodes,      Command            Entry                State            Order
//!   the scheduler,  ───────────▶ decide ─────────▶ raft ─▶ apply ─────▶ orders ────────▶ nodes
//!   the clock                      │                                                       │
//!                                  ▼                                                       │
//!                               Refusal              Report, which is a Command again  ◀───┘
//! ```
//!
//! - [`decide()`] runs on the leader only. It may refuse.
//! - [`State::apply`] runs on every replica, and again on every replay. It cannot fail.
//! - [`timers()`] and [`orders()`] run on the leader only. They read the state, so a new leader
//!   picks up where the old one stopped without being told anything.
//!
//! **Invariant:** an event says what happened, never what to do about it. Policy lives in `decide`
//! and in the scheduler, where it can change from one release to the next; the log only records
//! what they decided.

mod apply;
mod arrays;
mod bounds;
mod command;
mod counting;
mod decide;
mod dependents;
mod event;
mod fingerprint;
mod het;
mod licenses;
mod orders;
mod preempts;
mod refusal;
mod reserved;
mod restore;
mod rules;
mod sharing;
mod state;
mod suppose;
mod tallies;
mod timers;
mod usage;
mod wants;

pub use arrays::{ArrayBook, Tasks};
pub use command::{
    Allocation, By, Command, NodeChanges, NodeTarget, Preemption, Report, Submission, TaskAct,
};
pub use decide::{Decided, decide, refused};
pub use dependents::Dependents;
pub use event::{Answer, Answered, Entry, Event, FORMAT, NodeChange, TokenRole};
pub use orders::{Cause, Order, Seen, SeenStage, missing, orders};
pub use preempts::Preempts;
pub use refusal::{Lacking, Refusal, Refused};
pub use reserved::{Reservations, Way};
pub use restore::{Restore, restored};
pub use rules::Rules;
pub use sharing::few_switches;
pub use state::{Authorities, Blob, Controller, QueueKey, Remembered, State, Token};
pub use tallies::{Tallies, Tally, Whose};
pub use timers::{next_alarm, timers};
pub use usage::{Bucket, Owner, Usage};
pub use wants::Wants;
