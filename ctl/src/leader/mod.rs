//! What runs only while this controller leads.
//!
//! Everything here is derived from the state, so a new leader begins where the last one stopped
//! without being told anything. All tasks of a term end with it.

mod authorities;
mod membership;
#[cfg(feature = "planted")]
mod planted;
mod scheduler;
mod silence;
mod timekeeper;

use std::{sync::Arc, time::Instant};

use common::id::Term;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{
    nodes::{OpenDesk, dispatch},
    proposer::View,
    shared::Shared,
};

pub(crate) use scheduler::Scheduler;

/// What streams may have told the dispatcher that it has not looked at yet. Beyond it they wait.
const INPUTS: usize = 4_096;

type Views = watch::Receiver<Option<Arc<View>>>;

/// Starts the tasks with each leadership, and ends them with it. Runs until the proposer stops.
pub(crate) async fn lead(shared: Arc<Shared>) {
    let mut views = shared.proposer.view();
    loop {
        let Some(term) = begun(&mut views).await else {
            return;
        };
        let mut tasks = begin(&shared, term);
        let over = over(&mut views, term);
        tokio::select! {
            () = over => {}
            ended = tasks.join_next() => {
                // They have no end of their own. A panic in one of them is a bug, and a leader
                // that schedules or watches no more is worse than none.
                if let Some(Err(error)) = ended && error.is_panic() {
                    tracing::error!(%error, "a task of the leader has failed: giving up the term");
                    shared.log.campaign();
                }
            }
        }
        tasks.shutdown().await;
        shared.nodes.close();
        shared.reasons.forget();
    }
}

/// Waits until this controller leads; none where it never will again.
async fn begun(views: &mut Views) -> Option<Term> {
    let view = views.wait_for(Option::is_some).await.ok()?;
    view.as_ref().map(|view| view.term)
}

/// Waits until it no longer leads in `term`.
async fn over(views: &mut Views, term: Term) {
    let over = |view: &Option<Arc<View>>| view.as_ref().is_none_or(|view| view.term != term);
    // Where the proposer has stopped, the term is over, too.
    let _ = views.wait_for(over).await;
}

/// Tells people where the leader's file says something else than the log. What counts is the log,
/// on all controllers alike, until somebody reconfigures.
async fn hint(shared: Arc<Shared>) {
    let read = Arc::clone(&shared.read_config);
    let read = tokio::task::spawn_blocking(move || read()).await;
    let known = shared.log.applied().state.config.clone();
    if let (Ok(Ok(read)), Some(known)) = (read, known)
        && read != *known
    {
        tracing::warn!(
            "this controller's configuration file differs from the cluster's configuration: \
             `scontrol reconfigure` takes it over"
        );
    }
    // The other tasks of the term go on, and so does this one.
    std::future::pending().await
}

fn begin(shared: &Arc<Shared>, term: Term) -> JoinSet<()> {
    let (inputs, told) = mpsc::channel(INPUTS);
    shared.nodes.open(OpenDesk { term, since: Instant::now(), inputs });
    let mut tasks = JoinSet::new();
    let committed = shared.log.watch();
    #[cfg(feature = "planted")]
    let committed = planted::foreseen(shared).unwrap_or(committed);
    tasks.spawn(dispatch(committed, told, shared.measures.clone()));
    tasks.spawn(hint(Arc::clone(shared)));
    tasks.spawn(authorities::keep(Arc::clone(shared)));
    tasks.spawn(membership::keep(Arc::clone(shared)));
    tasks.spawn(silence::keep(Arc::clone(shared)));
    tasks.spawn(timekeeper::keep(Arc::clone(shared)));
    tasks
}
