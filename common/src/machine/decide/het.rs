//! What is done to a heterogeneous job, and to one of its components.

use std::{ops::Range, sync::Arc};

use super::{
    asks::may_have_licenses,
    cancel::{cancelled, ends},
    on_one, owned,
    submit::{enter, next_job},
};
use crate::{
    id::JobId,
    job::{Condition, HetPart, Job, JobChanges, JobSpec, Licenses, On, Phase, SignalScope, Stage},
    machine::{Allocation, By, Event, Refusal, State, Submission, TaskAct},
    time::Timestamp,
};

/// All components enter, or none does.
pub(super) fn submit(
    state: &State,
    now: Timestamp,
    submission: Submission,
) -> Result<(Vec<Event>, JobId), Refusal> {
    let Submission { by, spec, components, script, environment } = submission;
    if components.is_empty() {
        return enter(state, now, &by, JobSpec { het: None, ..spec }, (script, environment));
    }
    if state.format < 2 {
        return Err(Refusal::Format("heterogeneous jobs"));
    }
    let size = u32::try_from(components.len()).unwrap_or(u32::MAX).saturating_add(1);
    if size > HetPart::MOST {
        let text = format!("A heterogeneous job has at most {} components", HetPart::MOST);
        return Err(Refusal::Unsupported(text));
    }
    let config = state.config.as_ref().ok_or(Refusal::Disabled)?;
    let leader = next_job(state, config)?;
    let all = std::iter::once(spec).chain(components);
    let all: Vec<JobSpec> = all.collect();
    may_have_licenses(state, &licenses(&all))?;
    let entered = in_turn(state, now, (0..).zip(all), |state, (offset, spec)| {
        may_be_component(&spec)?;
        if waits_for_one_of(&spec, leader..JobId(leader.0.saturating_add(size))) {
            return Err(Refusal::Dependency);
        }
        let spec = JobSpec { het: Some(HetPart { leader, offset, size }), ..spec };
        let content = (script.clone(), environment.clone());
        let (events, job) = enter(state, now, &by, spec, content)?;
        assert_eq!(job.0, leader.0 + offset, "the numbers of components follow each other");
        Ok(events)
    });
    Ok((entered?, leader))
}

/// What all of them together want of each license.
fn licenses(all: &[JobSpec]) -> Licenses {
    Licenses::sum(all.iter().map(|spec| &spec.asks().licenses))
}

/// What one after the other causes, each as if those before it had happened. Where one is refused,
/// all are.
fn in_turn<T>(
    state: &State,
    now: Timestamp,
    all: impl Iterator<Item = T>,
    decide: impl Fn(&State, T) -> Result<Vec<Event>, Refusal>,
) -> Result<Vec<Event>, Refusal> {
    let mut state = state.clone();
    let mut events = Vec::new();
    for one in all {
        let more = decide(&state, one)?;
        more.iter().for_each(|event| state.apply_event(now, state.term, event));
        events.extend(more);
    }
    Ok(events)
}

/// Components start together: none waits for another.
fn waits_for_one_of(spec: &JobSpec, own: Range<JobId>) -> bool {
    let one = |condition: &Condition| match condition.on {
        On::Job { job, .. } => own.contains(&job),
        On::Singleton => false,
    };
    spec.dependency.as_ref().is_some_and(|all| all.conditions.iter().any(one))
}

/// What components can't ask for.
fn may_be_component(spec: &JobSpec) -> Result<(), Refusal> {
    if spec.array.is_some() {
        return Err(Refusal::Array);
    }
    let asks = spec.asks();
    let singleton = spec.dependency.as_ref().is_some_and(|one| one.singleton().is_some());
    let unsupported = [
        (spec.partition.is_several(), "More than one partition"),
        (asks.deadline.is_some(), "--deadline"),
        (asks.time_min.is_some(), "--time-min"),
        (asks.placing.switches.is_some(), "--switches"),
        (singleton, "--dependency=singleton"),
    ];
    refuse(&unsupported)
}

fn refuse(unsupported: &[(bool, &str)]) -> Result<(), Refusal> {
    match unsupported.iter().find(|(asked, _)| *asked) {
        Some((_, what)) => {
            let text = format!("{what} is not supported for heterogeneous jobs");
            Err(Refusal::Unsupported(text))
        }
        None => Ok(()),
    }
}

fn may_change(changes: &JobChanges) -> Result<(), Refusal> {
    let several = changes.partition.as_ref().is_some_and(|name| name.is_several());
    let singleton = changes.dependency.as_ref().is_some_and(|one| one.singleton().is_some());
    refuse(&[
        (several, "More than one partition"),
        (changes.asks.deadline.is_some(), "Deadline"),
        (changes.asks.time_min.is_some(), "TimeMin"),
        (singleton, "Dependency=singleton"),
    ])
}

