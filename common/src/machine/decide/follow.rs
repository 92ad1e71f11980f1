//! What follows for other jobs when one starts, ends, or is changed.
//!
//! The decision that makes a job start or end also says what became of the conditions of those
//! that wait for it: the log has it from then on, and the job may be forgotten.

use std::collections::VecDeque;

use crate::{
    id::JobId,
    job::{
        Dependency, End, EndState, ExitStatus, Fate, Hold, Job, On, Phase, Progress, Reason,
        Relation,
    },
    machine::{Event, State},
    time::Timestamp,
};

/// `events`, each followed by what it causes for those that depend on it.
///
/// Each event is carried out on a copy of the state, which costs nothing to make, so that what
/// follows of one is seen by the next.
pub(in crate::machine) fn followed(
    state: &State,
    now: Timestamp,
    events: Vec<Event>,
) -> Vec<Event> {
    if !events.iter().any(|event| concerns_others(state, event)) {
        return events;
    }
    let mut state = state.clone();
    let mut queue = VecDeque::from(events);
    let mut done = Vec::with_capacity(queue.len() + 1);
    while let Some(event) = queue.pop_front() {
        let before = event.job().and_then(|job| state.jobs.get(&job)).cloned();
        state.apply_event(now, state.term, &event);
        let follows = follow(&state, before.as_deref(), now, &event);
        for next in follows.into_iter().rev() {
            queue.push_front(next);
        }
        done.push(event);
    }
    done
}

/// Whether somebody may depend on what the event says.
fn concerns_others(state: &State, event: &Event) -> bool {
    let named = || {
        let job = event.job().and_then(|job| state.jobs.get(&job));
        job.is_some_and(|job| {
            let dependents = &state.dependents;
            job.dependency.is_some()
                || dependents.of(job.id).next().is_some()
                || dependents.has_singles(job.spec.user, &job.spec.name)
        })
    };
    match event {
        Event::JobSubmitted { spec, .. } => spec.dependency.is_some(),
        Event::JobUpdated { changes, .. } => {
            changes.dependency.is_some() || changes.name.is_some() || named()
        }
        Event::JobReleased { .. }
        | Event::JobAllocated { .. }
        | Event::JobEnded { .. }
        | Event::JobRequeued { .. }
        | Event::ConditionSettled { .. } => named(),
        Event::ClusterFormed { .. }
        | Event::ConfigSet { .. }
        | Event::FormatRaised { .. }
        | Event::ControllerJoined { .. }
        | Event::ControllerLeft { .. }
        | Event::ClusterRestored { .. }
        | Event::AuthoritiesSet { .. }
        | Event::AccountsLoaded { .. }
        | Event::TokenIssued { .. }
        | Event::TokenSpent { .. }
        | Event::NodeRegistered { .. }
        | Event::NodeChanged { .. }
        | Event::BlobStored { .. }
        | Event::JobHeld { .. }
        | Event::JobLaunching { .. }
        | Event::JobRunning { .. }
        | Event::JobSignalled { .. }
        | Event::SignalDelivered { .. }
        | Event::JobCompleting { .. }
        | Event::JobForgotten { .. } => false,
        #[cfg(feature = "next-event")]
        Event::Noted { .. } => false,
    }
}

/// What the event causes in the state that it led to. `before` is its job as it was.
fn follow(state: &State, before: Option<&Job>, now: Timestamp, event: &Event) -> Vec<Event> {
    let job = event.job().and_then(|job| state.jobs.get(&job));
    let Some(job) = job else { return vec![] };
    if !concerns_others(state, event)
        && before.is_none_or(|before| before.spec.name == job.spec.name)
    {
        return vec![];
    }
    let mut follows = Vec::new();
    if matches!(event, Event::JobAllocated { .. } | Event::JobEnded { .. }) {
        for id in state.dependents.of(job.id) {
            let dependent = state.jobs.get(&id).expect("check: a dependent is there");
            follows.extend(settled(state, dependent, Some(job.id), now));
        }
    } else if !matches!(event, Event::ConditionSettled { .. }) {
        follows.extend(settled(state, job, None, now));
    }
    if let Some(before) = before
        && before.spec.name != job.spec.name
    {
        follows.extend(alone(state, before));
    }
    follows.extend(alone(state, job));
    if follows.is_empty() {
        // Only once all that there is to know of it is known.
        follows.extend(killed(state, job, now));
    }
    follows
}

