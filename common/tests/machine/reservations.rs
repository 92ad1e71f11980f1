//! What the log says of reservations, and what they keep from whom.

use common::{
    id::{JobId, NodeName, UserId},
    job::{Hold, JobChanges, JobSpec, Phase, Reason},
    machine::{Answer, Command, Event, Refusal, Report, State, next_alarm, timers},
    reservation::{Flag, Flags, ListChange, NodesAsked, ReservationChanges, ReservationRequest},
    time::{Span, TimeLimit},
};

use crate::cluster::{ALICE, BOB, Cluster, ROOT, spec};

const HOUR: u64 = 3_600;

/// An hour on `nodes`, in an hour, for alice.
fn asked(cluster: &Cluster, nodes: &[&str]) -> ReservationChanges {
    let nodes = nodes.iter().map(|node| NodeName::from(*node)).collect();
    ReservationChanges {
        start: Some(cluster.now + Span::from_seconds(HOUR)),
        length: Some(Span::from_seconds(HOUR)),
        nodes: Some(NodesAsked::Named(nodes)),
        users: Some(ListChange::Set(vec!["alice".to_owned()])),
        ..ReservationChanges::default()
    }
}

fn reserve(cluster: &mut Cluster, name: &str, asked: ReservationChanges) -> Result<(), Refusal> {
    let by = cluster.by(ROOT);
    let name = Some(name.to_owned());
    let request = Box::new(ReservationRequest { name, asked, utc_offset_s: 0 });
    cluster.send(Command::CreateReservation { by, request }).map(|_| ())
}

fn change(cluster: &mut Cluster, name: &str, asked: ReservationChanges) -> Result<(), Refusal> {
    let (by, asked) = (cluster.by(ROOT), Box::new(asked));
    cluster.send(Command::UpdateReservation { by, name: name.to_owned(), asked }).map(|_| ())
}

fn delete(cluster: &mut Cluster, user: UserId, name: &str) -> Result<(), Refusal> {
    let by = cluster.by(user);
    cluster.send(Command::DeleteReservation { by, name: name.to_owned() }).map(|_| ())
}

fn of(user: UserId, minutes: u32, reservations: &[&str]) -> JobSpec {
    let name = if user == ALICE { "alice" } else { "bob" };
    JobSpec {
        user_name: name.to_owned(),
        time_limit: Some(TimeLimit::Minutes(minutes)),
        reservations: reservations.iter().map(|name| (*name).to_owned()).collect(),
        ..spec(user)
    }
}

fn tick(cluster: &mut Cluster) -> usize {
    let due = timers(&cluster.state, cluster.now);
    let count = due.len();
    for command in due {
        cluster.send(command).expect("timers are never refused");
    }
    count
}

fn hold(state: &State, job: JobId) -> Hold {
    state.jobs[&job].hold
}

#[test]
fn only_operators_make_change_and_delete_them() {
    let mut cluster = Cluster::new(&["n1"], 4);
    let request = || {
        let asked = asked(&cluster, &["n1"]);
        Box::new(ReservationRequest { name: None, asked, utc_offset_s: 0 })
    };
    let (one, two) = (request(), request());
    let by = cluster.by(ALICE);
    let made = cluster.send(Command::CreateReservation { by, request: one });
    assert_eq!(made, Err(Refusal::NotOperator));
    let by = cluster.by(ROOT);
    let create = Command::CreateReservation { by: by.clone(), request: two };
    assert_eq!(cluster.send(create.clone()), Ok(Answer::Reservation(1)));
    assert_eq!(cluster.send(create), Ok(Answer::Reservation(1)), "its answer was lost");
    let last = cluster.log.last().expect("there are entries");
    let Event::ReservationCreated { reservation, by } = &last.events[0] else { panic!("{last:?}") };
    assert_eq!((reservation.name.as_str(), *by), ("alice_1", ROOT));
    let by = cluster.by(ALICE);
    let asked = Box::default();
    let changed = Command::UpdateReservation { by, name: "alice_1".to_owned(), asked };
    assert_eq!(cluster.send(changed), Err(Refusal::NotOperator));
    assert_eq!(delete(&mut cluster, ALICE, "alice_1"), Err(Refusal::NotOperator));
    assert_eq!(delete(&mut cluster, ROOT, "alice_1"), Ok(()));
    assert!(cluster.state.reservations.is_empty());
    assert_eq!(cluster.replayed(), cluster.state);
}

