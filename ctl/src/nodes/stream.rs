//! One node's stream: reports come up and become commands, orders go down.
//!
//! ```text
//!   Hello ──▶ Register, committed ──▶ Welcome ──▶ orders, beats ──▶ the end of the leadership,
//!                                     reports, heartbeats           or a newer stream
//! ```

use std::{sync::Arc, time::Duration};

use common::{
    id::{Attempt, JobId, NodeName, Term},
    machine::{Command, Order, Report, Seen, SeenStage},
    node::Inventory,
};
use proto::node::{
    self as wire, leader_message::Kind as Down, node_message::Kind as Up, report::Kind as Said,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};
use trust::controllers::not_leader;

use super::{
    BEAT, OpenDesk,
    dispatch::{Errand, Input, Outgoing},
    messages,
};
use crate::{
    rpc::{calling_node, rejected},
    shared::Shared,
};

/// How long a node may take to say who it is.
const HELLO: Duration = Duration::from_secs(10);

/// Orders that wait for a node to take them. A node that lets more gather is detached.
const OUTBOX: usize = 16_384;

type Sender = mpsc::Sender<Result<wire::LeaderMessage, Status>>;

/// A run that a node has on its disk, and its last word on it.
type Step = (JobId, Attempt, Report);

/// A node that has said hello.
struct Node {
    shared: Arc<Shared>,
    name: NodeName,
    stream: u64,
    desk: OpenDesk,
}

/// Takes a node's stream. Returns once the log has its registration.
pub(crate) async fn attach(
    shared: Arc<Shared>,
    request: Request<Streaming<wire::NodeMessage>>,
) -> Result<ReceiverStream<Result<wire::LeaderMessage, Status>>, Status> {
    let name = NodeName::from(calling_node(&request)?);
    let desk = shared.nodes.desk().ok_or_else(|| elsewhere(&shared))?;
    let mut reports = request.into_inner();
    let hello = timeout(HELLO, reports.message()).await;
    let hello = match hello.map_err(|_| Status::deadline_exceeded("no hello in time"))?? {
        Some(wire::NodeMessage { kind: Some(Up::Hello(hello)) }) => hello,
        Some(_) | None => return Err(Status::invalid_argument("a stream begins with hello")),
    };
    let wire::Hello { address, inventory, steps, number } = hello;
    let inventory = inventory.ok_or_else(|| Status::invalid_argument("no inventory"))?;
    let inventory = Box::new(Inventory::from(inventory));
    let steps = steps.into_iter().map(step).collect::<Result<Vec<_>, _>>();
    let steps = steps.map_err(Status::invalid_argument)?;
    let stream = shared.nodes.next_stream(&name, inventory.incarnation, number);
    let stream = stream.ok_or_else(superseded)?;
    let node = Node { name, stream, desk, shared };
    node.shared.nodes.heard(&node.name);
    node.register(address, inventory).await?;
    let (down, stream) = mpsc::channel(64);
    let welcome = node.message(Down::Welcome(node.welcome()));
    down.try_send(Ok(welcome)).map_err(|error| Status::internal(error.to_string()))?;
    let (outbox, orders) = mpsc::channel(OUTBOX);
    node.list(steps, outbox).await?;
    tracing::info!(node = %node.name, stream = node.stream, "a node is attached");
    let node = Arc::new(node);
    tokio::spawn(send_orders(Arc::clone(&node), orders, down.clone()));
    tokio::spawn(take_reports(node, reports, down));
    Ok(ReceiverStream::new(stream))
}

fn elsewhere(shared: &Shared) -> Status {
    not_leader(shared.log.leadership().borrow().leader.as_deref())
}

fn superseded() -> Status {
    Status::aborted("the node has said hello again since")
}

impl Node {
    async fn register(&self, address: String, inventory: Box<Inventory>) -> Result<(), Status> {
        let node = self.name.clone();
        let register = Command::Register { node, address, inventory };
        self.shared.proposer.submit(register).await.map(drop).map_err(rejected)
    }

    fn welcome(&self) -> wire::Welcome {
        let state = &self.shared.log.applied().state;
        wire::Welcome {
            config: state.config.as_ref().map(|config| config.as_ref().into()),
            controllers: Shared::controllers(state),
        }
    }

    /// Brings what the node has together with what the cluster knows.
    async fn list(&self, steps: Vec<Step>, outbox: mpsc::Sender<Outgoing>) -> Result<(), Status> {
        let seen = |(job, attempt, report): &Step| ((*job, *attempt), report.listed());
        let seen: Seen = steps.iter().map(seen).collect();
        let (node, stream) = (self.name.clone(), self.stream);
        let (lost, found) = oneshot::channel();
        self.tell(Input::Attach { node, stream, seen, outbox, lost }).await?;
        // Who gave no answer has ended, or has taken a newer stream.
        let lost = found.await.map_err(|_| superseded())?;
        if !lost.is_empty() {
            tracing::warn!(node = %self.name, runs = lost.len(), "the node lost runs that it had");
        }
        for (job, attempt, report) in steps {
            self.report(job, attempt, report).await?;
        }
        for command in lost {
            self.shared.proposer.send(command).await.map_err(rejected)?;
        }
        Ok(())
    }

