//! What the clock asks for.

use super::{Command, State};
use crate::time::{Span, Timestamp};

/// How many ended jobs one command forgets, so that no entry grows without bound.
const FORGET_AT_ONCE: usize = 1_000;

/// The commands that are due at `now`. Each is refused or does nothing where it comes late or
/// twice, so a new leader may simply ask again.
#[must_use]
pub fn timers(state: &State, now: Timestamp) -> Vec<Command> {
    let mut due = Vec::new();
    for (_, id) in state.alarms.iter().take_while(|(at, _)| *at <= now) {
        let job = state.jobs.get(id).expect("check: a job with an alarm is there");
        let run = job.holding().expect("check: a job with an alarm is active");
        due.push(if job.spec.warn_signal.is_some() && !run.warned && !job.is_led() {
            Command::Warn { job: *id, attempt: job.attempt }
        } else {
            Command::TimeUp { job: *id, attempt: job.attempt }
        });
    }
    let missed = state.deadlines.iter().take_while(|(at, _)| *at < now);
    due.extend(missed.map(|(_, job)| Command::MissDeadline { job: *job }));
    let conditions = state.dependents.due().take_while(|(at, _)| *at <= now);
    due.extend(conditions.map(|(_, job)| Command::ConditionDue { job }));
    due.extend(state.over(now));
    let old = min_job_age(state).map(|age| now - age);
    let forgotten: Vec<_> = state
        .ended
        .iter()
        .take_while(|(at, _)| old.is_some_and(|old| *at < old))
        .take(FORGET_AT_ONCE)
        .map(|(_, job)| *job)
        .collect();
    if !forgotten.is_empty() {
        due.push(Command::Forget { jobs: forgotten });
    }
    for (secret, token) in &state.tokens {
        if token.expires <= now {
            due.push(Command::ExpireToken { secret: *secret });
        }
    }
    due
}

/// The next moment at which [`timers`] may have something, if there is one.
#[must_use]
pub fn next_alarm(state: &State) -> Option<Timestamp> {
    let alarm = state.alarms.get_min().map(|(at, _)| *at);
    let oldest = state.ended.get_min().map(|(at, _)| *at);
    let forget = oldest.zip(min_job_age(state)).map(|(at, age)| at + age + Span(1));
    let tokens = state.tokens.values().map(|token| token.expires).min();
    let condition = state.dependents.next_due();
    let missed = state.deadlines.get_min().map(|(at, _)| *at + Span(1));
    let reserved = state.next_over();
    [alarm, missed, condition, forget, tokens, reserved].into_iter().flatten().min()
}

/// How long an ended job stays; none: for ever.
fn min_job_age(state: &State) -> Option<Span> {
    let age = state.config.as_ref().map_or(300, |config| config.min_job_age);
    (age > 0).then(|| Span::from_seconds(u64::from(age)))
}
