//! That a job holds nodes from a moment on.

use common::{
    id::{Attempt, Incarnation, JobId, PartitionName},
    job::Charge,
    machine::Event,
    time::Timestamp,
};
use wire::event::Kind;

use super::cpus;
use crate::{Invalid, log as wire};

pub(super) fn kind(event: &Event) -> Kind {
    let Event::JobAllocated {
        job,
        attempt,
        incarnation,
        places,
        deadline,
        partition,
        stay,
        charge,
        time_limit,
    } = event
    else {
        unreachable!("the caller saw an allocation");
    };
    Kind::JobAllocated(wire::JobAllocated {
        job: job.0,
        attempt: attempt.0,
        incarnation: incarnation.0,
        places: places.iter().map(Into::into).collect(),
        cpus: cpus::of_places(places),
        deadline: deadline.map(|at| at.0),
        partition: partition.as_ref().map(ToString::to_string),
        stay: stay.as_ref().map(Into::into),
        charge: charge.map(|charge| charge.0),
        time_limit: time_limit.map(Into::into),
    })
}

pub(super) fn event(event: wire::JobAllocated) -> Result<Event, Invalid> {
    Ok(Event::JobAllocated {
        job: JobId(event.job),
        attempt: Attempt(event.attempt),
        incarnation: Incarnation(event.incarnation),
        places: cpus::with_places(event.places, event.cpus)?,
        deadline: event.deadline.map(Timestamp),
        partition: event.partition.map(PartitionName::from),
        stay: event.stay.map(Into::into),
        charge: event.charge.map(Charge),
        time_limit: event.time_limit.map(Into::into),
    })
}
