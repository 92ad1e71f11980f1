//! Reservations, and what is asked of them.

use std::sync::Arc;

use super::need;
use crate::{
    Invalid, log, reservation as wire,
    types::{self, NameList},
};
use common::{
    id::{NodeName, UserId},
    job::Stay,
    machine::Event,
    reservation::{
        Allowed, Flags, ListChange, NodesAsked, Reservation, ReservationChanges, ReservationRequest,
    },
    time::{Span, Timestamp},
};

impl From<&Reservation> for wire::Reservation {
    fn from(one: &Reservation) -> Self {
        Self {
            name: one.name.clone(),
            number: one.number,
            start: one.start.0,
            end: one.end.0,
            nodes: one.nodes.iter().map(ToString::to_string).collect(),
            users: Some((&one.users).into()),
            accounts: Some((&one.accounts).into()),
            groups: one.groups.clone(),
            partition: one.partition.clone(),
            features: one.features.clone(),
            flags: one.flags.bits(),
            purge_after: one.purge_after.map(|span| span.0),
            idle_since: one.idle_since.map(|at| at.0),
            utc_offset_s: one.utc_offset_s,
        }
    }
}

impl TryFrom<wire::Reservation> for Reservation {
    type Error = Invalid;

    fn try_from(wire: wire::Reservation) -> Result<Self, Invalid> {
        if wire.end <= wire.start {
            return Err(Invalid::Range("end"));
        }
        Ok(Self {
            name: wire.name,
            number: wire.number,
            start: Timestamp(wire.start),
            end: Timestamp(wire.end),
            nodes: wire.nodes.into_iter().map(NodeName::from).collect(),
            users: need(wire.users, "users")?.into(),
            accounts: need(wire.accounts, "accounts")?.into(),
            groups: wire.groups,
            partition: wire.partition,
            features: wire.features,
            flags: flags(wire.flags)?,
            purge_after: wire.purge_after.map(Span),
            idle_since: wire.idle_since.map(Timestamp),
            utc_offset_s: wire.utc_offset_s,
        })
    }
}

fn flags(bits: u32) -> Result<Flags, Invalid> {
    Flags::from_bits(bits).ok_or(Invalid::Unknown("flags"))
}

impl From<&Allowed> for wire::Allowed {
    fn from(allowed: &Allowed) -> Self {
        Self { names: allowed.names.clone(), denied: allowed.denied }
    }
}

impl From<wire::Allowed> for Allowed {
    fn from(wire: wire::Allowed) -> Self {
        Self { names: wire.names, denied: wire.denied }
    }
}

impl From<&Stay> for types::Stay {
    fn from(stay: &Stay) -> Self {
        Self { name: stay.name.clone(), until: stay.until.map(|at| at.0) }
    }
}

impl From<types::Stay> for Stay {
    fn from(wire: types::Stay) -> Self {
        Self { name: wire.name, until: wire.until.map(Timestamp) }
    }
}

impl From<&ReservationRequest> for wire::Request {
    fn from(request: &ReservationRequest) -> Self {
        Self {
            name: request.name.clone(),
            asked: Some((&request.asked).into()),
            utc_offset_s: request.utc_offset_s,
        }
    }
}

impl TryFrom<wire::Request> for ReservationRequest {
    type Error = Invalid;

    fn try_from(wire: wire::Request) -> Result<Self, Invalid> {
        let wire::Request { name, asked, utc_offset_s } = wire;
        Ok(Self { name, asked: need(asked, "asked")?.try_into()?, utc_offset_s })
    }
}