/// The plan may be older than the reservation.
#[test]
fn nobody_is_given_what_is_reserved_for_others_before_he_would_be_over() {
    let mut cluster = Cluster::new(&["n1", "n2"], 4);
    let short = cluster.submit(BOB, of(BOB, 60, &[])).expect("it may enter");
    let long = cluster.submit(BOB, of(BOB, 61, &[])).expect("it may enter");
    let own = cluster.submit(ALICE, of(ALICE, 61, &[])).expect("it may enter");
    let hour = asked(&cluster, &["n1"]);
    reserve(&mut cluster, "hour", hour).expect("nobody runs there");
    let inside = cluster.submit(ALICE, of(ALICE, 90, &["hour"])).expect("it is hers");
    assert_eq!(cluster.allocate(long, "n1", 1), Err(Refusal::Stale));
    assert_eq!(cluster.allocate(own, "n1", 1), Err(Refusal::Stale), "she did not ask for it");
    assert_eq!(cluster.allocate(inside, "n1", 1), Err(Refusal::Stale), "it is too early");
    assert_eq!(cluster.allocate(short, "n1", 1), Ok(()));
    assert_eq!(cluster.allocate(long, "n2", 1), Ok(()));
    cluster.pass(HOUR);
    assert_eq!(cluster.allocate(inside, "n2", 1), Err(Refusal::Stale), "not one of its nodes");
    assert_eq!(cluster.allocate(inside, "n1", 1), Ok(()));
    let run = cluster.state.jobs[&inside].run().expect("it runs").clone();
    let end = cluster.now + Span::from_seconds(HOUR);
    assert_eq!(run.deadline, Some(end), "it ends with the reservation");
    assert_eq!(run.stay.map(|stay| stay.name), Some("hour".to_owned()));
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn who_is_in_it_ends_with_it_and_who_waits_for_it_is_held() {
    let mut cluster = Cluster::new(&["n1"], 4);
    let hour = asked(&cluster, &["n1"]);
    reserve(&mut cluster, "hour", hour).expect("nobody runs there");
    let runs = cluster.submit(ALICE, of(ALICE, 90, &["hour"])).expect("it is hers");
    let waits = cluster.submit(ALICE, of(ALICE, 90, &["hour"])).expect("it is hers");
    assert_eq!(delete(&mut cluster, ROOT, "hour"), Err(Refusal::ReservationBusy));
    cluster.pass(HOUR);
    cluster.allocate(runs, "n1", 4).expect("it holds");
    // It is made longer, and then to end with the hour again.
    let longer = |minutes| ReservationChanges {
        length: Some(Span::from_minutes(minutes)),
        ..ReservationChanges::default()
    };
    change(&mut cluster, "hour", longer(80)).expect("nobody else wants the node");
    let deadline = |cluster: &Cluster| cluster.state.jobs[&runs].run().and_then(|run| run.deadline);
    assert_eq!(deadline(&cluster), Some(cluster.now + Span::from_minutes(80)));
    change(&mut cluster, "hour", longer(60)).expect("nobody else wants the node");
    assert_eq!(deadline(&cluster), Some(cluster.now + Span::from_minutes(60)));
    assert_eq!(tick(&mut cluster), 0);
    cluster.pass(HOUR);
    assert_eq!(tick(&mut cluster), 1);
    let Phase::Completing { end, .. } = &cluster.state.jobs[&runs].phase else { panic!("it ends") };
    assert_eq!(end.reason, Some(Reason::TimeLimit));
    assert_eq!(tick(&mut cluster), 0, "as long as the node is not clean, it is there");
    cluster.exits("n1", runs, 1, 0);
    assert_eq!(tick(&mut cluster), 1);
    assert!(cluster.state.reservations.is_empty());
    assert_eq!(hold(&cluster.state, waits), Hold::Reservation);
    assert_eq!(cluster.state.jobs[&waits].spec.reservations, [""; 0]);
    assert!(cluster.state.queues.is_empty());
    let by = cluster.by(ALICE);
    cluster.send(Command::Release { by, job: waits }).expect("she may");
    assert_eq!(hold(&cluster.state, waits), Hold::None);
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn a_job_may_go_to_another_reservation_or_to_none() {
    let mut cluster = Cluster::new(&["n1", "n2"], 4);
    for (name, node) in [("one", "n1"), ("two", "n2")] {
        let hour = asked(&cluster, &[node]);
        reserve(&mut cluster, name, hour).expect("nobody runs there");
    }
    let job = cluster.submit(ALICE, of(ALICE, 10, &["one"])).expect("it is hers");
    let mut set = |names: &[&str]| {
        let reservations = Some(names.iter().map(|name| (*name).to_owned()).collect());
        let changes = Box::new(JobChanges { reservations, ..JobChanges::default() });
        let by = cluster.by(ALICE);
        let told = cluster.send(Command::UpdateJob { by, job, changes }).map(|_| ());
        let jobs = |name: &str| cluster.state.reservations.jobs_of(name).count();
        (told, jobs("one"), jobs("two"))
    };
    assert_eq!(set(&["three"]), (Err(Refusal::ReservationInvalid), 1, 0));
    assert_eq!(set(&["one", "two"]), (Ok(()), 1, 1));
    assert_eq!(set(&["two"]), (Ok(()), 0, 1));
    assert_eq!(set(&[]), (Ok(()), 0, 0));
    let stranger = cluster.submit(BOB, of(BOB, 10, &["one"]));
    assert_eq!(stranger, Err(Refusal::ReservationAccess));
}

#[test]
fn what_has_begun_keeps_its_start_and_its_jobs() {
    let mut cluster = Cluster::new(&["n1", "n2"], 4);
    let hour = asked(&cluster, &["n1"]);
    reserve(&mut cluster, "hour", hour.clone()).expect("nobody runs there");
    cluster.pass(HOUR);
    let job = cluster.submit(ALICE, of(ALICE, 10, &["hour"])).expect("it is hers");
    cluster.allocate(job, "n1", 1).expect("it holds");
    let later = ReservationChanges { start: hour.start.map(|at| at + Span(1_000)), ..hour.clone() };
    assert_eq!(change(&mut cluster, "hour", later), Err(Refusal::ReservationStarted));
    let other = asked(&cluster, &["n2"]);
    let other = ReservationChanges { start: None, length: None, ..other };
    assert_eq!(change(&mut cluster, "hour", other), Err(Refusal::Busy));
    let both = asked(&cluster, &["n1", "n2"]);
    let both = ReservationChanges { start: None, length: None, ..both };
    assert_eq!(change(&mut cluster, "hour", both), Ok(()));
    let nobody = ListChange::Set(vec![]);
    let nobody = ReservationChanges { users: Some(nobody), ..ReservationChanges::default() };
    assert_eq!(change(&mut cluster, "hour", nobody), Err(Refusal::ReservationEmpty));
}

#[test]
fn who_may_use_one_may_delete_it_where_it_says_so() {
    let mut cluster = Cluster::new(&["n1"], 4);
    let hour = asked(&cluster, &["n1"]);
    let flags = Flags::default().with(Flag::UserDelete);
    reserve(&mut cluster, "hour", ReservationChanges { set_flags: flags, ..hour }).expect("free");
    cluster.submit(BOB, of(BOB, 10, &[])).expect("it may enter");
    assert_eq!(delete(&mut cluster, BOB, "hour"), Err(Refusal::NotOperator));
    cluster.submit(ALICE, of(ALICE, 10, &[])).expect("it may enter");
    assert_eq!(delete(&mut cluster, ALICE, "hour"), Ok(()));
}

/// While it was over, what it waited for could go.
#[test]
fn a_job_that_is_requeued_does_not_wait_for_a_reservation_that_is_gone() {
    let mut cluster = Cluster::new(&["n1", "n2"], 4);
    for (name, node) in [("one", "n1"), ("two", "n2")] {
        let hour = asked(&cluster, &[node]);
        reserve(&mut cluster, name, hour).expect("nobody runs there");
    }
    let job = cluster.submit(ALICE, of(ALICE, 10, &["one", "two"])).expect("both are hers");
    cluster.pass(HOUR);
    cluster.allocate(job, "n1", 1).expect("it holds");
    cluster.report("n1", job, 1, Report::Launching);
    cluster.report("n1", job, 1, Report::Running);
    assert_eq!(delete(&mut cluster, ROOT, "two"), Ok(()), "it is in the other one");
    cluster.exits("n1", job, 1, 0);
    assert_eq!(delete(&mut cluster, ROOT, "one"), Ok(()));
    let by = cluster.by(ALICE);
    cluster.send(Command::Requeue { by, job, hold: false }).expect("it may run again");
    assert!(next_alarm(&cluster.state) <= Some(cluster.now));
    assert!(tick(&mut cluster) > 0);
    assert_eq!(hold(&cluster.state, job), Hold::Reservation);
    assert_eq!(cluster.state.jobs[&job].spec.reservations, [""; 0]);
    assert_eq!(tick(&mut cluster), 0);
}

/// A run with a shortened limit keeps it when its reservation is changed.
#[test]
fn a_shortened_run_stays_short_when_its_reservation_ends_later() {
    use common::{
        job::{Asks, Place},
        machine::Allocation,
        resources::Resources,
    };
    let mut cluster = Cluster::new(&["n1"], 4);
    let made = asked(&cluster, &["n1"]);
    let made = ReservationChanges { start: Some(cluster.now), ..made };
    reserve(&mut cluster, "one", made).expect("nobody runs");
    cluster.pass(1);
    let asks = Asks { time_min: Some(TimeLimit::Minutes(5)), ..Asks::NONE };
    let spec = JobSpec { asks: Some(asks.into()), ..of(ALICE, 50, &["one"]) };
    let job = cluster.submit(ALICE, spec).expect("she may");
    let held = Resources { cpus: 1, memory_mib: 0 };
    let start = Allocation::of(&cluster.state.jobs[&job], vec![Place::of("n1".into(), held, 1)]);
    let start = Allocation { time_limit: Some(TimeLimit::Minutes(5)), ..start };
    cluster.send(Command::Allocate(start)).expect("there is room");
    let deadline = |cluster: &Cluster| cluster.state.jobs[&job].run().and_then(|run| run.deadline);
    let before = deadline(&cluster);
    let longer = Some(Span::from_seconds(2 * HOUR));
    let longer = ReservationChanges { length: longer, ..ReservationChanges::default() };
    change(&mut cluster, "one", longer).expect("it may be longer");
    assert_eq!(deadline(&cluster), before);
}
