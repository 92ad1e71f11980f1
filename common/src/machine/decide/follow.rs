//! What follows for other jobs when one starts, ends, or is changed.
//!
//! The decision that makes a job start or end also says what became of the conditions of those
//! that wait for it: the log has it from then on, and the job may be forgotten.

mod queue;

use self::queue::Queue;
use super::het::echoed;
use crate::{
    id::JobId,
    job::{
        ArrayPart, Condition, Dependency, End, EndState, ExitStatus, Fate, Hold, Job, On, Progress,
        Reason, Relation, Task, TaskSet,
    },
    machine::{Event, State, arrays::progress},
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
    let follows = |event: &Event| concerns_others(state, event) || !echoed(state, event).is_empty();
    if !events.iter().any(follows) {
        return events;
    }
    let mut state = state.clone();
    let mut done = Vec::with_capacity(events.len() + 1);
    let mut queue = Queue::of(events);
    while let Some(event) = queue.next(&state, now) {
        let before = event.job().and_then(|job| state.jobs.get(&job)).cloned();
        state.apply_event(now, state.term, &event);
        queue.follows(follow(&state, before.as_deref(), now, &event));
        done.push(event);
    }
    done
}

/// Whether somebody may depend on what the event says.
fn concerns_others(state: &State, event: &Event) -> bool {
    let concerned = |job: JobId| {
        state.jobs.get(&job).is_some_and(|job| {
            let dependents = &state.dependents;
            job.dependency.is_some()
                || job.het().is_some()
                || dependents.of(job.id).next().is_some()
                || job.array_id().is_some_and(|array| dependents.of(array).next().is_some())
                || dependents.has_singles(job.spec.user, &job.spec.name)
        })
    };
    let named = || event.job().is_some_and(concerned);
    match event {
        Event::JobSubmitted { spec, .. } => spec.dependency.is_some() || spec.het.is_some(),
        // The task's own job is not there yet.
        Event::TaskSplit { array, .. } => concerned(*array),
        Event::JobUpdated { changes, .. } => {
            changes.dependency.is_some() || changes.name.is_some() || named()
        }
        Event::JobReleased { .. }
        | Event::JobAllocated { .. }
        | Event::JobEnded { .. }
        | Event::JobRequeued { .. }
        | Event::TasksCancelled { .. }
        | Event::ConditionSettled { .. } => named(),
        Event::ClusterFormed { .. }
        | Event::ConfigSet { .. }
        | Event::FormatRaised { .. }
        | Event::ControllerJoined { .. }
        | Event::ControllerLeft { .. }
        | Event::ClusterRestored { .. }
        | Event::AuthoritiesSet { .. }
        | Event::AccountsLoaded { .. }
        | Event::ReservationCreated { .. }
        | Event::ReservationUpdated { .. }
        | Event::ReservationDeleted { .. }
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
        | Event::JobPreempted { .. }
        | Event::JobForgotten { .. } => false,
        #[cfg(feature = "next-event")]
        Event::Noted { .. } => false,
    }
}

/// What the event causes in the state that it led to. `before` is its job as it was.
fn follow(state: &State, before: Option<&Job>, now: Timestamp, event: &Event) -> Vec<Event> {
    let mut follows = echoed(state, event);
    let Some(job) = event.job().and_then(|job| state.jobs.get(&job)) else { return follows };
    let renamed = before.filter(|before| before.spec.name != job.spec.name);
    if !concerns_others(state, event) && renamed.is_none() {
        return follows;
    }
    match happening(event) {
        Happening::ToIt => {
            let freed = freed_at_once(state, job);
            follows.extend(freed_and_left(state, job, freed, None, now));
        }
        Happening::OfIt => {
            let array = job.array_id().filter(|array| *array != job.id);
            for parent in array.into_iter().chain([job.id]) {
                follows.extend(told(state, job, parent, event, now));
            }
        }
        Happening::Else => {}
    }
    follows.extend(renamed.into_iter().flat_map(|before| alone(state, before)));
    follows.extend(alone(state, job));
    if follows.is_empty() {
        // Only once all that there is to know of it is known.
        follows.extend(killed(state, job, now));
    }
    follows
}

/// Whom an event concerns.
enum Happening {
    /// The job waits anew, or for something else.
    ToIt,
    /// Others may have waited for it.
    OfIt,
    Else,
}

