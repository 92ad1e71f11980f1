//! Where questions to the planner are worked on: beside everything else, and few at a time.
//!
//! A plan of a long queue takes a processor for a second or more. However many ask, what changes
//! the cluster keeps the others.

use std::sync::Arc;

use tonic::Status;

use crate::shared::Shared;

/// How many are worked on at once. The others wait for their turn, and leave the line when whoever
/// asked goes away.
pub(crate) const AT_ONCE: usize = 2;

/// Does the work on a thread for what blocks, when its turn has come.
pub(super) async fn aside<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    let turn = Arc::clone(&shared.planning).acquire_owned().await;
    let turn = turn.map_err(|error| Status::unavailable(error.to_string()))?;
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(turn);
        done
    });
    done.await.map_err(|error| Status::internal(error.to_string()))
}