impl From<&ReservationChanges> for wire::Changes {
    fn from(asked: &ReservationChanges) -> Self {
        let list = |names: &Vec<String>| NameList { names: names.clone() };
        let nodes = |names: &Vec<NodeName>| NameList {
            names: names.iter().map(ToString::to_string).collect(),
        };
        Self {
            start: asked.start.map(|at| at.0),
            end: asked.end.map(|at| at.0),
            length: asked.length.map(|span| span.0),
            all_nodes: asked.nodes == Some(NodesAsked::All),
            nodes: match &asked.nodes {
                Some(NodesAsked::Named(names)) => Some(nodes(names)),
                Some(NodesAsked::All | NodesAsked::Count(_)) | None => None,
            },
            node_count: match asked.nodes {
                Some(NodesAsked::Count(count)) => Some(count),
                Some(NodesAsked::All | NodesAsked::Named(_)) | None => None,
            },
            users: asked.users.as_ref().map(Into::into),
            accounts: asked.accounts.as_ref().map(Into::into),
            groups: asked.groups.as_ref().map(list),
            members: asked.members.clone(),
            partition: asked.partition.clone(),
            features: asked.features.clone(),
            set_flags: asked.set_flags.bits(),
            drop_flags: asked.drop_flags.bits(),
            purge_after: asked.purge_after.map(|span| span.0),
        }
    }
}

impl TryFrom<wire::Changes> for ReservationChanges {
    type Error = Invalid;

    fn try_from(wire: wire::Changes) -> Result<Self, Invalid> {
        let names = |list: NameList| list.names.into_iter().map(NodeName::from).collect();
        let nodes = match (wire.all_nodes, wire.nodes, wire.node_count) {
            (false, None, None) => None,
            (true, None, None) => Some(NodesAsked::All),
            (false, Some(list), None) => Some(NodesAsked::Named(names(list))),
            (false, None, Some(count)) => Some(NodesAsked::Count(count)),
            (true, ..) | (false, Some(_), Some(_)) => return Err(Invalid::Range("nodes")),
        };
        Ok(Self {
            start: wire.start.map(Timestamp),
            end: wire.end.map(Timestamp),
            length: wire.length.map(Span),
            nodes,
            users: wire.users.map(TryInto::try_into).transpose()?,
            accounts: wire.accounts.map(TryInto::try_into).transpose()?,
            groups: wire.groups.map(|list| list.names),
            members: wire.members,
            partition: wire.partition,
            features: wire.features,
            set_flags: flags(wire.set_flags)?,
            drop_flags: flags(wire.drop_flags)?,
            purge_after: wire.purge_after.map(Span),
        })
    }
}

impl From<&ListChange> for wire::ListChange {
    fn from(change: &ListChange) -> Self {
        use wire::list_change::Change;
        let list = |names: &Vec<String>| NameList { names: names.clone() };
        let change = match change {
            ListChange::Set(names) => Change::Set(list(names)),
            ListChange::Add(names) => Change::Add(list(names)),
            ListChange::Remove(names) => Change::Remove(list(names)),
        };
        Self { change: Some(change) }
    }
}

impl TryFrom<wire::ListChange> for ListChange {
    type Error = Invalid;

    fn try_from(wire: wire::ListChange) -> Result<Self, Invalid> {
        use wire::list_change::Change;
        Ok(match need(wire.change, "change")? {
            Change::Set(list) => Self::Set(list.names),
            Change::Add(list) => Self::Add(list.names),
            Change::Remove(list) => Self::Remove(list.names),
        })
    }
}

/// What the log says of a reservation that is made or changed.
pub(super) fn set(reservation: &Reservation, by: Option<UserId>) -> log::ReservationSet {
    log::ReservationSet { reservation: Some(reservation.into()), by: by.map(|user| user.0) }
}

pub(super) fn created(event: log::ReservationSet) -> Result<Event, Invalid> {
    let reservation = Arc::new(need(event.reservation, "reservation")?.try_into()?);
    Ok(Event::ReservationCreated { reservation, by: UserId(need(event.by, "by")?) })
}

pub(super) fn updated(event: log::ReservationSet) -> Result<Event, Invalid> {
    let reservation = Arc::new(need(event.reservation, "reservation")?.try_into()?);
    Ok(Event::ReservationUpdated { reservation, by: event.by.map(UserId) })
}

pub(super) fn deleted(event: log::ReservationDeleted) -> Event {
    Event::ReservationDeleted { name: event.name, by: event.by.map(UserId) }
}
