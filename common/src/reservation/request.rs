//! What is asked of a reservation that is to be made or changed.

use super::Flags;
use crate::{
    id::NodeName,
    time::{Span, Timestamp},
};

/// A reservation that is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReservationRequest {
    /// None: one is made of whom it is for.
    pub name: Option<String>,
    pub asked: ReservationChanges,
    /// How far the clock of who asks is before UTC, in seconds.
    pub utc_offset_s: i32,
}

/// What is asked for; what is none stays as it is, or as it is by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReservationChanges {
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    /// From the start on, in place of an end.
    pub length: Option<Span>,
    pub nodes: Option<NodesAsked>,
    pub users: Option<ListChange>,
    pub accounts: Option<ListChange>,
    pub groups: Option<Vec<String>>,
    /// The members of the groups, by their names.
    pub members: Vec<String>,
    pub partition: Option<String>,
    pub features: Option<String>,
    pub set_flags: Flags,
    pub drop_flags: Flags,
    pub purge_after: Option<Span>,
}

/// Which nodes a reservation is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodesAsked {
    All,
    Named(Vec<NodeName>),
    /// So many, whichever are free then.
    Count(u32),
}

/// How a list of names changes. A name behind `-` is one that may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListChange {
    Set(Vec<String>),
    Add(Vec<String>),
    Remove(Vec<String>),
}
