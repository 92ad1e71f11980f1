//! A node's stream, with a node that does what it is told.

use std::sync::Arc;

use common::{
    config::Config,
    id::{JobId, NodeName},
    job::{EndState, Phase, Stage},
    node::Availability,
};
use proto::{
    ctl as wire_ctl,
    node::{
        self as wire, leader_message::Kind as Down, node_client::NodeClient,
        node_message::Kind as Up, report,
    },
    types,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

use crate::world::{ALICE, BOUND, World, config, id, refusal, submit};

pub(crate) struct FakeNode {
    up: mpsc::Sender<wire::NodeMessage>,
    down: Streaming<wire::LeaderMessage>,
    welcome: wire::Welcome,
    term: u64,
}

fn inventory() -> types::Inventory {
    types::Inventory { cpus: 4, memory_mib: 1_000, incarnation: 7, ..types::Inventory::default() }
}

pub(crate) fn said(job: u32, kind: report::Kind) -> wire::Report {
    wire::Report { job, attempt: 1, kind: Some(kind) }
}

pub(crate) fn ended() -> report::Kind {
    report::Kind::Ended(wire::Ended { at: 1, ..wire::Ended::default() })
}

impl FakeNode {
    async fn attach(world: &World, name: &str, steps: Vec<wire::Report>) -> Result<Self, Status> {
        Self::attach_to(world.node(name), steps).await
    }

    pub(crate) async fn attach_to(
        mut controller: NodeClient<Channel>,
        steps: Vec<wire::Report>,
    ) -> Result<Self, Status> {
        let (up, messages) = mpsc::channel(64);
        let step = |report: wire::Report| wire::StepStatus {
            job: report.job,
            attempt: report.attempt,
            report: Some(report),
        };
        let hello = wire::Hello {
            address: "127.0.0.1:1".to_owned(),
            inventory: Some(inventory()),
            steps: steps.into_iter().map(step).collect(),
            number: 0,
        };
        let hello = wire::NodeMessage { kind: Some(Up::Hello(hello)) };
        up.send(hello).await.expect("there is room");
        let mut down = controller.attach(ReceiverStream::new(messages)).await?.into_inner();
        let first = down.message().await?.expect("a welcome");
        let Some(Down::Welcome(welcome)) = first.kind else { panic!("not welcome: {first:?}") };
        Ok(Self { up, down, welcome, term: first.term })
    }

    pub(crate) async fn report(&self, job: u32, kind: report::Kind) {
        let message = wire::NodeMessage { kind: Some(Up::Report(said(job, kind))) };
        self.up.send(message).await.expect("the stream is open");
    }

    /// The next order, past all beats.
    pub(crate) async fn order(&mut self) -> Down {
        loop {
            let message = timeout(BOUND, self.down.message()).await.expect("an order in time");
            let message = message.expect("the stream goes on").expect("and does not end");
            assert_eq!(message.term, self.term);
            let kind = message.kind.expect("it says something");
            if !matches!(kind, Down::Beat(_)) {
                return kind;
            }
        }
    }

    pub(crate) async fn launch(&mut self) -> wire::Launch {
        let order = self.order().await;
        let Down::Launch(launch) = order else { panic!("no launch: {order:?}") };
        launch
    }

    async fn terminate(&mut self) -> wire::Terminate {
        let order = self.order().await;
        let Down::Terminate(terminate) = order else { panic!("not terminated: {order:?}") };
        terminate
    }

    /// Waits until the leader ends the stream.
    pub(crate) async fn is_let_go(&mut self) {
        let ended = timeout(BOUND, async { while self.down.message().await.is_ok() {} }).await;
        ended.expect("the stream ends");
    }

    /// Whether nothing but beats comes until the second beat.
    pub(crate) async fn is_told_nothing(&mut self) -> bool {
        for _ in 0..2 {
            let message = timeout(BOUND, self.down.message()).await.expect("a beat in time");
            let message = message.expect("the stream goes on").expect("and does not end");
            if !matches!(message.kind, Some(Down::Beat(_))) {
                return false;
            }
        }
        true
    }
}

fn stage(world: &World, job: u32) -> Option<Stage> {
    match &world.log.applied().state.jobs[&JobId(job)].phase {
        Phase::Active(run) => Some(run.stage),
        Phase::Pending | Phase::Completing { .. } | Phase::Ended { .. } => None,
    }
}

fn end(world: &World, job: u32) -> Option<EndState> {
    let applied = world.log.applied();
    match &applied.state.jobs[&JobId(job)].phase {
        Phase::Ended { end, .. } => Some(end.state),
        Phase::Pending | Phase::Active(_) | Phase::Completing { .. } => None,
    }
}

pub(crate) fn launched(launch: &wire::Launch) -> u32 {
    launch.job.as_ref().expect("a job").id
}

#[tokio::test]
async fn a_job_is_launched_runs_ends_and_is_released() {
    let world = World::new().await;
    let mut node = FakeNode::attach(&world, "n1", vec![]).await.expect("welcome");
    let config = node.welcome.config.as_ref().expect("a configuration");
    assert_eq!(config.cluster_name, "test");
    assert_eq!(node.welcome.controllers[0].address, world.address);
    let name = NodeName::from("n1");
    assert_eq!(world.log.applied().state.nodes[&name].availability, Availability::Up);

    let job = submit(&world, ALICE).await;
    let launch = node.launch().await;
    let spec = launch.job.as_ref().and_then(|job| job.spec.as_ref()).expect("a spec");
    assert_eq!((launched(&launch), spec.user), (job, ALICE));
    assert_eq!(launch.script, "#!/bin/sh\ntrue\n");
    assert_eq!(launch.environment, "PATH=/bin\0");
    assert_eq!(stage(&world, job), Some(Stage::Allocated), "the intent came before the order");

    node.report(job, report::Kind::Launching(wire::Launching {})).await;
    world.until(|| stage(&world, job) == Some(Stage::Launching)).await;
    node.report(job, report::Kind::Running(wire::Running {})).await;
    world.until(|| stage(&world, job) == Some(Stage::Running)).await;
    node.report(job, ended()).await;
    let release = Down::Release(wire::Release { job, attempt: 1 });
    assert_eq!(node.order().await, release);
    assert_eq!(end(&world, job), Some(EndState::Completed), "released only once the log has it");
    assert_eq!(world.log.applied().state.nodes[&name].jobs, 0);
    world.stop().await;
}

#[tokio::test]
async fn a_new_stream_takes_the_old_one_s_place_and_launches_nothing_twice() {
    let world = World::new().await;
    let mut old = FakeNode::attach(&world, "n1", vec![]).await.expect("welcome");
    let job = submit(&world, ALICE).await;
    assert_eq!(launched(&old.launch().await), job);
    old.report(job, report::Kind::Running(wire::Running {})).await;
    world.until(|| stage(&world, job) == Some(Stage::Running)).await;

    let running = said(job, report::Kind::Running(wire::Running {}));
    let mut new = FakeNode::attach(&world, "n1", vec![running]).await.expect("welcome");
    assert!(new.is_told_nothing().await, "it has the run, and is to go on with it");
    let ended_by_leader = timeout(BOUND, async {
        loop {
            if let Err(status) = old.down.message().await {
                return status;
            }
        }
    });
    let status = ended_by_leader.await.expect("the old stream ends");
    assert_eq!(status.code(), Code::Unavailable);

    // What happened while nobody listened comes with the list, and is released once it is known.
    drop(new);
    let mut back = FakeNode::attach(&world, "n1", vec![said(job, ended())]).await.expect("welcome");
    assert_eq!(back.order().await, Down::Release(wire::Release { job, attempt: 1 }));
    assert_eq!(end(&world, job), Some(EndState::Completed));
    world.stop().await;
}

#[tokio::test]
async fn a_run_that_a_node_has_lost_is_over_and_a_strange_one_is_stopped() {
    let world = World::new().await;
    let mut node = FakeNode::attach(&world, "n1", vec![]).await.expect("welcome");
    let job = submit(&world, ALICE).await;
    node.launch().await;
    node.report(job, report::Kind::Running(wire::Running {})).await;
    world.until(|| stage(&world, job) == Some(Stage::Running)).await;
    drop(node);
    let strange = said(77, report::Kind::Running(wire::Running {}));
    let mut node = FakeNode::attach(&world, "n1", vec![strange]).await.expect("welcome");
    world.until(|| world.log.applied().state.jobs[&JobId(job)].restarts == 1).await;
    let order = node.terminate().await;
    assert_eq!((order.job, order.cause()), (77, wire::Cause::Stale));
    world.stop().await;
}

#[tokio::test]
async fn a_cancelled_run_is_terminated_and_signals_arrive() {
    let world = World::new().await;
    let mut node = FakeNode::attach(&world, "n1", vec![]).await.expect("welcome");
    let job = submit(&world, ALICE).await;
    node.launch().await;
    node.report(job, report::Kind::Running(wire::Running {})).await;
    world.until(|| stage(&world, job) == Some(Stage::Running)).await;
    let scope = types::SignalScope::Batch.into();
    let mut alice = world.user(ALICE);
    let signal =
        wire_ctl::CancelRequest { request: id(), job, signal: Some(10), scope, tasks: vec![] };
    alice.cancel(signal).await.expect("hers");
    let order = wire::Signal { job, attempt: 1, number: 1, signal: 10, scope };
    assert_eq!(node.order().await, Down::Signal(order));
    node.report(job, report::Kind::Delivered(wire::Delivered { number: 1 })).await;
    let cancel =
        wire_ctl::CancelRequest { request: id(), job, signal: None, scope: 0, tasks: vec![] };
    alice.cancel(cancel).await.expect("hers");
    let order = node.terminate().await;
    let told = (order.job, order.cause(), order.kill_wait_s);
    assert_eq!(told, (job, wire::Cause::Cancelled, 30));
    assert_eq!(end(&world, job), None, "its node is not clean yet");
    node.report(job, ended()).await;
    world.until(|| end(&world, job) == Some(EndState::Cancelled)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_node_that_is_given_up_while_its_stream_lives_registers_anew() {
    let world = World::with(Config { slurmd_timeout: 1, return_to_service: 1, ..config() }).await;
    let name = NodeName::from("n1");
    let availability = || world.log.applied().state.nodes[&name].availability;
    // It answers whatever HTTP/2 asks, and says nothing.
    let mut node = FakeNode::attach(&world, "n1", vec![]).await.expect("welcome");
    world.until(|| availability() == Availability::Lost).await;
    node.is_let_go().await;
    let _back = FakeNode::attach(&world, "n1", vec![]).await.expect("welcome");
    world.until(|| availability() == Availability::Up).await;
    world.stop().await;
}

#[tokio::test]
async fn a_new_configuration_reaches_the_attached_nodes() {
    let world = World::new().await;
    let mut node = FakeNode::attach(&world, "n1", vec![]).await.expect("welcome");
    let mut changed = crate::world::config();
    changed.kill_wait = 5;
    *world.file.lock().expect("not poisoned") = Ok(changed);
    let request = wire_ctl::ReconfigureRequest { request: id() };
    world.user(0).reconfigure(request).await.expect("root may");
    let order = node.order().await;
    let Down::Welcome(welcome) = order else { panic!("no welcome: {order:?}") };
    assert_eq!(welcome.config.expect("a configuration").kill_wait_s, 5);
    world.stop().await;
}

#[tokio::test]
async fn who_is_no_node_of_the_configuration_is_refused() {
    let world = World::new().await;
    let refused = FakeNode::attach(&world, "n9", vec![]).await.err().expect("refused");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.message(), "Invalid node name specified");

    let (up, messages) = mpsc::channel(1);
    let beat = Up::Heartbeat(wire::Heartbeat::default());
    up.send(wire::NodeMessage { kind: Some(beat) }).await.expect("there is room");
    let no_hello = world.node("n1").attach(ReceiverStream::new(messages)).await;
    assert_eq!(no_hello.err().map(|status| status.code()), Some(Code::InvalidArgument));
    world.stop().await;
}

#[tokio::test]
async fn a_leader_that_stops_sends_its_nodes_away() {
    let world = World::new().await;
    let mut node = FakeNode::attach(&world, "n1", vec![]).await.expect("welcome");
    let stopping = tokio::spawn(world.stop());
    let over = async { while let Ok(Some(_)) = node.down.message().await {} };
    timeout(BOUND, over).await.expect("the stream ends");
    stopping.await.expect("stopped");
}

#[tokio::test]
async fn a_node_fetches_what_its_jobs_run_and_nothing_else() {
    let world = World::new().await;
    let mut node = FakeNode::attach(&world, "n1", vec![]).await.expect("welcome");
    let job = submit(&world, ALICE).await;
    node.launch().await;
    let spec = Arc::clone(&world.log.applied().state.jobs[&JobId(job)].spec);
    let fetch = || wire::FetchRequest { hash: spec.script.0.to_vec().into() };
    let reply = world.node("n1").fetch(fetch()).await.expect("its own").into_inner();
    assert_eq!(reply.content, "#!/bin/sh\ntrue\n");
    let refused = refusal(world.node("n2").fetch(fetch())).await;
    assert_eq!(refused.code, Code::PermissionDenied);
    world.stop().await;
}

/// A new term is a new leader, even if it is the same controller.
#[tokio::test]
async fn a_new_leader_launches_nothing_twice_and_goes_on_where_the_last_one_stopped() {
    let world = World::new().await;
    let mut node = FakeNode::attach(&world, "n1", vec![]).await.expect("welcome");
    let (runs, unheard) = (submit(&world, ALICE).await, submit(&world, ALICE).await);
    assert_eq!(launched(&node.launch().await), runs);
    node.report(runs, report::Kind::Running(wire::Running {})).await;
    world.until(|| stage(&world, runs) == Some(Stage::Running)).await;
    // The order for the other one is lost with the leader.
    world.until(|| stage(&world, unheard) == Some(Stage::Allocated)).await;
    let term = node.term;
    world.log.campaign();
    let over = async { while let Ok(Some(_)) = node.down.message().await {} };
    timeout(BOUND, over).await.expect("the stream ends with the term");

    let running = said(runs, report::Kind::Running(wire::Running {}));
    let mut node = loop {
        match FakeNode::attach(&world, "n1", vec![running.clone()]).await {
            Ok(node) => break node,
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
        }
    };
    assert!(node.term > term);
    assert_eq!(launched(&node.launch().await), unheard);
    assert!(node.is_told_nothing().await);
    for job in [runs, unheard] {
        node.report(job, ended()).await;
        world.until(|| end(&world, job) == Some(EndState::Completed)).await;
        assert_eq!(node.order().await, Down::Release(wire::Release { job, attempt: 1 }));
    }
    world.stop().await;
}