fn happening(event: &Event) -> Happening {
    match event {
        Event::JobSubmitted { .. }
        | Event::JobUpdated { .. }
        | Event::JobRequeued { .. }
        | Event::TaskSplit { .. } => Happening::ToIt,
        Event::JobAllocated { .. } | Event::JobEnded { .. } | Event::TasksCancelled { .. } => {
            Happening::OfIt
        }
        Event::ClusterFormed { .. }
        | Event::ConfigSet { .. }
        | Event::FormatRaised { .. }
        | Event::ControllerJoined { .. }
        | Event::ControllerLeft { .. }
        | Event::ClusterRestored { .. }
        | Event::AuthoritiesSet { .. }
        | Event::ReservationCreated { .. }
        | Event::ReservationUpdated { .. }
        | Event::ReservationDeleted { .. }
        | Event::TokenIssued { .. }
        | Event::TokenSpent { .. }
        | Event::NodeRegistered { .. }
        | Event::NodeChanged { .. }
        | Event::BlobStored { .. }
        | Event::JobHeld { .. }
        | Event::JobReleased { .. }
        | Event::JobLaunching { .. }
        | Event::JobRunning { .. }
        | Event::JobSignalled { .. }
        | Event::SignalDelivered { .. }
        | Event::JobCompleting { .. }
        | Event::JobPreempted { .. }
        | Event::ConditionSettled { .. }
        | Event::AccountsLoaded { .. }
        | Event::JobForgotten { .. } => Happening::Else,
        #[cfg(feature = "next-event")]
        Event::Noted { .. } => Happening::Else,
    }
}

/// What those who wait for `parent` learn, which is `job` or its array.
fn told(state: &State, job: &Job, parent: JobId, event: &Event, now: Timestamp) -> Vec<Event> {
    let among = match (event, &job.array) {
        (Event::TasksCancelled { tasks, .. }, _) => TaskSet::clone(tasks),
        (_, Some(ArrayPart::Task { index, .. })) => TaskSet::one(*index),
        (_, Some(ArrayPart::Waiting(tasks))) => tasks.clone(),
        (_, None) => TaskSet::default(),
    };
    let mut events = Vec::new();
    for id in state.dependents.of(parent) {
        let dependent = state.jobs.get(&id).expect("check: a dependent is there");
        let freed = freed(state, dependent, parent, &among);
        events.extend(freed_and_left(state, dependent, freed, Some(parent), now));
    }
    events
}

/// What frees tasks, and then what the job learns that stands for those that are left.
fn freed_and_left(
    state: &State,
    job: &Job,
    freed: Vec<Event>,
    parent: Option<JobId>,
    now: Timestamp,
) -> Vec<Event> {
    let left = settled(state, job, parent, now);
    freed.into_iter().chain(left).collect()
}

/// Tasks whose counterparts are over already as their array comes in.
fn freed_at_once(state: &State, job: &Job) -> Vec<Event> {
    let conditions = job.dependency.iter().flat_map(|dependency| &dependency.conditions);
    let mut parents = conditions.filter_map(|condition| match condition.on {
        On::Job { relation: Relation::AfterCorr, job, task: Some(Task::All), .. } => Some(job),
        On::Job { .. } | On::Singleton => None,
    });
    // One parent after the other: what is freed for the first is looked at again for the others.
    let freed = parents.find_map(|parent| {
        let asked = state.asked(parent)?;
        let freed = freed(state, job, parent, &asked.tasks);
        (!freed.is_empty()).then_some(freed)
    });
    freed.unwrap_or_default()
}

/// What has become of the conditions of `job`: of those on `parent`, or of all.
fn settled(state: &State, job: &Job, parent: Option<JobId>, now: Timestamp) -> Vec<Event> {
    let Some(dependency) = job.dependency.as_ref().filter(|_| job.is_pending()) else {
        return vec![];
    };
    let mut events = Vec::new();
    for (condition, known) in (0..).zip(&dependency.conditions) {
        let On::Job { job: on, .. } = known.on else { continue };
        if known.fate != Fate::Open || parent.is_some_and(|parent| parent != on) {
            continue;
        }
        let fate = fate_at(state, job, known.on, now);
        if fate != Fate::Open {
            events.push(Event::ConditionSettled { job: job.id, condition, fate });
        }
    }
    events
}

/// What a condition of `job` has come to at this moment.
fn fate_at(state: &State, job: &Job, on: On, now: Timestamp) -> Fate {
    match fate(state, job, on) {
        Fate::Due(at) if at <= now => Fate::Met,
        fate @ (Fate::Open | Fate::Due(_) | Fate::Met | Fate::Failed) => fate,
    }
}

/// What a condition of `job` has come to.
pub(in crate::machine) fn fate(state: &State, job: &Job, on: On) -> Fate {
    let On::Job { relation, job: on, task, delay } = on else { return Fate::Open };
    let progress = match (task, &job.array) {
        (None, _) => state.jobs.get(&on).map(|job| progress(job)),
        (Some(Task::One(index)), _) => state.task_progress(on, index),
        (Some(Task::All), Some(ArrayPart::Task { index, .. }))
            if relation == Relation::AfterCorr =>
        {
            return corresponding(state, on, *index, delay);
        }
        // Each of those that wait gets a job of its own once its counterpart is over. What is left
        // at the end has none.
        (Some(Task::All), Some(ArrayPart::Waiting(_))) if relation == Relation::AfterCorr => {
            let over = state.arrays.get(&on).is_none_or(|book| book.unfinished == 0);
            return if over { Fate::Met } else { Fate::Open };
        }
        (Some(Task::All), _) => state.array_progress(on),
    };
    // Only a job that was cancelled while it waited, and comes back, can name one that was
    // forgotten meanwhile. That it is over is known, and not how.
    progress.map_or_else(|| forgotten(relation), |progress| relation.fate(progress, delay))
}

