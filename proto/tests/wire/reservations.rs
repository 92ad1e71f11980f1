//! Reservations. Since format 2.

use std::sync::Arc;

use common::{
    id::{Attempt, Incarnation, NodeName, UserId},
    job::{Hold, JobChanges, JobSpec, Place, Stay},
    machine::Event,
    reservation::{Allowed, Flag, Flags, Reservation},
    resources::Resources,
    time::{Span, TimeLimit, Timestamp},
};

use crate::samples::{JOB, bare_spec};

pub(crate) fn events() -> Vec<Event> {
    let spec = JobSpec { reservations: vec!["nightly".into(), "carol_3".into()], ..bare_spec() };
    vec![
        created(full()),
        created(bare()),
        Event::ReservationUpdated { reservation: Arc::new(bare()), by: Some(UserId(0)) },
        Event::ReservationUpdated { reservation: Arc::new(full()), by: None },
        Event::ReservationDeleted { name: "nightly".into(), by: Some(UserId(7)) },
        Event::ReservationDeleted { name: "nightly".into(), by: None },
        Event::JobHeld { job: JOB, hold: Hold::Reservation },
        Event::JobUpdated {
            job: JOB,
            changes: Arc::new(JobChanges { reservations: Some(vec![]), ..JobChanges::default() }),
        },
        Event::JobSubmitted {
            job: JOB,
            spec: Arc::new(spec),
            priority: 4_294_901_759,
            hold: Hold::None,
            time_limit: TimeLimit::Unlimited,
            requeue: true,
        },
        allocated(Some(Timestamp(9_000))),
        allocated(None),
    ]
}

fn created(reservation: Reservation) -> Event {
    Event::ReservationCreated { reservation: Arc::new(reservation), by: UserId(500) }
}

fn allocated(until: Option<Timestamp>) -> Event {
    Event::JobAllocated {
        job: JOB,
        attempt: Attempt(2),
        incarnation: Incarnation(0xFEED_FACE_CAFE_BEEF),
        places: vec![Place::of(NodeName::from("n1"), Resources { cpus: 4, memory_mib: 2_048 }, 2)],
        deadline: until,
        partition: None,
        stay: Some(Stay { name: "nightly".into(), until }),
        charge: None,
        time_limit: None,
    }
}

fn bare() -> Reservation {
    Reservation {
        name: "carol_3".into(),
        number: 3,
        start: Timestamp(1_764_100_000_000),
        end: Timestamp(1_764_103_600_000),
        nodes: vec![NodeName::from("n1")],
        users: Allowed { names: vec!["carol".into()], denied: false },
        accounts: Allowed::default(),
        groups: vec![],
        partition: None,
        features: None,
        flags: Flags::default(),
        purge_after: None,
        idle_since: None,
        utc_offset_s: 0,
    }
}

fn full() -> Reservation {
    let flags = [Flag::Maint, Flag::Weekday, Flag::SpecNodes, Flag::PurgeComp, Flag::UserDelete];
    Reservation {
        name: "nightly".into(),
        number: 70_000,
        nodes: vec![NodeName::from("n1"), NodeName::from("n2")],
        users: Allowed { names: vec!["alice".into(), "bob".into()], denied: false },
        accounts: Allowed { names: vec!["guests".into()], denied: true },
        groups: vec!["physics".into()],
        partition: Some("debug".into()),
        features: Some("fast&big".into()),
        flags: flags.into_iter().fold(Flags::default(), Flags::with),
        purge_after: Some(Span::from_minutes(5)),
        idle_since: Some(Timestamp(1_764_099_000_000)),
        utc_offset_s: -3_600,
        ..bare()
    }
}
