//! The dispatcher: one task that sends all nodes their orders, for one term.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use common::{
    id::{Attempt, JobId, NodeName},
    job::Job,
    machine::{Command, Order, Seen, SeenStage, State, missing},
    node::Availability,
};
use imbl::ordmap::DiffItem;
use raft_store::Applied;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval},
};

use super::desk::{Desk, Stream};
use crate::{clock, measures::Measures};

/// How often all nodes are looked at, whatever has changed.
const SWEEP: Duration = Duration::from_secs(10);

/// What streams tell the dispatcher.
#[derive(Debug)]
pub(crate) enum Input {
    Attach {
        node: NodeName,
        stream: Stream,
        seen: Seen,
        outbox: mpsc::Sender<Outgoing>,
        /// Is told what the node should have and does not, before it is given anything more.
        /// Dropped where the node has a newer stream.
        lost: oneshot::Sender<Vec<Command>>,
    },
    Heard {
        node: NodeName,
        stream: Stream,
        run: (JobId, Attempt),
        stage: SeenStage,
    },
    Detach {
        node: NodeName,
        stream: Stream,
    },
}

/// What a stream is to send.
#[derive(Clone, Debug)]
pub(crate) enum Outgoing {
    Order(Errand),
    /// The configuration or the controllers have changed.
    Welcome,
}

/// An order with what it takes to carry it out.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    pub(crate) order: Order,
    /// The job, where the cluster still has it.
    pub(crate) job: Option<Arc<Job>>,
    /// The components of a heterogeneous job that it leads.
    pub(crate) components: Vec<Arc<Job>>,
    /// How long the job's processes have between SIGTERM and SIGKILL, in seconds.
    pub(crate) kill_wait: u32,
}

struct Dispatcher {
    desk: Desk,
    outboxes: BTreeMap<NodeName, (Stream, mpsc::Sender<Outgoing>)>,
    measures: Measures,
}

/// Runs until no stream can tell it anything any more, or the task is ended with the leadership.
pub(crate) async fn dispatch(
    mut applied: watch::Receiver<Arc<Applied>>,
    mut inputs: mpsc::Receiver<Input>,
    measures: Measures,
) {
    let desk = Desk::new(applied.borrow_and_update().state.clone());
    let mut dispatcher = Dispatcher { desk, outboxes: BTreeMap::new(), measures };
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            input = inputs.recv() => match input {
                Some(input) => {
                    // What a node lists is compared with a state that has its registration.
                    if applied.has_changed().unwrap_or(false) {
                        let state = applied.borrow_and_update().state.clone();
                        dispatcher.follow(state);
                    }
                    dispatcher.take(input);
                }
                None => return,
            },
            changed = applied.changed() => {
                if changed.is_err() {
                    return;
                }
                let state = applied.borrow_and_update().state.clone();
                dispatcher.follow(state);
            }
            _ = sweep.tick() => {
                let orders = dispatcher.desk.sweep(clock::now());
                dispatcher.send_all(orders);
            }
        }
    }
}

impl Dispatcher {
    fn take(&mut self, input: Input) {
        let now = clock::now();
        match input {
            // Its node has said hello again since.
            Input::Attach { node, stream, .. }
                if self.outboxes.get(&node).is_some_and(|(open, _)| *open > stream) => {}
            Input::Attach { node, stream, seen, outbox, lost } => {
                // Whatever the node reported on an earlier stream stands in the log before its
                // registration, so what is missing here is missing there. And what it is given
                // on a later one, this dispatcher gives: none of that is there yet.
                let _ = lost.send(missing(self.desk.state(), &node, &seen, now));
                // An older stream loses its outbox, and ends by that.
                self.outboxes.insert(node.clone(), (stream, outbox));
                self.count();
                let orders = self.desk.attach(&node, stream, seen, now);
                self.send(&node, orders);
            }
            Input::Heard { node, stream, run, stage } => {
                let orders = self.desk.hear(&node, stream, run, stage, now);
                self.send(&node, orders);
            }
            Input::Detach { node, stream } => self.detach(&node, stream),
        }
    }

    fn follow(&mut self, state: State) {
        let before = self.desk.state();
        if before.config != state.config || before.controllers != state.controllers {
            let nodes: Vec<NodeName> = self.outboxes.keys().cloned().collect();
            for node in nodes {
                self.put(&node, Outgoing::Welcome);
            }
        }
        for (node, stream) in self.given_up(&state) {
            tracing::info!(%node, "given up, and to register anew");
            self.detach(&node, stream);
        }
        let orders = self.desk.follow(state, clock::now());
        self.send_all(orders);
    }

