//! Which job starts where, and when.
//!
//! [`plan()`] looks at a frozen view of the cluster and says what it would do. It changes nothing:
//! the leader turns each start into a command, and [`common::machine::decide`] has the last word.
//! So a plan may be computed on another thread, take its time, and be out of date when it arrives,
//! and the worst that happens is a refusal and another round.
//!
//! Under it is the [`timeline`]: what will be free on each node, and when.

mod board;
mod favoured;
mod gres;
mod inputs;
mod licenses;
mod limits;
mod order;
mod placement;
mod plan;
mod policy;
mod rank;
mod reached;
mod reason;
mod reserved;
mod several;
mod sites;
pub mod standing;
mod tenants;
pub mod timeline;
mod turn;
pub mod why;

pub use inputs::{bare, inputs};
pub use order::{Turn, order};
pub use placement::{Need, need};
pub use plan::{Plan, plan, plan_front, when};
pub use policy::Policy;
pub use rank::{Factors, Ranks};
pub use reason::reason;
