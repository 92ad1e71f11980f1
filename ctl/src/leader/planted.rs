//! The bug of a dispatcher that does not wait for the log. Only in builds that are made to be
//! caught.

use std::sync::Arc;

use common::planted::{Bug, planted};
use raft_store::Applied;
use tokio::sync::watch;

use crate::shared::Shared;

/// What the head holds, where it should be what is committed.
pub(super) fn foreseen(shared: &Arc<Shared>) -> Option<watch::Receiver<Arc<Applied>>> {
    if !planted(Bug::LaunchBeforeIntent) {
        return None;
    }
    let (publish, foreseen) = watch::channel(shared.log.applied());
    let mut views = shared.proposer.view();
    tokio::spawn(async move {
        while views.changed().await.is_ok() {
            let view = views.borrow_and_update().clone();
            let Some(view) = view else { return };
            let index = publish.borrow().index;
            let applied = Applied { state: view.state.clone(), index };
            if publish.send(Arc::new(applied)).is_err() {
                return;
            }
        }
    });
    Some(foreseen)
}
