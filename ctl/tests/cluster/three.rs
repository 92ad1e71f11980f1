//! Three controllers: joining through a follower, reading anywhere, and the leader's going.

use std::{sync::Arc, time::Duration};

use common::{
    id::JobId,
    job::{EndState, Phase, Stage},
    machine::FORMAT,
};
use proto::{
    ctl::{self as wire_ctl, controller_client::ControllerClient},
    node::{
        self as wire, join_client::JoinClient, leader_message::Kind as Down,
        node_client::NodeClient, report,
    },
};
use raft_store::Log;
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{interval, timeout},
};
use tonic::{Code, transport::Channel};
use trust::{credential::KeyRequest, identity::Subject};

use crate::{
    nodes::{FakeNode, ended, launched, said},
    world::{ALICE, BOUND, OPERATOR, Started, World, id, submission, submit},
};

/// Lets a controller join, by asking the one at `through`.
async fn join(world: &World, name: &str, through: (&str, &str)) -> Started {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let ask = wire_ctl::IssueTokenRequest {
        request: id(),
        controller: true,
        name: name.to_owned(),
        lifetime_s: 60,
    };
    let token = world.user(OPERATOR).issue_token(ask).await.expect("the operator may");
    let key = KeyRequest::generate().expect("a key");
    let ask = wire::JoinRequest {
        token: token.into_inner().token,
        signing_request: key.signing_request().expect("a request"),
        address: listener.local_addr().expect("an address").to_string(),
        format: FORMAT,
    };
    let (address, called) = through;
    let mut asked = JoinClient::new(world.channel_to(address, called, None));
    let reply = asked.join(ask).await.expect("joined").into_inner();
    world.another(name, reply.raft_id, listener).await
}

fn user(world: &World, started: &Started, name: &str) -> ControllerClient<Channel> {
    let alice = Subject::User { uid: ALICE, name: "alice".to_owned() };
    ControllerClient::new(world.channel_to(&started.address, name, Some(alice)))
}

fn node(world: &World, started: &Started, name: &str) -> NodeClient<Channel> {
    let n1 = Subject::Node { name: "n1".to_owned() };
    NodeClient::new(world.channel_to(&started.address, name, Some(n1)))
}

async fn until_voters(world: &World, logs: &[&Log], count: usize) {
    let all = |log: &&Log| log.members().iter().filter(|member| member.voter).count() == count;
    world.until(|| logs.iter().all(all)).await;
}

