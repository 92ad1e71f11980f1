//! Reservations: an operator makes, changes and deletes them, and nobody starts on what is
//! reserved for others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use common::{
    id::{JobId, NodeName},
    job::{Place, Stay},
    machine::{By, Command, Entry, Event},
    reservation::{
        Flag, Flags, ListChange, NodesAsked, Reservation, ReservationChanges, ReservationRequest,
    },
    time::{Span, Timestamp},
};

use super::{controller::node_name, user::Want, world::World};

/// Of whom all jobs are, and of whom none is.
const USERS: [&str; 2] = ["alice", "bob"];

/// A reservation that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Reserve {
    user: &'static str,
    start: Timestamp,
    seconds: u64,
    nodes: Vec<usize>,
    flex: bool,
}

impl Reserve {
    pub(super) fn command(&self, by: By) -> Command {
        let nodes = self.nodes.iter().map(|node| NodeName::from(node_name(*node)));
        let flags = Flags::default().with(Flag::IgnoreJobs);
        let asked = ReservationChanges {
            start: Some(self.start),
            length: Some(Span::from_seconds(self.seconds)),
            nodes: Some(NodesAsked::Named(nodes.collect())),
            users: Some(ListChange::Set(vec![self.user.to_owned()])),
            set_flags: if self.flex { flags.with(Flag::Flex) } else { flags },
            ..ReservationChanges::default()
        };
        let request = Box::new(ReservationRequest { name: None, asked, utc_offset_s: 0 });
        Command::CreateReservation { by, request }
    }
}

/// What is reserved, from the events alone: when each one holds is counted here.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    known: BTreeMap<String, Arc<Reservation>>,
    named: BTreeMap<JobId, BTreeSet<String>>,
}

impl Reserved {
    pub(super) fn entry(&mut self, entry: &Entry) {
        for event in &entry.events {
            self.event(entry.at, event);
        }
    }

    fn event(&mut self, at: Timestamp, event: &Event) {
        if let Event::ReservationCreated { reservation, .. }
        | Event::ReservationUpdated { reservation, .. } = event
        {
            self.known.insert(reservation.name.clone(), Arc::clone(reservation));
        }
        if let Event::ReservationDeleted { name, .. } = event {
            assert!(self.known.remove(name).is_some(), "reservation {name} is deleted twice");
        }
        if let Event::JobSubmitted { job, spec, .. } = event {
            self.named.insert(*job, spec.reservations.iter().cloned().collect());
        }
        if let Event::TaskSplit { array, job, .. } = event {
            let named = self.named.get(array).cloned().unwrap_or_default();
            self.named.insert(*job, named);
        }
        if let Event::JobUpdated { job, changes } = event
            && let Some(names) = &changes.reservations
        {
            self.named.insert(*job, names.iter().cloned().collect());
        }
        if let Event::JobAllocated { job, places, deadline, stay, .. } = event {
            self.starts(at, *job, places, *deadline, stay.as_ref());
        }
    }

    fn starts(
        &self,
        at: Timestamp,
        job: JobId,
        places: &[Place],
        deadline: Option<Timestamp>,
        stay: Option<&Stay>,
    ) {
        let named = self.named.get(&job).cloned().unwrap_or_default();
        let until = deadline.unwrap_or(Timestamp(u64::MAX));
        if let Some(Stay { name, .. }) = stay {
            let own = self.known.get(name).expect("nobody is in what is not there");
            assert!(named.contains(name), "job {job} is in {name}, and did not ask for it");
            assert!(
                own.users.names.contains(&USERS[0].to_owned()),
                "{job} is a stranger in {name}"
            );
            if !own.flags.has(Flag::Flex) {
                let within = own.start <= at && until <= own.end;
                assert!(within, "job {job} begins or ends outside of {name}");
                let on = |place: &Place| own.nodes.contains(&place.node);
                assert!(places.iter().all(on), "job {job} is on other nodes than those of {name}");
            }
        } else {
            assert!(named.is_empty(), "job {job} starts outside of its reservations");
        }
        for other in self.known.values().filter(|one| stay.is_none_or(|own| own.name != one.name)) {
            let there = places.iter().any(|place| other.nodes.contains(&place.node));
            let meets = at < other.end && other.start < until.max(Timestamp(at.0 + 1));
            assert!(!(there && meets), "job {job} starts on what is reserved as {}", other.name);
        }
    }
}

impl World {
    /// What the next job asks for: most want none.
    pub(super) fn some_reservation(&mut self) -> Option<String> {
        if !self.random.chance(250) {
            return None;
        }
        let names: Vec<String> = self.truth.reservations.iter().map(|o| o.name.clone()).collect();
        (!names.is_empty()).then(|| names[self.random.index(names.len())].clone())
    }

    /// One more reservation, or one less.
    pub(super) fn some_change_of_reservations(&mut self) -> Want {
        let names: Vec<String> = self.truth.reservations.iter().map(|o| o.name.clone()).collect();
        if !names.is_empty() && self.random.chance(400) {
            return Want::Unreserve(names[self.random.index(names.len())].clone());
        }
        let node = self.random.index(self.hosts.len());
        let other = self.random.index(self.hosts.len());
        Want::Reserve(Reserve {
            user: USERS[usize::from(self.random.chance(300))],
            start: self.truth.at + Span::from_seconds(self.random.below(60)),
            seconds: 10 + self.random.below(60),
            nodes: vec![node, other],
            flex: self.random.chance(200),
        })
    }
}
