//! Node daemons: their streams, their reports, and their orders.
//!
//! Each attached node has a stream, whose task turns reports into commands. One task for all of
//! them, the dispatcher, follows the applied states and sends orders. It lives as long as this
//! controller leads in one term; when it ends, all streams end, and the nodes look for the next
//! leader.
//!
//! What nodes say of their load, and when they last said anything, stays out of the log.

pub mod desk;
mod dispatch;
mod messages;
mod stream;
pub mod vigil;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use common::{
    config::Config,
    id::{Incarnation, NodeName, Term},
    node::{Availability, Node},
};
use tokio::sync::mpsc;

pub(crate) use dispatch::{Input, dispatch};
pub(crate) use stream::attach;
pub(crate) use vigil::{Vigil, Watched, matters};

/// How often a node hears from its leader, whatever else there is to say.
const BEAT: Duration = Duration::from_secs(1);

/// What a node last said of itself, beside its reports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    pub(crate) heard: Instant,
    /// In hundredths.
    pub(crate) cpu_load: u64,
    pub(crate) free_memory_mib: u64,
}

/// What is known of nodes here and nowhere else.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    pulses: Mutex<BTreeMap<NodeName, Pulse>>,
    desk: Mutex<Option<OpenDesk>>,
    streams: AtomicU64,
    /// The last hello of each node.
    hellos: Mutex<BTreeMap<NodeName, (Incarnation, u64)>>,
}

/// The way to the dispatcher, while this controller leads.
#[derive(Clone, Debug)]
pub(crate) struct OpenDesk {
    pub(crate) term: Term,
    pub(crate) since: Instant,
    pub(crate) inputs: mpsc::Sender<Input>,
}

impl Nodes {
    fn pulses(&self) -> MutexGuard<'_, BTreeMap<NodeName, Pulse>> {
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node is there.
    fn heard(&self, node: &NodeName) {
        let heard = Instant::now();
        let mut pulses = self.pulses();
        match pulses.get_mut(node) {
            Some(pulse) => pulse.heard = heard,
            None => {
                let pulse = Pulse { heard, cpu_load: 0, free_memory_mib: 0 };
                pulses.insert(node.clone(), pulse);
            }
        }
    }

    fn measured(&self, node: &NodeName, cpu_load: u64, free_memory_mib: u64) {
        let pulse = Pulse { heard: Instant::now(), cpu_load, free_memory_mib };
        self.pulses().insert(node.clone(), pulse);
    }

    /// What the node last said, if it speaks to this controller.
    pub(crate) fn pulse(&self, node: &NodeName) -> Option<Pulse> {
        self.pulses().get(node).copied()
    }

    /// Whether nothing is heard from the node for a while, as far as this controller, if it leads,
    /// can tell. It is not given up yet.
    pub(crate) fn is_silent(&self, node: &Node, config: &Config) -> bool {
        let Some(desk) = self.desk() else { return false };
        if node.availability != Availability::Up {
            return false;
        }
        let heard = self.pulse(&node.name).map_or(desk.since, |pulse| pulse.heard.max(desk.since));
        let timeout = if config.slurmd_timeout == 0 { 300 } else { config.slurmd_timeout };
        heard.elapsed() > Duration::from_secs(u64::from(timeout)) / 3
    }

    /// The way to the dispatcher, if this controller leads.
    pub(crate) fn desk(&self) -> Option<OpenDesk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens the desk of a term.
    pub(crate) fn open(&self, desk: OpenDesk) {
        *self.desk.lock().unwrap_or_else(PoisonError::into_inner) = Some(desk);
    }

    /// Closes it: the nodes speak to another leader from here on.
    pub(crate) fn close(&self) {
        *self.desk.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.pulses().clear();
    }

    /// A number for the stream that begins with this hello; none where the node has said a later
    /// one: it has given this stream up, and what it lists is of the past.
    fn next_stream(&self, node: &NodeName, incarnation: Incarnation, number: u64) -> Option<u64> {
        let mut hellos = self.hellos.lock().unwrap_or_else(PoisonError::into_inner);
        let last = hellos.get(node).filter(|(life, _)| *life == incarnation);
        if last.is_some_and(|(_, last)| *last > number) {
            return None;
        }
        hellos.insert(node.clone(), (incarnation, number));
        Some(self.streams.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_that_was_held_up_opens_no_stream() {
        let (nodes, n1, n2) = (Nodes::default(), NodeName::from("n1"), NodeName::from("n2"));
        let (first, next) = (Incarnation(7), Incarnation(3));
        assert_eq!(nodes.next_stream(&n1, first, 100), Some(0));
        assert_eq!(nodes.next_stream(&n1, first, 300), Some(1));
        assert_eq!(nodes.next_stream(&n1, first, 200), None, "it was said before the last one");
        assert_eq!(nodes.next_stream(&n2, first, 200), Some(2), "another node's clock");
        assert_eq!(nodes.next_stream(&n1, next, 5), Some(3), "the clock of another boot");
    }
}