async fn ids(client: &mut ControllerClient<Channel>) -> Vec<u32> {
    let asked = client.jobs(wire_ctl::JobsRequest::default()).await.expect("answered");
    let mut pages = asked.into_inner();
    let mut ids = Vec::new();
    while let Some(page) = pages.message().await.expect("a page") {
        ids.extend(page.jobs.iter().filter_map(|view| Some(view.job.as_ref()?.id)));
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_grows_answers_everywhere_and_survives_its_leader() {
    let world = World::new().await;
    let second = join(&world, "ctl2", (&world.address, "ctl1")).await;
    until_voters(&world, &[&world.log, &second.log], 2).await;
    let third = join(&world, "ctl3", (&second.address, "ctl2")).await;
    until_voters(&world, &[&world.log, &second.log, &third.log], 3).await;

    // Only the leader takes commands, and the others say who that is.
    let mut at_second = user(&world, &second, "ctl2");
    let elsewhere = at_second.submit(submission()).await.expect_err("it does not lead");
    assert_eq!(elsewhere.code(), Code::Unavailable);
    let leader = elsewhere.metadata().get(trust::controllers::LEADER_KEY).expect("a name");
    assert_eq!(leader, "ctl1");
    // A reader at a follower misses nothing that was acknowledged before.
    for expected in 1..=20 {
        let job = submit(&world, ALICE).await;
        assert_eq!(job, expected);
        assert_eq!(ids(&mut at_second).await.len(), expected as usize);
    }
    // What is heard of nodes, the leader alone can tell.
    let ask = |stale_ok| wire_ctl::NodesRequest { stale_ok };
    let elsewhere = at_second.nodes(ask(false)).await.expect_err("it hears no node");
    assert!(elsewhere.metadata().contains_key(trust::controllers::LEADER_KEY));
    assert!(!at_second.nodes(ask(true)).await.expect("told").into_inner().nodes.is_empty());
    let status = world.user(ALICE).status(wire_ctl::StatusRequest::default()).await;
    let controllers = status.expect("answered").into_inner().controllers;
    let roles: Vec<_> = controllers.iter().map(|c| (c.name.as_str(), c.role.as_str())).collect();
    assert_eq!(roles, [("ctl1", "leader"), ("ctl2", "follower"), ("ctl3", "follower")]);
    survive(world, second, third).await;
}

/// The leader goes while a job runs. The next one takes over what there is, and starts nothing
/// twice.
async fn survive(world: World, second: Started, third: Started) {
    let n1 = Subject::Node { name: "n1".to_owned() };
    let client = NodeClient::new(world.channel(Some(n1)));
    let mut fake = FakeNode::attach_to(client, vec![]).await.expect("welcome");
    let mut runs = Vec::new();
    for _ in 0..4 {
        let job = launched(&fake.launch().await);
        fake.report(job, report::Kind::Running(wire::Running {})).await;
        runs.push(job);
    }
    let stage = |log: &Log, job: u32| match &log.applied().state.jobs[&JobId(job)].phase {
        Phase::Active(run) => Some(run.stage),
        Phase::Pending | Phase::Completing { .. } | Phase::Ended { .. } => None,
    };
    world.until(|| runs.iter().all(|job| stage(&world.log, *job) == Some(Stage::Running))).await;
    let steps: Vec<_> =
        runs.iter().map(|job| said(*job, report::Kind::Running(wire::Running {}))).collect();
    let clients = [node(&world, &second, "ctl2"), node(&world, &third, "ctl3")];
    world.stop().await;

    let welcome = async {
        loop {
            for client in &clients {
                match FakeNode::attach_to(client.clone(), steps.clone()).await {
                    Ok(node) => return node,
                    Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
                }
            }
        }
    };
    let mut fake = timeout(BOUND, welcome).await.expect("a new leader");
    assert!(fake.is_told_nothing().await, "what runs is not launched again");
    let first = runs[0];
    fake.report(first, ended()).await;
    // Its end makes room for the next one, and the log has it before the node may forget it.
    let (mut released, mut next) = (false, None);
    while !released || next.is_none() {
        match fake.order().await {
            Down::Release(order) => released = order.job == first,
            Down::Launch(order) => next = Some(launched(&order)),
            other @ (Down::Welcome(_) | Down::Terminate(_) | Down::Signal(_) | Down::Beat(_)) => {
                panic!("not what was to come: {other:?}")
            }
        }
    }
    assert_eq!(next, Some(5), "the next in the queue");
    for started in [&second, &third] {
        let applied = Arc::clone(&started.log.read_barrier().await.expect("a leader"));
        let job = &applied.state.jobs[&JobId(first)];
        assert!(matches!(&job.phase, Phase::Ended { end, .. } if end.state == EndState::Completed));
        assert_eq!((job.restarts, applied.state.jobs.len()), (0, 20));
    }
    for started in [second, third] {
        started.controller.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_under_load_lets_its_nodes_go() {
    let world = World::new().await;
    let second = join(&world, "ctl2", (&world.address, "ctl1")).await;
    until_voters(&world, &[&world.log, &second.log], 2).await;
    let mut attached = FakeNode::attach_to(world.node("n1"), vec![]).await.expect("welcome");
    second.log.shutdown().await;
    // One after the other, so that each is a batch of its own: more than may be on their way.
    let mut pace = interval(Duration::from_millis(1));
    let clients = [(); 4].map(|()| world.user(ALICE));
    let mut asked = JoinSet::new();
    for client in clients.iter().cycle().take(400) {
        let mut client = client.clone();
        asked.spawn(async move { client.submit(submission()).await });
        pace.tick().await;
    }
    attached.is_let_go().await;
    asked.abort_all();
    while let Some(reply) = asked.join_next().await {
        assert!(!matches!(reply, Ok(Ok(_))), "nothing is acknowledged without a majority");
    }
    world.stop().await;
}
