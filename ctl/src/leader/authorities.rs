//! Takes the steps by which one authority takes another one's place, each when it is due.
//!
//! A step is due when every certificate of the time before it has run out: by then each member that
//! is there has renewed its own, and was told whom to trust.

use std::{sync::Arc, time::Duration};

use common::machine::Command;
use tokio::time::{MissedTickBehavior, interval};

use crate::{clock, rpc::due, shared::Shared};

const EVERY: Duration = Duration::from_secs(1);

/// Looks every second, for as long as it is let.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let state = shared.log.applied().state.clone();
        let Some(known) = &state.authorities else { continue };
        if due(&state).is_some_and(|due| due <= clock::now()) {
            let step = Command::StepAuthorities { since: known.since };
            // Where it fails, the leadership is lost, and the next leader takes it.
            let _ = shared.proposer.submit(step).await;
        }
    }
}
