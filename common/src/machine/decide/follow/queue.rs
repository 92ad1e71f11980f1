//! The events that are to be carried out, in their order.
//!
//! What follows of an event is found in the state that it leads to, and what follows of that comes
//! before the rest. So each is looked at once more as its turn comes.

use std::collections::{BTreeMap, VecDeque};

use super::fate_at;
use crate::{
    id::JobId,
    job::{Fate, On},
    machine::{Event, State},
    time::Timestamp,
};

pub(super) struct Queue {
    decided: VecDeque<Event>,
    /// Before those.
    following: VecDeque<Event>,
    /// Numbers of jobs that the decided ones begin, and which they got.
    given: BTreeMap<JobId, JobId>,
}

impl Queue {
    pub(super) fn of(decided: Vec<Event>) -> Self {
        let decided = VecDeque::from(decided);
        Self { decided, following: VecDeque::new(), given: BTreeMap::new() }
    }

    pub(super) fn follows(&mut self, events: Vec<Event>) {
        for event in events.into_iter().rev() {
            self.following.push_front(event);
        }
    }

    /// The next one, as it is to be carried out on `state`.
    pub(super) fn next(&mut self, state: &State, now: Timestamp) -> Option<Event> {
        while let Some(event) = self.following.pop_front() {
            if let Some(event) = still(state, now, event) {
                return Some(event);
            }
        }
        let mut event = self.decided.pop_front()?;
        if let Event::TaskSplit { array, job, .. } = &event
            && array != job
        {
            self.given.insert(*job, JobId(state.next_job.max(job.0)));
        }
        if let Event::TaskSplit { job, .. }
        | Event::JobHeld { job, .. }
        | Event::JobReleased { job, .. }
        | Event::JobUpdated { job, .. }
        | Event::JobAllocated { job, .. } = &mut event
            && let Some(given) = self.given.get(job)
        {
            *job = *given;
        }
        Some(event)
    }
}

/// What is left to be done of an event that was found to follow of one before.
fn still(state: &State, now: Timestamp, event: Event) -> Option<Event> {
    if let Event::TaskSplit { array, index, .. } = event {
        let (_, waiting) = state.waiting(array).filter(|(_, all)| all.contains(index))?;
        let job = if waiting.len() == 1 { array } else { JobId(state.next_job) };
        return Some(Event::TaskSplit { array, index, job });
    }
    let job = event.job().and_then(|job| state.jobs.get(&job))?;
    let told = matches!(event, Event::ConditionSettled { .. });
    if job.is_led() && !told {
        // It follows at once of what was said of its leader.
        return Some(event);
    }
    // All others are about a job that waits.
    let job = Some(job).filter(|job| job.is_pending())?;
    let Event::ConditionSettled { condition, .. } = event else { return Some(event) };
    let known = job.dependency.as_ref()?.conditions.get(condition as usize)?;
    let fate = match known.on {
        On::Job { .. } if known.fate != Fate::Open => return None,
        On::Job { .. } => fate_at(state, job, known.on, now),
        On::Singleton => {
            let alone = state.dependents.may_be_alone(job.spec.user, &job.spec.name);
            let is_next = alone == Some(job.array_id().unwrap_or(job.id));
            if is_next { Fate::Met } else { Fate::Open }
        }
    };
    (fate != known.fate).then_some(Event::ConditionSettled { job: job.id, condition, fate })
}