fn forgotten(relation: Relation) -> Fate {
    match relation {
        Relation::After | Relation::AfterAny => Fate::Met,
        Relation::AfterOk | Relation::AfterNotOk | Relation::AfterCorr => Fate::Failed,
    }
}

/// What `aftercorr` has come to for the task of this number.
fn corresponding(state: &State, array: JobId, index: u32, delay: u32) -> Fate {
    if let Some(progress) = state.task_progress(array, index) {
        return Relation::AfterCorr.fate(progress, delay);
    }
    let has = |index| state.asked(array).is_some_and(|asked| asked.tasks.contains(index));
    let over = state.arrays.get(&array).is_none_or(|book| book.unfinished == 0);
    match (has(index), over) {
        // Cancelled while it waited, or forgotten.
        (true, _) => Fate::Failed,
        (false, true) => Fate::Met,
        (false, false) => Fate::Open,
    }
}

/// Waiting tasks whose counterparts in `parent` are over, or of those the ones in `among`: each
/// gets a job of its own, of which the rest follows.
fn freed(state: &State, job: &Job, parent: JobId, among: &TaskSet) -> Vec<Event> {
    let Some((_, waiting)) = state.waiting(job.id) else { return vec![] };
    let corresponds = |condition: &Condition| match condition.on {
        On::Job { relation: Relation::AfterCorr, job: on, task: Some(Task::All), .. } => {
            on == parent && condition.fate == Fate::Open
        }
        On::Job { .. } | On::Singleton => false,
    };
    let conditions = job.dependency.iter().flat_map(|dependency| &dependency.conditions);
    if !conditions.into_iter().any(corresponds) {
        return vec![];
    }
    let over = |index: &u32| match state.task_progress(parent, *index) {
        None => true,
        Some(Progress::Over { .. }) => true,
        Some(Progress::Waits | Progress::Started { .. }) => false,
    };
    // Their numbers are given as they are carried out.
    let task = |index| Event::TaskSplit { array: job.id, index, job: job.id };
    waiting.common(among).iter().filter(over).map(task).collect()
}

/// Who of the name of `job` may be the only one that runs, where that has changed.
fn alone(state: &State, job: &Job) -> Vec<Event> {
    let (user, name) = (job.spec.user, job.spec.name.as_str());
    let next = state.dependents.may_be_alone(user, name);
    let changed = state.dependents.changed_for_alone(user, name, next).into_iter();
    changed
        .map(|(job, alone)| singleton(state, job, if alone { Fate::Met } else { Fate::Open }))
        .collect()
}

fn singleton(state: &State, id: JobId, fate: Fate) -> Event {
    let job = state.jobs.get(&id).expect("check: a job with `singleton` is there");
    let dependency: &Dependency = job.dependency.as_ref().expect("check: it has a dependency");
    let at = dependency.conditions.iter().position(|one| one.on == On::Singleton);
    let condition = at.and_then(|at| u32::try_from(at).ok()).expect("check: it has `singleton`");
    Event::ConditionSettled { job: id, condition, fate }
}

/// The end of a job that can never start, where that is wanted; of all components of a
/// heterogeneous one, once all are there. One that is held stays: its owner may be about to change
/// what it waits for.
fn killed(state: &State, job: &Job, now: Timestamp) -> Option<Event> {
    let by_default = state.config.as_ref().is_some_and(|config| config.kill_invalid_depend);
    let in_vain = |job: &Job| {
        let never = job.dependency.as_ref().is_some_and(|dependency| dependency.is_never());
        let waits = never && job.is_pending() && job.hold == Hold::None;
        waits && job.spec.kill_on_invalid_dep.unwrap_or(by_default)
    };
    let killed = match job.het() {
        None => in_vain(job),
        Some(part) => {
            let all = part.all().map(|id| state.jobs.get(&id));
            let all = all.collect::<Option<Vec<_>>>()?;
            // While some have entered, or come back, and others not yet, it is too early.
            all.iter().all(|one| one.is_pending()) && all.into_iter().any(|one| in_vain(one))
        }
    };
    let end = End {
        at: now,
        state: EndState::Cancelled,
        exit: ExitStatus::default(),
        by: None,
        reason: Some(Reason::DependencyNeverSatisfied),
        message: None,
    };
    let (job, attempt) = (job.led_by().unwrap_or(job.id), job.attempt);
    killed.then_some(Event::JobEnded { job, attempt, end })
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
