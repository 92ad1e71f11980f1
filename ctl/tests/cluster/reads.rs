//! What people see of the cluster.

use common::{
    id::JobId,
    machine::{Entry, Event, State},
};
use prost::Message as _;
use proto::ctl as wire;

use crate::world::{ALICE, OPERATOR, World, id, refusal, slurm, submission, submit};

#[tokio::test]
async fn the_status_has_all_that_it_promises() {
    let world = World::new().await;
    submit(&world, ALICE).await;
    let reply = world.user(ALICE).status(wire::StatusRequest::default()).await;
    let reply = reply.expect("answered").into_inner();
    assert_eq!((reply.cluster.as_str(), reply.leader.as_str()), ("test", "ctl1"));
    assert_eq!(reply.cluster_id, world.authority.cluster().to_string());
    assert!(reply.term >= 1);
    let [controller] = reply.controllers.as_slice() else { panic!("one: {reply:?}") };
    assert_eq!((controller.name.as_str(), controller.role.as_str()), ("ctl1", "leader"));
    assert_eq!((controller.address.as_str(), controller.lag), (world.address.as_str(), 0));
    assert!(controller.applied > 0);
    let nodes: Vec<_> = reply.nodes.iter().map(|n| (n.name.as_str(), n.state.as_str())).collect();
    assert_eq!(nodes, [("n1", "unknown*"), ("n2", "unknown*")]);
    assert_eq!((reply.jobs_pending, reply.jobs_running), (1, 0));
    world.stop().await;
}

#[tokio::test]
async fn a_reconfiguration_is_an_operator_s_and_is_taken_whole_or_not_at_all() {
    let world = World::new().await;
    let ask = || wire::ReconfigureRequest { request: id() };
    let denied = slurm("Invalid user id", 2010);
    assert_eq!(refusal(world.user(ALICE).reconfigure(ask())).await, denied);
    *world.file.lock().expect("not poisoned") = Err("slurm.conf:3: no such key".to_owned());
    let refused = refusal(world.user(OPERATOR).reconfigure(ask())).await;
    assert!(refused.text.ends_with("slurm.conf:3: no such key"), "{refused:?}");
    let mut changed = crate::world::config();
    changed.partitions[0].max_nodes = Some(1);
    *world.file.lock().expect("not poisoned") = Ok(changed);
    world.user(OPERATOR).reconfigure(ask()).await.expect("the operator may");
    let reply = world.user(ALICE).config(wire::ConfigRequest::default()).await;
    let config = reply.expect("answered").into_inner().config.expect("a configuration");
    assert_eq!(config.partitions[0].max_nodes, Some(1));
    world.stop().await;
}

#[tokio::test]
async fn nodes_and_pings_are_answered() {
    let world = World::new().await;
    let reply = world.user(ALICE).nodes(wire::NodesRequest::default()).await;
    let reply = reply.expect("answered").into_inner();
    let names: Vec<_> =
        reply.nodes.iter().filter_map(|view| Some(view.node.as_ref()?.name.as_str())).collect();
    assert_eq!(names, ["n1", "n2"]);
    assert_eq!(reply.nodes[0].conf.as_ref().expect("its configuration").cpus, 4);
    assert_eq!(reply.partitions[0].name, "cpu");
    let ping = world.user(ALICE).ping(wire::PingRequest {}).await.expect("answered").into_inner();
    assert_eq!(
        (ping.name.as_str(), ping.leader, ping.leader_name.as_str()),
        ("ctl1", true, "ctl1")
    );
    assert_eq!(ping.format, common::machine::FORMAT);
    world.stop().await;
}

#[tokio::test]
async fn events_are_told_from_the_beginning_and_followed() {
    let world = World::new().await;
    let job = submit(&world, ALICE).await;
    let ask = |follow, job| wire::EventsRequest { follow, job, ..Default::default() };
    let mut told = world.user(ALICE).events(ask(false, None)).await.expect("answered").into_inner();
    let mut events = Vec::new();
    while let Some(event) = told.message().await.expect("told") {
        events.push(event);
    }
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    let expected =
        ["ClusterFormed", "FormatRaised", "ConfigSet", "ControllerJoined", "JobSubmitted"];
    assert_eq!(kinds, expected);
    let last = events.last().expect("some");
    assert_eq!(last.text, format!("job {job} (job) was submitted by user1001 to cpu"));
    assert_eq!(last.job, Some(job));
    assert!(last.index > 0 && last.at > 0 && last.term > 0);

    let mut told =
        world.user(ALICE).events(ask(true, Some(job))).await.expect("answered").into_inner();
    let first = told.message().await.expect("told").expect("one");
    assert_eq!(first.kind, "JobSubmitted");
    let cancel = wire::CancelRequest { request: id(), job, signal: None, scope: 0, tasks: vec![] };
    submit(&world, ALICE).await;
    world.user(ALICE).cancel(cancel).await.expect("hers");
    let next = told.message().await.expect("told").expect("another");
    assert_eq!(next.text, format!("job {job} has ended: CANCELLED by user 1001, exit 0:0"));
    drop(told);
    world.stop().await;
}

#[tokio::test]
async fn operators_read_whole_entries_and_what_they_come_to() {
    let world = World::new().await;
    let job = submit(&world, ALICE).await;
    let ask = || wire::EventsRequest { entries: true, stale_ok: true, ..Default::default() };
    let denied = slurm("Invalid user id", 2010);
    assert_eq!(refusal(world.user(ALICE).events(ask())).await, denied);
    assert_eq!(refusal(world.user(ALICE).digest(wire::DigestRequest {})).await, denied);

    let told = world.user(OPERATOR).events(ask()).await;
    let mut told = told.expect("an operator's").into_inner();
    let (mut state, mut last) = (State::default(), 0);
    while let Some(reply) = told.message().await.expect("told") {
        let wire = proto::log::Entry::decode(&*reply.entry).expect("an entry");
        let mut entry = Entry::try_from(wire).expect("one of this release");
        for event in &mut entry.events {
            // What is left out of an entry counts for nothing but a size.
            assert!(!matches!(event, Event::BlobStored { content, .. } if !content.is_empty()));
        }
        state.apply(&entry);
        last = reply.index;
    }
    assert!(state.jobs.contains_key(&JobId(job)));
    assert_eq!(state.jobs, world.log.applied().state.jobs);

    let reply = world.user(OPERATOR).digest(wire::DigestRequest {}).await;
    let reply = reply.expect("an operator's").into_inner();
    assert_eq!((reply.name.as_str(), reply.index), ("ctl1", last));
    let expected = proto::convert::state_digest(&world.log.applied().state);
    assert_eq!(reply.digest, expected.0.to_vec());
    // Not only what the digest of an entry is made of counts.
    for blob in state.blobs.keys() {
        let mut other = world.log.applied().state.clone();
        other.blobs.remove(blob);
        assert_ne!(proto::convert::state_digest(&other), expected);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_trial_says_when_and_where_and_leaves_no_trace() {
    let world = World::new().await;
    // Without a node, it can't be said when.
    let busy = slurm("Requested nodes are busy", 2016);
    assert_eq!(refusal(world.user(ALICE).test_only(submission())).await, busy);
    let applied = world.log.applied();
    assert!(applied.state.jobs.is_empty());
    let mut wrong = submission();
    wrong.spec.as_mut().expect("a spec").partition = "gpu".to_owned();
    let refused = slurm("Invalid partition name specified", 2000);
    assert_eq!(refusal(world.user(ALICE).test_only(wrong)).await, refused);
    world.stop().await;
}
