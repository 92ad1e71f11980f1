//! Reservations in scenarios, and what holds of them whatever is asked for.

use std::fmt::Write as _;

use common::{
    hostlist::Hostlist,
    id::NodeName,
    machine::{Answer, Command, timers},
    reservation::{Flags, ListChange, NodesAsked, ReservationChanges, ReservationRequest},
    time::{Span, Timestamp},
};

use crate::bench::{Bench, OPERATOR};

/// What the options ask for: `start=+60` (seconds from now), `minutes=60`, `nodes=n[1-2]`, `ALL`
/// or `count=2`, `users=alice,bob`, `accounts=`, `flags=`, `partition=`, `features=`.
fn asked(options: &str, now: Timestamp) -> ReservationChanges {
    let mut asked = ReservationChanges::default();
    for option in options.split_whitespace() {
        let (name, value) = option.split_once('=').expect("each has a value");
        let names = || value.split(',').map(str::to_owned).collect();
        let number = || value.parse().expect("a number");
        match name {
            "start" => asked.start = Some(now + Span::from_seconds(number())),
            "minutes" => asked.length = Some(Span::from_minutes(number())),
            "nodes" if value == "ALL" => asked.nodes = Some(NodesAsked::All),
            "nodes" => {
                let list = Hostlist::parse(value).expect("nodes");
                let names = list.iter().map(|name| NodeName::from(name.as_str()));
                asked.nodes = Some(NodesAsked::Named(names.collect()));
            }
            "count" => asked.nodes = Some(NodesAsked::Count(value.parse().expect("a number"))),
            "users" => asked.users = Some(ListChange::Set(names())),
            "accounts" => asked.accounts = Some(ListChange::Set(names())),
            "partition" => asked.partition = Some(value.to_owned()),
            "features" => asked.features = Some(value.to_owned()),
            "flags" => asked.set_flags = Flags::parse(value).expect("flags").0,
            "purge" => asked.purge_after = Some(Span::from_minutes(number())),
            _ => panic!("reservations have no {name} in scenarios"),
        }
    }
    asked
}

impl Bench {
    pub(crate) fn reserve(&mut self, words: &str) -> String {
        let (name, options) = words.split_once(' ').expect("a name, and options");
        let name = Some(name.to_owned()).filter(|name| name != "-");
        let mut asked = asked(options, self.now);
        asked.start.get_or_insert(self.now);
        let (by, utc_offset_s) = (self.by(OPERATOR), 0);
        let request = Box::new(ReservationRequest { name, asked, utc_offset_s });
        match self.send(Command::CreateReservation { by, request }) {
            Ok(Answer::Reservation(number)) => {
                let mut all = self.state.reservations.iter();
                let made = all.find(|one| one.number == number).expect("it was made");
                let nodes = Hostlist::from_names(made.nodes.iter().map(|name| name.as_str()));
                format!("{}: {nodes}\n", made.name)
            }
            Ok(Answer::Done | Answer::Job(_)) => panic!("a reservation is answered with one"),
            Err(refusal) => format!("refused: {refusal}\n"),
        }
    }

    pub(crate) fn change(&mut self, words: &str) -> String {
        let (name, options) = words.split_once(' ').expect("a name, and options");
        let asked = Box::new(asked(options, self.now));
        let (by, name) = (self.by(OPERATOR), name.to_owned());
        self.done(Command::UpdateReservation { by, name, asked })
    }

    pub(crate) fn unreserve(&mut self, name: &str) -> String {
        let by = self.by(OPERATOR);
        self.done(Command::DeleteReservation { by, name: name.to_owned() })
    }

    fn done(&mut self, command: Command) -> String {
        match self.send(command) {
            Ok(_) => String::new(),
            Err(refusal) => format!("refused: {refusal}\n"),
        }
    }

    /// Does what is due, and says which jobs and reservations that concerned.
    pub(crate) fn clock(&mut self) -> String {
        let mut text = String::new();
        for command in timers(&self.state, self.now) {
            let told = if let Command::TimeUp { job, .. } = &command {
                format!("job {job}: its time is over")
            } else if let Command::EndReservation { name, .. } = &command {
                format!("reservation {name} is over")
            } else {
                format!("{command:?}")
            };
            writeln!(text, "{told}").expect("a text takes it");
            self.send(command).expect("timers are never refused");
        }
        text
    }
}