/// What has become of the conditions of `job`: of those on `parent`, or of all.
fn settled(state: &State, job: &Job, parent: Option<JobId>, now: Timestamp) -> Vec<Event> {
    let Some(dependency) = job.dependency.as_ref().filter(|_| job.is_pending()) else {
        return vec![];
    };
    let numbered = (0..).zip(&dependency.conditions);
    let settled = numbered.filter_map(|(condition, known)| match (known.on, known.fate) {
        (On::Job { relation, job: on, delay, .. }, Fate::Open)
            if parent.is_none_or(|parent| parent == on) =>
        {
            let fate = match fate(state, relation, on, delay) {
                Fate::Open => return None,
                Fate::Due(at) if at <= now => Fate::Met,
                fate @ (Fate::Due(_) | Fate::Met | Fate::Failed) => fate,
            };
            Some(Event::ConditionSettled { job: job.id, condition, fate })
        }
        (On::Job { .. } | On::Singleton, Fate::Open | Fate::Due(_) | Fate::Met | Fate::Failed) => {
            None
        }
    });
    settled.collect()
}

/// What a condition on `job` has come to.
pub(in crate::machine) fn fate(state: &State, relation: Relation, job: JobId, delay: u32) -> Fate {
    match state.jobs.get(&job) {
        Some(job) => relation.fate(progress(job), delay),
        // Only a job that was cancelled while it waited, and comes back, can name one that was
        // forgotten meanwhile. That it is over is known, and not how.
        None => match relation {
            Relation::After | Relation::AfterAny => Fate::Met,
            Relation::AfterOk | Relation::AfterNotOk | Relation::AfterCorr => Fate::Failed,
        },
    }
}

fn progress(job: &Job) -> Progress {
    match &job.phase {
        Phase::Pending => Progress::Waits,
        Phase::Active(run) | Phase::Completing { run, .. } => Progress::Started { at: run.started },
        Phase::Ended { run, end } => Progress::Over {
            started: run.as_ref().map(|run| run.started),
            ended: end.at,
            well: end.state == EndState::Completed,
        },
    }
}

/// Who of the name of `job` may be the only one that runs, where that has changed.
fn alone(state: &State, job: &Job) -> Vec<Event> {
    let (user, name) = (job.spec.user, job.spec.name.as_str());
    let dependents = &state.dependents;
    let next = dependents.may_be_alone(user, name);
    let gone = dependents.taken_for_alone(user, name).filter(|taken| Some(*taken) != next);
    let mut events: Vec<_> = gone.map(|job| singleton(state, job, Fate::Open)).collect();
    if let Some(next) = next
        && !dependents.taken_for_alone(user, name).any(|taken| taken == next)
    {
        events.push(singleton(state, next, Fate::Met));
    }
    events
}

fn singleton(state: &State, id: JobId, fate: Fate) -> Event {
    let job = state.jobs.get(&id).expect("check: a job with `singleton` is there");
    let dependency: &Dependency = job.dependency.as_ref().expect("check: it has a dependency");
    let at = dependency.conditions.iter().position(|one| one.on == On::Singleton);
    let condition = at.and_then(|at| u32::try_from(at).ok()).expect("check: it has `singleton`");
    Event::ConditionSettled { job: id, condition, fate }
}

/// The end of a job that can never start, where that is wanted. One that is held stays: its owner
/// may be about to change what it waits for.
fn killed(state: &State, job: &Job, now: Timestamp) -> Option<Event> {
    let never = job.dependency.as_ref().is_some_and(|dependency| dependency.is_never());
    if !never || !job.is_pending() || job.hold != Hold::None {
        return None;
    }
    let by_default = state.config.as_ref().is_some_and(|config| config.kill_invalid_depend);
    let end = End {
        at: now,
        state: EndState::Cancelled,
        exit: ExitStatus::default(),
        by: None,
        reason: Some(Reason::DependencyNeverSatisfied),
        message: None,
    };
    let ended = Event::JobEnded { job: job.id, attempt: job.attempt, end };
    job.spec.kill_on_invalid_dep.unwrap_or(by_default).then_some(ended)
}

/// A condition of `job` counts from now on.
pub(super) fn due(state: &State, now: Timestamp, job: JobId) -> Vec<Event> {
    let Some(job) = state.jobs.get(&job).filter(|job| job.is_pending()) else { return vec![] };
    let conditions = job.dependency.iter().flat_map(|dependency| &dependency.conditions);
    let due = (0..).zip(conditions).filter(|(_, condition)| match condition.fate {
        Fate::Due(at) => at <= now,
        Fate::Open | Fate::Met | Fate::Failed => false,
    });
    due.map(|(condition, _)| Event::ConditionSettled { job: job.id, condition, fate: Fate::Met })
        .collect()
}