    /// The streams of nodes that are given up in `state`. A node is back only once it has
    /// registered, and one whose stream lives would never do so again.
    fn given_up(&self, state: &State) -> Vec<(NodeName, Stream)> {
        let changes = self.desk.state().nodes.diff(&state.nodes);
        let lost = changes.filter_map(|change| match change {
            DiffItem::Update { old: (_, old), new: (name, new) } => {
                (old.availability != Availability::Lost && new.availability == Availability::Lost)
                    .then_some(name)
            }
            DiffItem::Add(..) | DiffItem::Remove(..) => None,
        });
        lost.filter_map(|name| Some((name.clone(), self.outboxes.get(name)?.0))).collect()
    }

    fn detach(&mut self, node: &NodeName, stream: Stream) {
        self.desk.detach(node, stream);
        if self.outboxes.get(node).is_some_and(|(open, _)| *open == stream) {
            self.outboxes.remove(node);
            self.count();
        }
    }

    fn count(&self) {
        let attached = u32::try_from(self.outboxes.len()).unwrap_or(u32::MAX);
        self.measures.nodes_attached.record(f64::from(attached), &[]);
    }

    fn send_all(&mut self, orders: Vec<(NodeName, Order)>) {
        for (node, order) in orders {
            self.send(&node, vec![order]);
        }
    }

    fn send(&mut self, node: &NodeName, orders: Vec<Order>) {
        for order in orders {
            let outgoing = Outgoing::Order(errand(self.desk.state(), order));
            self.put(node, outgoing);
        }
    }

    fn put(&mut self, node: &NodeName, outgoing: Outgoing) {
        let Some((stream, outbox)) = self.outboxes.get(node) else {
            return;
        };
        if let Err(error) = outbox.try_send(outgoing) {
            // A node that does not take its orders has to come back and say what it has.
            let stream = *stream;
            tracing::warn!(%node, %error, "the node does not take its orders: detached");
            self.detach(node, stream);
        }
    }
}

fn errand(state: &State, order: Order) -> Errand {
    let (Order::Launch { job, .. }
    | Order::Terminate { job, .. }
    | Order::Signal { job, .. }
    | Order::Release { job, .. }) = order;
    let job = state.jobs.get(&job).cloned();
    let leads = job.as_ref().and_then(|job| job.het()).filter(|part| part.leads());
    let components = leads.into_iter().flat_map(|part| state.led(part)).cloned().collect();
    let kill_wait = state.config.as_ref().map_or(30, |config| config.kill_wait);
    Errand { order, job, components, kill_wait }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Cluster, inventory};

    /// A node that has lost its disk registers, and says that it has nothing. Until the
    /// dispatcher knows of the registration, that would look like a launch that was lost.
    #[tokio::test]
    async fn a_node_that_attaches_is_looked_at_with_its_registration() {
        let mut cluster = Cluster::new(1);
        let job = cluster.submit(1);
        cluster.allocate(job, "n1", 1);
        let before = cluster.state();
        let node = NodeName::from("n1");
        let (address, inventory) = (String::new(), Box::new(inventory(2)));
        cluster.send(Command::Register { node: node.clone(), address, inventory });
        for _ in 0..64 {
            let applied = |state: &State, index| Arc::new(Applied { state: state.clone(), index });
            let (publish, states) = watch::channel(applied(&before, 1));
            let (inputs, told) = mpsc::channel(1);
            let (outbox, mut orders) = mpsc::channel(16);
            let task = tokio::spawn(dispatch(states, told, Measures::default()));
            tokio::task::yield_now().await;
            // Both are there before it looks again.
            publish.send_replace(applied(&cluster.state(), 2));
            let (lost, found) = oneshot::channel();
            let seen = Seen::new();
            let attach = Input::Attach { node: node.clone(), stream: 1, seen, outbox, lost };
            inputs.try_send(attach).expect("there is room");
            drop(inputs);
            task.await.expect("it does not panic");
            let first = orders.recv().await;
            assert!(
                !matches!(first, Some(Outgoing::Order(_))),
                "{first:?}: the run may have begun"
            );
            let found = found.await.expect("the only stream counts");
            assert!(matches!(&found[..], [Command::Report { .. }]), "{found:?}: it is lost");
        }
    }
}
