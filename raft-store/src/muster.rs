//! Whether this controller is a member still.
//!
//! One that was removed while it could not be reached is told by nobody: the others speak to it no
//! more. So it asks them: when it starts, before it stands for election; and when one that it
//! greets takes it for a stranger (see `haste`). One that is told that it is no member ends. It
//! must not vote, above all not together with another one of its kind.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::timeout;

use crate::{log::Shared, members::membership, types::Peer};

/// How long a controller that starts waits for the others to tell, before it stands for election.
const AT_START: Duration = Duration::from_secs(1);

/// Starts the task, which asks before this controller stands for election.
pub(crate) fn start(shared: &Arc<Shared>) {
    if !others(shared).is_empty() {
        shared.raft.runtime_config().elect(false);
        tokio::spawn(run(Arc::downgrade(shared)));
    }
}

fn others(shared: &Shared) -> Vec<(u64, Peer)> {
    let members = membership(&shared.raft);
    let others = members.membership().nodes().filter(|(id, _)| **id != shared.own.raft_id);
    others.map(|(id, peer)| (*id, peer.clone())).collect()
}

async fn run(shared: Weak<Shared>) {
    let Some(shared) = shared.upgrade() else { return };
    if timeout(AT_START, ask(&shared)).await == Ok(Some(false)) {
        return ended(&shared);
    }
    shared.raft.runtime_config().elect(true);
}

/// Asks all others at once. The first that can tell counts: it has asked a leader that a majority
/// follows.
pub(crate) async fn ask(shared: &Shared) -> Option<bool> {
    let asked = others(shared).into_iter().map(|(raft_id, peer)| {
        let network = shared.network.clone();
        async move { network.muster(raft_id, &peer).await.ok().flatten() }
    });
    let mut answers: FuturesUnordered<_> = asked.collect();
    while let Some(answer) = answers.next().await {
        if answer.is_some() {
            return answer;
        }
    }
    None
}

/// Ends the log for good.
pub(crate) fn ended(shared: &Shared) {
    let own = &shared.own;
    shared.health.fail(format!(
        "controller {} (number {}) is no member of the cluster any more: it was removed, or left \
         behind when the cluster was recovered without it. It can't come \
         back under this number: move its state directory away, and let it join anew (rafter \
         controller add {})",
        own.name, own.raft_id, own.name
    ));
}
