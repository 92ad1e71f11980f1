//! Gives up nodes that were silent for too long.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::machine::{Command, State};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    nodes::{Vigil, Watched, matters},
    shared::Shared,
};

const EVERY: Duration = Duration::from_secs(1);

/// Looks every second, for as long as it is let.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut vigil = Vigil::new(Instant::now());
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(view) = shared.head() else {
            return;
        };
        let timeout = view.state.config.as_ref().map_or(0, |config| config.slurmd_timeout);
        let timeout = Duration::from_secs(u64::from(timeout));
        let found = vigil.look(Instant::now(), timeout, &watched(&shared, &view.state));
        drop(view);
        if let Some(stalled) = found.stalled {
            tracing::warn!(
                seconds = stalled.as_secs(),
                "this controller did not run for a while: all nodes get a full grace"
            );
        }
        if let Some(nodes) = found.held {
            tracing::error!(
                nodes,
                "more than half of the nodes are silent: more likely our fault than theirs. \
                 They get one more SlurmdTimeout"
            );
        }
        for node in found.lost {
            tracing::warn!(%node, "the node was silent for SlurmdTimeout: it is down");
            // Waited for, so that it is not said twice.
            let _ = shared.proposer.submit(Command::Lose { node }).await;
        }
    }
}

/// The nodes whose silence would mean something.
fn watched(shared: &Shared, state: &State) -> Vec<Watched> {
    let watched = |node: &Arc<common::node::Node>| Watched {
        node: node.name.clone(),
        last_word: shared.nodes.pulse(&node.name).map(|pulse| pulse.heard),
    };
    state.nodes.values().filter(|node| matters(node)).map(watched).collect()
}