    async fn tell(&self, input: Input) -> Result<(), Status> {
        self.desk.inputs.send(input).await.map_err(|_| elsewhere(&self.shared))
    }

    /// Passes a report on. Its outcome is not waited for: where it is lost, leadership is, and the
    /// node tells the next leader.
    async fn report(&self, job: JobId, attempt: Attempt, report: Report) -> Result<(), Status> {
        self.trace(job, &report);
        let node = self.name.clone();
        let report = Command::Report { node, job, attempt, report };
        self.shared.proposer.send(report).await.map(drop).map_err(rejected)
    }

    /// Continues the job's own trace.
    fn trace(&self, job: JobId, report: &Report) {
        let what = match report {
            Report::Launching | Report::Delivered { .. } => return,
            Report::Running => "running",
            Report::Ended { .. } => "ended",
            Report::LaunchFailed { .. } => "launch failed",
            Report::Lost { .. } => "lost",
        };
        let applied = self.shared.log.applied();
        let trace = applied.state.jobs.get(&job).and_then(|job| job.spec.trace.as_deref());
        if let Some(trace) = trace {
            let span = tracing::info_span!("report", job = job.0, node = %self.name, what);
            telemetry::continue_from(&span, trace);
            let _entered = span.enter();
        }
    }

    fn message(&self, kind: Down) -> wire::LeaderMessage {
        let Term(term) = self.desk.term;
        wire::LeaderMessage { term, kind: Some(kind) }
    }

    async fn take(&self, message: wire::NodeMessage) -> Result<(), Status> {
        match message.kind {
            Some(Up::Heartbeat(wire::Heartbeat { cpu_load, free_memory_mib })) => {
                self.shared.nodes.measured(&self.name, cpu_load, free_memory_mib);
                Ok(())
            }
            Some(Up::Report(report)) => {
                self.shared.nodes.heard(&self.name);
                let (job, attempt, report) =
                    messages::report(report).map_err(Status::invalid_argument)?;
                let (node, stream, run) = (self.name.clone(), self.stream, (job, attempt));
                let stage: SeenStage = report.stage();
                self.tell(Input::Heard { node, stream, run, stage }).await?;
                self.report(job, attempt, report).await
            }
            Some(Up::Hello(_)) => Err(Status::invalid_argument("a stream has one hello")),
            None => Err(Status::invalid_argument("a message says nothing")),
        }
    }
}

fn step(status: wire::StepStatus) -> Result<Step, &'static str> {
    let wire::StepStatus { job, attempt, report } = status;
    let bare = || wire::Report { job, attempt, kind: Some(Said::Launching(wire::Launching {})) };
    let (_, _, report) = messages::report(report.unwrap_or_else(bare))?;
    Ok((JobId(job), Attempt(attempt), report))
}

/// Sends orders and beats, until the dispatcher lets the node go or the node hangs up.
async fn send_orders(node: Arc<Node>, mut orders: mpsc::Receiver<Outgoing>, down: Sender) {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let kind = tokio::select! {
            order = orders.recv() => match order {
                Some(Outgoing::Order(errand)) => {
                    trace_launch(&node, &errand);
                    messages::message(&errand, &node.shared.log)
                }
                Some(Outgoing::Welcome) => Some(Down::Welcome(node.welcome())),
                None => {
                    let _ = down.send(Err(elsewhere(&node.shared))).await;
                    return;
                }
            },
            _ = beat.tick() => Some(Down::Beat(wire::Beat {})),
            () = down.closed() => return,
        };
        if let Some(kind) = kind
            && down.send(Ok(node.message(kind))).await.is_err()
        {
            return;
        }
    }
}

fn trace_launch(node: &Node, errand: &Errand) {
    let (Order::Launch { job, .. }, Some(record)) = (&errand.order, &errand.job) else {
        return;
    };
    if let Some(trace) = &record.spec.trace {
        let span = tracing::info_span!("launch", job = job.0, node = %node.name);
        telemetry::continue_from(&span, trace);
        let _entered = span.enter();
    }
}

/// Takes reports until the node, or the leadership, or a newer stream ends this one.
async fn take_reports(node: Arc<Node>, mut reports: Streaming<wire::NodeMessage>, down: Sender) {
    let ended = loop {
        let message = tokio::select! {
            message = reports.message() => message,
            () = down.closed() => break Ok(()),
            () = node.desk.inputs.closed() => break Err(elsewhere(&node.shared)),
        };
        let taken = match message {
            Ok(Some(message)) => node.take(message).await,
            Ok(None) => break Ok(()),
            Err(status) => break Err(status),
        };
        if let Err(status) = taken {
            break Err(status);
        }
    };
    let reason = ended.as_ref().err().map_or("the node hung up", Status::message).to_owned();
    tracing::info!(node = %node.name, stream = node.stream, reason, "a node is detached");
    // Where the dispatcher has ended, so have all its streams.
    let _ = node.tell(Input::Detach { node: node.name.clone(), stream: node.stream }).await;
    if let Err(status) = ended {
        let _ = down.send(Err(status)).await;
    }
}
