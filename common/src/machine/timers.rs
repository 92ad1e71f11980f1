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
        due.push(if job.spec.warn_signal.is_some() && !run.warned {
            Command::Warn { job: *id, attempt: job.attempt }
        } else {
            Command::TimeUp { job: *id, attempt: job.attempt }
        });
    }
    let old = now - min_job_age(state);
    let forgotten: Vec<_> = state
        .ended
        .iter()
        .take_while(|(at, _)| *at < old)
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
    let age = min_job_age(state);
    let forget = state.ended.get_min().map(|(at, _)| *at + age + Span(1));
    let tokens = state.tokens.values().map(|token| token.expires).min();
    [alarm, forget, tokens].into_iter().flatten().min()
}

fn min_job_age(state: &State) -> Span {
    state
        .config
        .as_ref()
        .map_or(Span::from_seconds(300), |config| Span::from_seconds(u64::from(config.min_job_age)))
}
