//! Reservations in scenarios, and what holds of them whatever is asked for.

use std::fmt::Write as _;

use common::{
    hostlist::Hostlist,
    id::{JobId, NodeName},
    job::Phase,
    machine::{Answer, Command, timers},
    reservation::{
        Flag, Flags, ListChange, NodesAsked, Reservation, ReservationChanges, ReservationRequest,
    },
    time::{Span, Timestamp},
};
use proptest::prelude::*;

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

/// A cluster with several reservations, some of which repeat, and jobs of two users.
fn story() -> impl Strategy<Value = Vec<String>> {
    let reservation = (0..90_u64, 1..60_u64, 1..5_usize, "alice|bob|alice,bob", 0..7_usize);
    let reservation = reservation.prop_map(|(start, minutes, nodes, users, flag)| {
        let flags = ["", "flags=daily", "flags=hourly", "flags=flex", "flags=magnetic"];
        let flags = flags.get(flag).unwrap_or(&"flags=maint,ignore_jobs");
        let start = start * 60;
        format!(
            "reserve - start={start} minutes={minutes} nodes=n[1-{nodes}] users={users} {flags}"
        )
    });
    let job =
        (1..3_000_u32, 1..5_u32, "alice|bob", 0..6_u32).prop_map(|(limit, nodes, user, r)| {
            let limit = if limit % 3 == 0 { limit } else { limit % 90 + 1 };
            let named = if r > 3 { String::new() } else { format!("--reservation={user}_{r}") };
            format!("submit --user={user} -t={limit} -N={nodes} {named}")
        });
    let command = prop_oneof![
        2 => reservation,
        6 => job,
        3 => Just("start".to_owned()),
        2 => (1..3_000_u32).prop_map(|seconds| format!("pass {seconds}")),
        2 => Just("clock".to_owned()),
        2 => (1..30_u32).prop_map(|job| format!("ended {job}")),
    ];
    proptest::collection::vec(command, 1..40)
}

/// Whether the reservation holds at some moment between the two, found by counting its times.
fn holds_between(one: &Reservation, from: u64, until: u64) -> bool {
    let (mut start, length) = (one.start.0, one.length().0);
    let Some(period) = one.period() else { return start < until && from < start + length };
    while start < until {
        if from < start + length {
            return true;
        }
        start += period.0;
    }
    false
}

/// Nobody runs where he may not, from when he began until he has to be over.
fn check(bench: &Bench) {
    for job in bench.state.jobs.values() {
        let Phase::Active(run) = &job.phase else { continue };
        let (from, until) = (run.started.0, run.deadline.map_or(u64::MAX, |at| at.0));
        let own = run.stay.as_ref().and_then(|stay| bench.state.reservations.get(&stay.name));
        if let Some(own) = own {
            let named = job.spec.reservations.contains(&own.name);
            assert!(named || own.flags.has(Flag::Magnetic), "{} is in {}", job.id, own.name);
            assert!(own.users.names.contains(&job.spec.user_name), "job {} is a stranger", job.id);
            if !own.flags.has(Flag::Flex) {
                assert!(run.places.iter().all(|place| own.nodes.contains(&place.node)));
                assert!(holds_between(own, from, from + 1), "job {} began before", job.id);
            }
        } else if run.stay.is_none() {
            assert!(job.spec.reservations.is_empty(), "job {} is in none that it named", job.id);
        }
        let overrides = own.is_some_and(|own| own.overrides());
        let others = bench.state.reservations.iter().filter(|other| {
            let ignores = other.flags.has(Flag::IgnoreJobs);
            !ignores && !overrides && own.is_none_or(|own| own.number != other.number)
        });
        for other in others {
            let there = run.places.iter().any(|place| other.nodes.contains(&place.node));
            let meets = there && holds_between(other, from, until);
            assert!(!meets, "job {} runs in the time of {}", job.id, other.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The bench carries plans out, and the machine refuses no start of one.
    #[test]
    fn nobody_runs_where_and_while_it_is_reserved_for_others(
        commands in story(),
        order in "backfill|builtin",
    ) {
        let mut bench = Bench::new(&format!(
            "SchedulerType=sched/{order}\nNodeName=n[1-5] CPUs=2\n\
             PartitionName=cpu Nodes=ALL Default=YES\nSelectTypeParameters=CR_CPU"
        ));
        for command in commands {
            if let Some(job) = command.strip_prefix("ended ") {
                let job = JobId(job.parse().expect("it was made of a number"));
                let runs = bench.state.jobs.get(&job).is_some_and(|job| job.holding().is_some());
                if runs {
                    bench.run(&format!("end {job}"));
                }
            } else {
                bench.run(&command);
            }
            check(&bench);
        }
    }
}
