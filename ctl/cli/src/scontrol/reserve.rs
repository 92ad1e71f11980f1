//! `scontrol create`, `update` and `delete` of reservations.

mod asked;

use common::time::Timestamp;
use jiff::tz::TimeZone;
use proto::{
    ctl::{CreateReservationRequest, DeleteReservationRequest, UpdateReservationRequest},
    reservation::Request,
};
use trust::controllers::Target;

use self::asked::{Asked, parse};
use super::{session::Session, update::pair::Pair};
use crate::{
    client::{self, Controller},
    say,
    trouble::Trouble,
};

/// How much of `ReservationName` will do, to make one and to change or delete one.
const NAME: &str = "ReservationName";

/// Whether the word names a reservation.
pub(super) fn is_named(pair: &Pair<'_>) -> bool {
    pair.is(NAME, 3)
}

pub(super) fn create(session: &mut Session<'_>, words: &[&str]) -> u8 {
    let Some((first, rest)) = words.split_first() else {
        return session.complain("too few arguments for keyword:create\n");
    };
    let pair = Pair::of(first);
    if !is_named(&pair) {
        return session.complain(&format!(
            "scontrol: error: create of {first}: only reservations are made so; nodes and \
             partitions stand in slurm.conf\n"
        ));
    }
    let now = now();
    let zone = TimeZone::system();
    // Behind the bare word the name is one of the parameters, or there is none.
    let bare = pair.value.is_none();
    let (names, rest): (Vec<&str>, Vec<&str>) =
        rest.iter().partition(|word| bare && is_named(&Pair::of(word)));
    let last = names.last().map(|word| Pair::of(word));
    let name = last.as_ref().unwrap_or(&pair).text().to_owned();
    let name = Some(name).filter(|name| !name.is_empty());
    let asked = parse(&rest, now, &zone).and_then(Asked::complete);
    let asked = match asked {
        Ok(asked) => asked,
        Err(wrong) => {
            return session
                .complain(&format!("scontrol: error: {wrong}  No reservation created.\n"));
        }
    };
    let offset = jiff::Timestamp::from_millisecond(i64::try_from(now.0).unwrap_or(0));
    let utc_offset_s = offset.map_or(0, |at| zone.to_offset(at).seconds());
    let reservation = Some(Request { name, asked: Some(asked), utc_offset_s });
    let request = CreateReservationRequest { request: client::request_id(), reservation };
    let made = session.call(async |client| {
        let attempt = |mut controller: Controller| {
            let request = client::request(request.clone());
            async move { controller.create_reservation(request).await }
        };
        client.call(Target::Leader, attempt).await
    });
    match made {
        Ok(Ok(reply)) => {
            say::out(&format!("Reservation created: {}\n", reply.into_inner().name));
            0
        }
        Ok(Err(trouble)) => session.failed("Error creating the reservation: ", &trouble),
        Err(exit) => exit,
    }
}

pub(super) fn update(session: &mut Session<'_>, words: &[&str]) -> u8 {
    let mut name = String::new();
    let mut rest = Vec::new();
    for word in words {
        let pair = Pair::of(word);
        if is_named(&pair) {
            pair.text().clone_into(&mut name);
        } else {
            rest.push(*word);
        }
    }
    let asked = match parse(&rest, now(), &TimeZone::system()) {
        Ok(asked) => asked,
        Err(wrong) => {
            return session
                .complain(&format!("scontrol: error: {wrong}  No reservation update.\n"));
        }
    };
    let shift = asked.shift_s;
    let mut changes = asked.changes;
    if shift != 0 {
        match lasting(session, &name) {
            Ok(Some(length)) => {
                let length = i64::try_from(length).unwrap_or(i64::MAX);
                let shifted = length.saturating_add(shift.saturating_mul(1_000));
                changes.length = Some(u64::try_from(shifted).unwrap_or(0));
            }
            // The controller will say so.
            Ok(None) => {}
            Err(exit) => return exit,
        }
    }
    let request =
        UpdateReservationRequest { request: client::request_id(), name, asked: Some(changes) };
    let done = session.call(async |client| {
        let attempt = |mut controller: Controller| {
            let request = client::request(request.clone());
            async move { controller.update_reservation(request).await }
        };
        client.call(Target::Leader, attempt).await
    });
    match done {
        Ok(Ok(_)) => {
            say::out("Reservation updated.\n");
            0
        }
        Ok(Err(trouble)) => {
            session.failed("Error updating the reservation: ", &trouble);
            session.failed("slurm_update error: ", &trouble)
        }
        Err(exit) => exit,
    }
}

/// How long it is now, in milliseconds.
fn lasting(session: &mut Session<'_>, name: &str) -> Result<Option<u64>, u8> {
    let reply = session.ask("slurm_load_reservations error: ", async |client| {
        crate::fetch::reservations(client, false).await
    })?;
    let named = |view: &&proto::ctl::ReservationView| {
        view.reservation.as_ref().is_some_and(|one| one.name == name)
    };
    Ok(reply.reservations.iter().find(named).map(|view| view.end.saturating_sub(view.start)))
}

pub(super) fn delete(session: &mut Session<'_>, words: &[&str]) -> u8 {
    let malformed = "scontrol: error: Proper format is 'delete <ENTITY>=<ID>' or 'delete <ENTITY> \
                     <ID>'\n";
    let Some((first, rest)) = words.split_first() else {
        return session.complain("too few arguments for delete keyword\n");
    };
    let pair = Pair::of(first);
    let Some(name) = pair.value.or_else(|| rest.first().copied()) else {
        return session.complain(malformed);
    };
    // Here Slurm takes no less than the whole word, with or without `Name`.
    if !pair.is(NAME, "Reservation".len()) {
        return session.complain(&format!("Invalid deletion entity: {first}\n"));
    }
    let request = DeleteReservationRequest { request: client::request_id(), name: name.to_owned() };
    let done: Result<Result<_, Trouble>, u8> = session.call(async |client| {
        let attempt = |mut controller: Controller| {
            let request = client::request(request.clone());
            async move { controller.delete_reservation(request).await }
        };
        client.call(Target::Leader, attempt).await
    });
    match done {
        Ok(Ok(_)) => 0,
        Ok(Err(trouble)) => session.failed(&format!("delete_reservation {first}: "), &trouble),
        Err(exit) => exit,
    }
}

fn now() -> Timestamp {
    // Slurm counts in whole seconds.
    let now = jiff::Timestamp::now().as_second();
    Timestamp::from_seconds(u64::try_from(now).unwrap_or(0))
}
