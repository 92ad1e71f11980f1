//! `sinfo -T`: what is reserved.

use std::fmt::Write as _;

use common::time::Timestamp;

use super::options::Wanted;
use crate::{
    client::Client, fetch, render::Clock, say, scontrol::show::reservation::Shown, view::Malformed,
};

pub(super) async fn show(
    client: &Client,
    wanted: &Wanted,
    environment: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<String, u8> {
    let reply = fetch::reservations(client, wanted.stale_ok).await.map_err(|trouble| {
        trouble.report("slurm_load_reservations: ");
        1
    })?;
    let clock = Clock::of_host(reply.now, environment);
    let all = Shown::all(&reply.reservations).map_err(|malformed: Malformed| {
        say::error(&malformed.to_string());
        1
    })?;
    Ok(text(&all, &clock, !wanted.no_header))
}

fn text(all: &[Shown<'_>], clock: &Clock, headed: bool) -> String {
    if all.is_empty() {
        return "No reservations in the system\n".to_owned();
    }
    let mut out = String::new();
    let mut line = |name: &str, state: &str, start: &str, end: &str, length: &str, nodes: &str| {
        writeln!(out, "{name:<10} {state:>8}  {start:>19}  {end:>19}  {length:>11}  {nodes}")
            .expect("a String takes it");
    };
    if headed {
        line("RESV_NAME", "STATE", "START_TIME", "END_TIME", "DURATION", "NODELIST");
    }
    for shown in all {
        let moment = |at| clock.text(Some(Timestamp(at)), "n/a");
        let (start, end) = (moment(shown.view.start), moment(shown.view.end));
        let length = shown.length().padded();
        line(&shown.one.name, shown.state(), &start, &end, &length, &shown.nodes());
    }
    out
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proto::{
        ctl::ReservationView,
        reservation::{Allowed, Reservation},
    };

    use super::*;

    /// As Slurm 22.05 shows them.
    #[test]
    fn reservations_are_shown_as_slurm_shows_them() {
        let view = |name: &str, start: u64, minutes: u64, nodes: &[&str], active| {
            let (start, end) = (start * 1_000, (start + 60 * minutes) * 1_000);
            let one = Reservation {
                name: name.to_owned(),
                number: 1,
                start,
                end,
                nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
                users: Some(Allowed { names: vec!["alice".to_owned()], denied: false }),
                accounts: Some(Allowed::default()),
                ..Reservation::default()
            };
            ReservationView { reservation: Some(one), start, end, active, cpus: 8 }
        };
        let views = [
            view("alice_1", 1_795_698_722, 60, &["n1"], false),
            view("r3", 1_795_698_723, 1_440, &["n4", "n5"], true),
        ];
        let clock = Clock::of_host(1_795_695_124_000, &|_| None);
        let clock = Clock { zone: TimeZone::UTC, ..clock };
        let all = Shown::all(&views).unwrap();
        let expected = "\
RESV_NAME     STATE           START_TIME             END_TIME     DURATION  NODELIST
alice_1    INACTIVE  2026-11-26T13:12:02  2026-11-26T14:12:02     01:00:00  n1
r3           ACTIVE  2026-11-26T13:12:03  2026-11-27T13:12:03   1-00:00:00  n[4-5]
";
        assert_eq!(text(&all, &clock, true), expected);
        assert_eq!(text(&[], &clock, true), "No reservations in the system\n");
    }
}
