//! Whether the log can go on.

use std::sync::Arc;

use tokio::sync::watch;

use crate::Stopped;

/// Shared by all parts of the log: the first that can't go on says why.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    stopped: Arc<watch::Sender<Option<Stopped>>>,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self { stopped: Arc::new(watch::Sender::new(None)) }
    }

    /// Says that the log can't go on. Only the first reason counts: the others follow from it.
    pub(crate) fn fail(&self, reason: String) {
        self.stopped.send_if_modified(|stopped| {
            if stopped.is_some() {
                return false;
            }
            tracing::error!("the log stops: {reason}");
            *stopped = Some(Stopped { reason });
            true
        });
    }

    pub(crate) fn failure(&self) -> Option<Stopped> {
        self.stopped.borrow().clone()
    }

    pub(crate) async fn failed(&self) -> Stopped {
        let mut receiver = self.stopped.subscribe();
        let stopped = receiver.wait_for(Option::is_some).await.expect("the sender is in `self`");
        stopped.clone().expect("it was waited for")
    }
}
