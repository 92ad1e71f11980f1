//! Reservations: made, changed and deleted by operators, seen by all.

use std::collections::BTreeSet;

use common::{
    machine::{Answer, Command, Refusal, State},
    reservation::{ListChange, ReservationChanges, ReservationRequest},
    time::Timestamp,
};
use nix::unistd::{Group, User};
use proto::ctl as wire;
use tonic::{Request, Status};

use super::{
    job::{carry_out, elsewhere},
    reads,
    status::{by, invalid, refused, rejected},
};
use crate::{clock, shared::Shared};

pub(super) async fn create(
    shared: &Shared,
    request: Request<wire::CreateReservationRequest>,
) -> Result<wire::CreateReservationReply, Status> {
    let by = by(&request, &request.get_ref().request)?;
    let asked = request.into_inner().reservation;
    let asked = asked.ok_or_else(|| Status::invalid_argument("`reservation` is missing"))?;
    let mut asked = ReservationRequest::try_from(asked).map_err(|error| invalid(&error))?;
    asked.asked = resolved(shared, asked.asked).await?;
    let request = Box::new(asked);
    match shared.proposer.submit(Command::CreateReservation { by, request }).await {
        Ok(Answer::Reservation(number)) => {
            let applied = reads::state(shared, true).await?;
            let mut all = applied.state.reservations.iter();
            let made = all.find(|one| one.number == number);
            // One that somebody has deleted meanwhile has no name any more.
            let name = made.map_or_else(|| number.to_string(), |one| one.name.clone());
            Ok(wire::CreateReservationReply { name })
        }
        Ok(Answer::Done | Answer::Job(_)) => Err(elsewhere()),
        Err(refusal) => Err(rejected(refusal)),
    }
}

pub(super) async fn update(
    shared: &Shared,
    request: Request<wire::UpdateReservationRequest>,
) -> Result<wire::Done, Status> {
    let by = by(&request, &request.get_ref().request)?;
    let wire::UpdateReservationRequest { name, asked, .. } = request.into_inner();
    let asked = asked.ok_or_else(|| Status::invalid_argument("`asked` is missing"))?;
    let asked = ReservationChanges::try_from(asked).map_err(|error| invalid(&error))?;
    let asked = Box::new(resolved(shared, asked).await?);
    carry_out(shared, Command::UpdateReservation { by, name, asked }).await
}

pub(super) async fn delete(
    shared: &Shared,
    request: Request<wire::DeleteReservationRequest>,
) -> Result<wire::Done, Status> {
    let by = by(&request, &request.get_ref().request)?;
    let name = request.into_inner().name;
    carry_out(shared, Command::DeleteReservation { by, name }).await
}

pub(super) async fn show(
    shared: &Shared,
    request: Request<wire::ReservationsRequest>,
) -> Result<wire::ReservationsReply, Status> {
    let applied = reads::state(shared, request.into_inner().stale_ok).await?;
    Ok(reply(&applied.state, clock::now()))
}

fn reply(state: &State, now: Timestamp) -> wire::ReservationsReply {
    let mut all: Vec<_> = state.reservations.iter().collect();
    all.sort_unstable_by_key(|one| one.number);
    let view = |one: &common::reservation::Reservation| {
        let instance = one.instance(now);
        let nodes = one.nodes.iter().filter_map(|name| state.nodes.get(name));
        wire::ReservationView {
            start: instance.map_or(one.start, |instance| instance.start).0,
            end: instance.map_or(one.end, |instance| instance.end).0,
            active: instance.is_some_and(|instance| instance.holds(now)),
            cpus: nodes.map(|node| node.total.cpus).sum(),
            reservation: Some(one.into()),
        }
    };
    wire::ReservationsReply { now: now.0, reservations: all.into_iter().map(view).collect() }
}

/// Users who do not exist are refused, and groups become the users in them, as this host knows
/// them: the log knows neither.
async fn resolved(
    shared: &Shared,
    mut asked: ReservationChanges,
) -> Result<ReservationChanges, Status> {
    if asked.users.is_none() && asked.groups.is_none() {
        return Ok(asked);
    }
    let head = shared.head();
    let accounts = head.as_ref().and_then(|head| head.state.accounts.clone());
    let known: BTreeSet<String> = accounts
        .iter()
        .flat_map(|table| &table.parts().users)
        .map(|user| user.name.clone())
        .collect();
    let (users, groups) = (asked.users.clone(), asked.groups.clone());
    let looked_up =
        tokio::task::spawn_blocking(move || look_up(users.as_ref(), groups.as_deref(), &known));
    let looked_up = looked_up.await.map_err(|error| Status::internal(error.to_string()))?;
    let members = looked_up
        .map_err(|error| Status::unavailable(format!("the host's users: {error}")))?
        .ok_or_else(|| refused(&Refusal::NotOperator))?;
    asked.members = members;
    Ok(asked)
}

/// The members of the groups; none where one of all these is unknown.
fn look_up(
    users: Option<&ListChange>,
    groups: Option<&[String]>,
    known: &BTreeSet<String>,
) -> nix::Result<Option<Vec<String>>> {
    if let Some(ListChange::Set(names) | ListChange::Add(names)) = users {
        for name in names {
            let name = name.trim_start_matches('-');
            if !known.contains(name) && User::from_name(name)?.is_none() {
                return Ok(None);
            }
        }
    }
    let mut members = BTreeSet::new();
    for name in groups.unwrap_or_default() {
        let Some(group) = Group::from_name(name)? else { return Ok(None) };
        members.extend(group.mem);
        // A group does not list those whose first one it is.
        for user in known.iter().map(String::as_str).chain([name.as_str()]) {
            if User::from_name(user)?.is_some_and(|user| user.gid == group.gid) {
                members.insert(user.to_owned());
            }
        }
    }
    Ok(Some(members.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_users_and_groups_are_refused_and_groups_become_their_members() {
        let known = BTreeSet::from(["carol-of-the-table".to_owned()]);
        let set = |name: &str| ListChange::Set(vec![name.to_owned()]);
        let users = |name: &str| look_up(Some(&set(name)), None, &known).unwrap();
        assert_eq!(users("root"), Some(vec![]));
        assert_eq!(users("-root"), Some(vec![]));
        assert_eq!(users("carol-of-the-table"), Some(vec![]));
        assert_eq!(users("no-such-user-here"), None);
        let groups = |name: &str| look_up(None, Some(&[name.to_owned()]), &known).unwrap();
        assert!(groups("root").unwrap().contains(&"root".to_owned()));
        assert_eq!(groups("no-such-group-here"), None);
    }
}
