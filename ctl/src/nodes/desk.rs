//! Which orders go to which node, and when.
//!
//! Pure: [`common::machine::orders`] says what a node should be told, from the committed state and
//! from what the node has on its disk. The desk keeps, for each attached node, what it has seen
//! and what it was told, and asks again only for nodes that a change concerns.
//!
//! **Invariant:** orders come from applied states alone. What the head holds may never be.

use std::collections::{BTreeMap, BTreeSet};

use common::{
    id::{Attempt, JobId, NodeName},
    job::Job,
    machine::{Cause, Order, Seen, SeenStage, State, orders},
    time::{Span, Timestamp},
};
use imbl::ordmap::DiffItem;

/// After how long an order is given again that had no effect. A connection loses nothing by
/// itself, so this is for nodes that dropped an order.
const AGAIN: Span = Span::from_seconds(30);

/// Which connection of a node: the newest counts.
pub type Stream = u64;

/// The nodes that are attached to this leader.
#[derive(Debug, Default)]
pub struct Desk {
    state: State,
    nodes: BTreeMap<NodeName, Attached>,
}

#[derive(Debug)]
struct Attached {
    stream: Stream,
    seen: Seen,
    /// When each order was last given.
    told: BTreeMap<Told, Timestamp>,
}

/// An order, as far as two are the same one.
type Told = (JobId, Attempt, Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Launch,
    Terminate(u8),
    Signal(u32),
    Release,
}

fn told(order: &Order) -> Told {
    match *order {
        Order::Launch { job, attempt } => (job, attempt, Kind::Launch),
        Order::Terminate { job, attempt, cause, .. } => {
            let cause = match cause {
                Cause::Cancelled => 0,
                Cause::TimeLimit => 1,
                Cause::NodeFailure => 2,
                Cause::Requeue => 3,
                Cause::Stale => 4,
                Cause::Preempted => 5,
            };
            (job, attempt, Kind::Terminate(cause))
        }
        Order::Signal { job, attempt, number, .. } => (job, attempt, Kind::Signal(number)),
        Order::Release { job, attempt } => (job, attempt, Kind::Release),
    }
}

impl Desk {
    #[must_use]
    pub fn new(state: State) -> Self {
        Self { state, nodes: BTreeMap::new() }
    }

    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// A node has listed what it has. An older connection of the same node counts no more.
    pub fn attach(
        &mut self,
        node: &NodeName,
        stream: Stream,
        seen: Seen,
        now: Timestamp,
    ) -> Vec<Order> {
        let attached = Attached { stream, seen, told: BTreeMap::new() };
        self.nodes.insert(node.clone(), attached);
        self.due(node, now)
    }

    pub fn detach(&mut self, node: &NodeName, stream: Stream) {
        if self.nodes.get(node).is_some_and(|attached| attached.stream == stream) {
            self.nodes.remove(node);
        }
    }

    /// A node has reported how far a run has come.
    pub fn hear(
        &mut self,
        node: &NodeName,
        stream: Stream,
        run: (JobId, Attempt),
        stage: SeenStage,
        now: Timestamp,
    ) -> Vec<Order> {
        match self.nodes.get_mut(node).filter(|attached| attached.stream == stream) {
            Some(attached) => {
                let seen = attached.seen.entry(run).or_insert(stage);
                if *seen != SeenStage::Over {
                    *seen = stage;
                }
                self.due(node, now)
            }
            None => vec![],
        }
    }

    /// The log has moved on. Looks at the nodes of the jobs that it moved.
    pub fn follow(&mut self, state: State, now: Timestamp) -> Vec<(NodeName, Order)> {
        let before = std::mem::replace(&mut self.state, state);
        let mut touched = BTreeSet::new();
        let mut touch = |job: &Job| {
            if let Some(run) = job.run()
                && self.nodes.contains_key(run.batch_host())
            {
                touched.insert(run.batch_host().clone());
            }
        };
        for change in before.jobs.diff(&self.state.jobs) {
            match change {
                DiffItem::Add(_, job) | DiffItem::Remove(_, job) => touch(job),
                DiffItem::Update { old: (_, old), new: (_, new) } => {
                    touch(old);
                    touch(new);
                }
            }
        }
        self.due_of(touched, now)
    }

    /// Looks at all nodes. Finds what [`Desk::follow`] missed, if anything, and what is to be said
    /// again.
    pub fn sweep(&mut self, now: Timestamp) -> Vec<(NodeName, Order)> {
        let all: Vec<NodeName> = self.nodes.keys().cloned().collect();
        self.due_of(all, now)
    }

    fn due_of(
        &mut self,
        nodes: impl IntoIterator<Item = NodeName>,
        now: Timestamp,
    ) -> Vec<(NodeName, Order)> {
        let mut all = Vec::new();
        for node in nodes {
            let due = self.due(&node, now);
            all.extend(due.into_iter().map(|order| (node.clone(), order)));
        }
        all
    }

    /// What `node` is to be told and was not told lately.
    fn due(&mut self, node: &NodeName, now: Timestamp) -> Vec<Order> {
        let Some(attached) = self.nodes.get_mut(node) else {
            return vec![];
        };
        let wanted = orders(&self.state, node, &attached.seen);
        let earlier = std::mem::take(&mut attached.told);
        let mut due = Vec::new();
        for order in wanted {
            let key = told(&order);
            match earlier.get(&key) {
                Some(at) if now.since(*at) < AGAIN => {
                    attached.told.insert(key, *at);
                }
                Some(_) | None => {
                    if let Order::Release { job, attempt } = order {
                        // The node forgets it on hearing this. Should it not hear it, the
                        // connection has broken, and the node lists what it has on the next.
                        attached.seen.remove(&(job, attempt));
                    } else {
                        attached.told.insert(key, now);
                    }
                    due.push(order);
                }
            }
        }
        due
    }
}

#[cfg(test)]
mod tests;
