//! A state in which something is otherwise: for whoever asks what would be.
//!
//! **Invariant:** only copies of a state are changed so, which nobody keeps. What really changes
//! goes through the log.

use std::sync::Arc;

use super::State;
use crate::{id::JobId, job::Job, node::Node};

impl State {
    /// Supposes that a job is like this.
    pub fn suppose_job(&mut self, job: Job) {
        self.put_job(Arc::new(job));
    }

    /// Supposes that all tasks of an array may run at a time.
    pub fn suppose_no_array_limit(&mut self, array: JobId) {
        self.with_array(array, |book| book.limit = None);
    }

    /// Supposes that nothing is reserved.
    pub fn suppose_no_reservations(&mut self) {
        let names: Vec<String> = self.reservations.by_name.keys().cloned().collect();
        for name in names {
            self.remove_reservation(&name);
        }
    }

    /// Supposes that a node is like this.
    pub fn suppose_node(&mut self, node: Node) {
        self.put_node(Arc::new(node));
    }
}