/// On the job of that number: where it leads, on all components.
pub(super) fn on(
    state: &State,
    now: Timestamp,
    by: &By,
    (job, part): (JobId, HetPart),
    act: TaskAct,
) -> Result<Vec<Event>, Refusal> {
    if let TaskAct::Update { changes } = &act {
        may_change(changes)?;
        let touched = |id: JobId| id == job || part.leads();
        let specs = state.components(part).map(|one| match &changes.asks.licenses {
            Some(_) if touched(one.id) => {
                let asks = one.spec.asks().changed(&changes.asks);
                JobSpec { asks: Some(Arc::new(asks)), ..one.spec.as_ref().clone() }
            }
            Some(_) | None => one.spec.as_ref().clone(),
        });
        let specs: Vec<JobSpec> = specs.collect();
        may_have_licenses(state, &licenses(&specs))?;
    }
    match act {
        // What becomes of the leader becomes of all.
        TaskAct::Cancel { .. } | TaskAct::Requeue { .. } if part.leads() => {
            on_one(state, now, by, job, act)
        }
        TaskAct::Cancel { signal } => cancel_led(state, now, by, job, signal),
        TaskAct::Requeue { .. } => {
            owned(state, by.user, job)?;
            Err(Refusal::NotHetLeader(job))
        }
        TaskAct::Hold { .. } | TaskAct::Release | TaskAct::Update { .. } if part.leads() => {
            // One that has ended before the others has no part in it.
            let over = |job: &JobId| matches!(state.jobs[job].phase, Phase::Ended { .. });
            let all = part.all().filter(|id| *id == job || !over(id));
            in_turn(state, now, all, |state, id| on_one(state, now, by, id, act.clone()))
        }
        TaskAct::Hold { .. } | TaskAct::Release | TaskAct::Update { .. } => {
            on_one(state, now, by, job, act)
        }
    }
}

/// One that runs may be given up by itself: nothing of it runs on its nodes.
fn cancel_led(
    state: &State,
    now: Timestamp,
    by: &By,
    job: JobId,
    signal: Option<(u8, SignalScope)>,
) -> Result<Vec<Event>, Refusal> {
    let job = owned(state, by.user, job)?;
    match &job.phase {
        Phase::Ended { .. } => Err(Refusal::AlreadyDone(job.id)),
        Phase::Pending => Err(Refusal::HetComponent(job.id)),
        Phase::Active(_) if ends(signal) => {
            let (job, attempt, end) = (job.id, job.attempt, cancelled(now, by.user));
            Ok(vec![Event::JobEnded { job, attempt, end }])
        }
        Phase::Active(_) | Phase::Completing { .. } => Ok(vec![]),
    }
}

/// What an event of a leader's run is for those that it leads.
pub(super) fn echoed(state: &State, event: &Event) -> Vec<Event> {
    let leader = event.job().and_then(|job| state.jobs.get(&job));
    let Some(part) = leader.and_then(|job| job.het()).filter(|part| part.leads()) else {
        return vec![];
    };
    let led = part.led().filter_map(|id| state.jobs.get(&id));
    led.filter_map(|led| echo(led, event)).collect()
}

fn echo(led: &Job, event: &Event) -> Option<Event> {
    let (job, attempt) = (led.id, led.attempt);
    let behind = |stage: Stage| matches!(&led.phase, Phase::Active(run) if run.stage < stage);
    let runs = led.holding().is_some();
    match event {
        Event::JobLaunching { .. } => {
            behind(Stage::Launching).then_some(Event::JobLaunching { job, attempt })
        }
        Event::JobRunning { .. } => {
            behind(Stage::Running).then_some(Event::JobRunning { job, attempt })
        }
        Event::JobCompleting { end, requeue, .. } => {
            runs.then(|| Event::JobCompleting { job, attempt, end: end.clone(), requeue: *requeue })
        }
        Event::JobEnded { end, .. } => {
            let over = matches!(led.phase, Phase::Ended { .. });
            (!over).then(|| Event::JobEnded { job, attempt, end: end.clone() })
        }
        Event::JobRequeued { requeue, end, .. } => (!led.is_pending())
            .then(|| Event::JobRequeued { job, attempt, requeue: *requeue, end: end.clone() }),
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
        | Event::JobSubmitted { .. }
        | Event::JobHeld { .. }
        | Event::JobReleased { .. }
        | Event::JobUpdated { .. }
        | Event::JobAllocated { .. }
        | Event::JobPreempted { .. }
        | Event::JobSignalled { .. }
        | Event::SignalDelivered { .. }
        | Event::TaskSplit { .. }
        | Event::TasksCancelled { .. }
        | Event::ConditionSettled { .. }
        | Event::JobForgotten { .. } => None,
        #[cfg(feature = "next-event")]
        Event::Noted { .. } => None,
    }
}

/// All components start, or none does: what one takes, the next can't have.
pub(super) fn allocate(
    state: &State,
    now: Timestamp,
    mut allocation: Allocation,
    one: impl Fn(&State, Timestamp, Allocation) -> Result<Vec<Event>, Refusal>,
) -> Result<Vec<Event>, Refusal> {
    let job = state.jobs.get(&allocation.job).ok_or(Refusal::Stale)?;
    let others = std::mem::take(&mut allocation.others);
    let Some(part) = job.het() else {
        return if others.is_empty() { one(state, now, allocation) } else { Err(Refusal::Stale) };
    };
    let named = std::iter::once(job.id).chain(others.iter().map(|other| other.job));
    if !part.leads() || !named.eq(part.all()) {
        return Err(Refusal::Stale);
    }
    let all = std::iter::once(allocation).chain(others);
    in_turn(state, now, all, |state, allocation| one(state, now, allocation))
}
