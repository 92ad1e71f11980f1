//! What is due by the clock: time limits, warnings, and what is forgotten.

use std::{sync::Arc, time::Duration};

use common::{
    machine::{next_alarm, timers},
    time::Timestamp,
};
use tokio::time::sleep;

use crate::{clock, proposer::Rejected, shared::Shared};

/// How long it sleeps at most, since clocks are set and machines suspended.
const LONGEST: Duration = Duration::from_secs(30);

/// How long it sleeps at least, so that changes that come in a storm cost one look.
const SHORTEST: Duration = Duration::from_millis(5);

/// Sends what is due, for as long as it is let.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut views = shared.proposer.view();
    loop {
        let view = views.borrow_and_update().clone();
        let Some(view) = view else {
            return;
        };
        let now = clock::now();
        let due = timers(&view.state, now);
        let next = next_alarm(&view.state);
        drop(view);
        if due.is_empty() {
            tokio::select! {
                () = sleep(until(next, now)) => {}
                changed = views.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    sleep(SHORTEST).await;
                }
            }
            continue;
        }
        let mut outcomes = Vec::with_capacity(due.len());
        for command in due {
            match shared.proposer.send(command).await {
                Ok(outcome) => outcomes.push(outcome),
                Err(_) => return,
            }
        }
        for outcome in outcomes {
            if let Ok(Err(Rejected::Refused(refusal))) = outcome.await {
                // It came too late, or twice.
                tracing::debug!(%refusal, "a timer's command was refused");
            }
        }
    }
}

fn until(next: Option<Timestamp>, now: Timestamp) -> Duration {
    let span = next.map_or(LONGEST, |at| Duration::from_millis(at.since(now).0));
    span.clamp(SHORTEST, LONGEST)
}
