//! The events about what waits.

use std::sync::Arc;

use common::{id::JobId, machine::Event};
use wire::event::Kind;

use super::need;
use crate::{Invalid, log as wire};

/// The event on the wire. The caller has seen what it is about.
pub(super) fn kind(event: &Event) -> Kind {
    if let Event::TaskSplit { array, index, job } = event {
        let (array, index, job) = (array.0, *index, job.0);
        Kind::TaskSplit(wire::TaskSplit { array, index, job })
    } else if let Event::TasksCancelled { array, tasks, end } = event {
        Kind::TasksCancelled(wire::TasksCancelled {
            array: array.0,
            tasks: Some(tasks.as_ref().into()),
            end: Some(end.into()),
        })
    } else if let Event::ConditionSettled { job, condition, fate } = event {
        let (job, condition, fate) = (job.0, *condition, Some((*fate).into()));
        Kind::ConditionSettled(wire::ConditionSettled { job, condition, fate })
    } else {
        unreachable!("{event:?} is none of what waits")
    }
}

pub(super) fn task_split(event: &wire::TaskSplit) -> Event {
    Event::TaskSplit { array: JobId(event.array), index: event.index, job: JobId(event.job) }
}

pub(super) fn tasks_cancelled(event: wire::TasksCancelled) -> Result<Event, Invalid> {
    Ok(Event::TasksCancelled {
        array: JobId(event.array),
        tasks: Arc::new(need(event.tasks, "tasks")?.try_into()?),
        end: need(event.end, "end")?.try_into()?,
    })
}

pub(super) fn condition_settled(event: wire::ConditionSettled) -> Result<Event, Invalid> {
    let fate = need(event.fate, "fate")?.into();
    Ok(Event::ConditionSettled { job: JobId(event.job), condition: event.condition, fate })
}
