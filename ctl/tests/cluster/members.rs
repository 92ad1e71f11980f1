//! Joining, renewing, and vouching.

use common::machine::FORMAT;
use proto::{
    ctl::{self as wire_ctl, controller_client::ControllerClient},
    node::{self as wire, join_client::JoinClient},
};
use tonic::{Code, Request};
use trust::{
    authority::{Anchor, Authority},
    credential::{Credential, KeyRequest},
    door::USER_KEY,
    identity::Subject,
    secret::Secret,
};

use crate::world::{ALICE, BOB, OPERATOR, World, id, refusal, slurm, submission, submit};

async fn token(world: &World, controller: bool, name: &str) -> String {
    let name = name.to_owned();
    let ask = wire_ctl::IssueTokenRequest { request: id(), controller, name, lifetime_s: 60 };
    world.user(OPERATOR).issue_token(ask).await.expect("the operator may").into_inner().token
}

fn request(key: &KeyRequest, token: &str, address: &str) -> wire::JoinRequest {
    wire::JoinRequest {
        token: token.to_owned(),
        signing_request: key.signing_request().expect("a request"),
        address: address.to_owned(),
        format: FORMAT,
    }
}

fn joiner(world: &World) -> JoinClient<tonic::transport::Channel> {
    JoinClient::new(world.channel(None))
}

fn certified(world: &World, key: KeyRequest, certificate: &str) -> Credential {
    let anchor = Anchor::from_pem(&world.authority.anchor().pem()).expect("the authority");
    key.certified(certificate, anchor).expect("a credential")
}

#[tokio::test]
async fn a_token_makes_one_node() {
    let world = World::new().await;
    let ask = wire_ctl::IssueTokenRequest {
        request: id(),
        controller: false,
        name: "n1".to_owned(),
        lifetime_s: 60,
    };
    let denied = slurm("Invalid user id", 2010);
    assert_eq!(refusal(world.user(ALICE).issue_token(ask)).await, denied);

    let token = token(&world, false, "n1").await;
    let key = KeyRequest::generate().expect("a key");
    // A request that can't be signed costs no token.
    let ask = request(&key, &token, "");
    let broken = wire::JoinRequest { signing_request: "x".to_owned(), ..ask.clone() };
    assert_eq!(refusal(joiner(&world).join(broken)).await.code, Code::InvalidArgument);
    let reply = joiner(&world).join(ask.clone()).await.expect("joined").into_inner();
    assert_eq!((reply.cluster.as_str(), reply.name.as_str()), ("test", "n1"));
    assert_eq!(reply.authority_key, "", "a node must not have the key");
    assert_eq!(reply.controllers[0].address, world.address);
    // The answer may have been lost: the same holder asks again.
    joiner(&world).join(ask).await.expect("the same joiner, again");
    let other = KeyRequest::generate().expect("a key");
    let spent = refusal(joiner(&world).join(request(&other, &token, ""))).await;
    assert_eq!(spent.code, Code::FailedPrecondition);
    assert!(spent.text.contains("this token is not valid"), "{spent:?}");
    let credential = certified(&world, key, &reply.certificate);
    assert_eq!(credential.identity().subject, Subject::Node { name: "n1".to_owned() });
    world.stop().await;
}

#[tokio::test]
async fn a_controller_joins_with_the_authority_and_a_number_of_its_own() {
    let world = World::new().await;
    let token = token(&world, true, "ctl2").await;
    let key = KeyRequest::generate().expect("a key");
    let nowhere = refusal(joiner(&world).join(request(&key, &token, "ctl2"))).await;
    assert_eq!(nowhere.code, Code::InvalidArgument);
    let ask = request(&key, &token, "127.0.0.1:9");
    // One that can't read the log is not taken in, and the token is not spent.
    let old = wire::JoinRequest { format: FORMAT - 1, ..ask.clone() };
    let refused = refusal(joiner(&world).join(old)).await;
    assert_eq!(refused.code, Code::FailedPrecondition);
    assert!(refused.text.contains("must be a newer release"), "{refused:?}");
    let reply = joiner(&world).join(ask.clone()).await.expect("joined").into_inner();
    let again = joiner(&world).join(ask).await.expect("joined").into_inner();
    assert_eq!(reply.raft_id, again.raft_id, "asked again, it is the same controller");
    assert!(reply.raft_id > 1);
    let key_pem = Secret::new(reply.authority_key);
    Authority::from_pem(&reply.authority, &key_pem).expect("the authority, with its key");
    let applied = world.log.applied();
    let known = &applied.state.controllers[&common::id::ControllerName::from("ctl2")];
    assert_eq!((known.raft_id, known.address.as_str()), (reply.raft_id, "127.0.0.1:9"));

    // It may be reached elsewhere one day, and says so itself.
    let moved = |address: &str| wire::RenewRequest {
        signing_request: key.signing_request().expect("a request"),
        address: address.to_owned(),
    };
    let as_controller = |name: &str| {
        let subject = Subject::Controller { name: name.to_owned() };
        wire::node_client::NodeClient::new(world.channel(Some(subject)))
    };
    let wrong = refusal(as_controller("ctl2").renew(moved("nowhere"))).await;
    assert_eq!(wrong.code, Code::InvalidArgument);
    let stranger = refusal(as_controller("ctl9").renew(moved("127.0.0.1:7"))).await;
    assert_eq!(stranger.code, Code::PermissionDenied);
    as_controller("ctl2").renew(moved("127.0.0.1:7")).await.expect("a member");
    let applied = world.log.applied();
    let known = &applied.state.controllers[&common::id::ControllerName::from("ctl2")];
    assert_eq!((known.raft_id, known.address.as_str()), (reply.raft_id, "127.0.0.1:7"));

    // The name is taken until the controller is removed.
    let ask = wire_ctl::IssueTokenRequest {
        request: id(),
        controller: true,
        name: "ctl2".to_owned(),
        lifetime_s: 60,
    };
    let taken = refusal(world.user(OPERATOR).issue_token(ask)).await;
    assert!(taken.text.contains("rafter controller remove ctl2"), "{taken:?}");
    let remove = || wire_ctl::RemoveControllerRequest { request: id(), name: "ctl2".to_owned() };
    let denied = slurm("Invalid user id", 2010);
    assert_eq!(refusal(world.user(ALICE).remove_controller(remove())).await, denied);
    world.user(OPERATOR).remove_controller(remove()).await.expect("the operator may");
    let token = self::token(&world, true, "ctl2").await;
    let other = KeyRequest::generate().expect("a key");
    let ask = request(&other, &token, "127.0.0.1:8");
    let anew = joiner(&world).join(ask).await.expect("joined anew").into_inner();
    assert_ne!(anew.raft_id, reply.raft_id);
    world.stop().await;
}

#[tokio::test]
async fn hosts_vouch_for_whom_they_may() {
    let world = World::new().await;
    let vouch = async |host: &str, uid: u32| {
        let key = KeyRequest::generate().expect("a key");
        let ask = wire::VouchRequest {
            uid,
            user: format!("user{uid}"),
            signing_request: key.signing_request().expect("a request"),
        };
        let reply = world.node(host).vouch(ask).await?.into_inner();
        let subject = certified(&world, key, &reply.certificate).identity().subject.clone();
        assert_eq!(subject, Subject::User { uid, name: format!("user{uid}") });
        Ok::<_, tonic::Status>(reply)
    };
    let denied = async |host: &str, uid: u32| refusal(vouch(host, uid)).await.code;
    vouch("login", BOB).await.expect("a login host vouches for its users");
    assert_eq!(denied("n1", ALICE).await, Code::PermissionDenied, "she has no job there");

    let _orders = attached(&world, "n1").await;
    let (job, of_root) = (submit(&world, ALICE).await, submit(&world, 0).await);
    let holds = |job| {
        let applied = world.log.applied();
        applied.state.jobs[&common::id::JobId(job)].holding().is_some()
    };
    world.until(|| holds(job) && holds(of_root)).await;
    vouch("n1", ALICE).await.expect("she has a job there");
    assert_eq!(denied("n1", BOB).await, Code::PermissionDenied);
    assert_eq!(denied("n2", ALICE).await, Code::PermissionDenied);
    assert_eq!(denied("n1", 0).await, Code::PermissionDenied, "never root from a mere node");
    assert_eq!(denied("n1", OPERATOR).await, Code::PermissionDenied);
    world.stop().await;
}

/// `request` as a host's daemon makes it for user `uid`.
fn on_behalf<T>(request: T, uid: u32) -> Request<T> {
    let mut request = Request::new(request);
    let user = format!("user/{uid}/user{uid}").parse().expect("metadata");
    request.metadata_mut().insert(USER_KEY, user);
    request
}

/// The rule of [`hosts_vouch_for_whom_they_may`], for each call.
#[tokio::test]
async fn hosts_call_for_whom_they_may() {
    let world = World::new().await;
    let through = |host: &str| {
        let subject = Subject::Node { name: host.to_owned() };
        ControllerClient::new(world.channel(Some(subject)))
    };
    let submitted = async |host: &str, uid: u32| {
        let reply = through(host).submit(on_behalf(submission(), uid)).await?;
        let job = common::id::JobId(reply.into_inner().job);
        let spec = world.log.applied().state.jobs[&job].spec.clone();
        assert_eq!(
            (spec.user.0, spec.user_name.clone()),
            (uid, format!("user{uid}")),
            "it is the user's"
        );
        Ok::<_, tonic::Status>(job.0)
    };
    let denied = async |host: &str, uid: u32| {
        let refused = refusal(submitted(host, uid)).await;
        assert_eq!(refused.code, Code::PermissionDenied, "{host} for {uid}: {refused:?}");
    };
    let cancel =
        |job| wire_ctl::CancelRequest { request: id(), job, signal: None, scope: 0, tasks: vec![] };
    for uid in [BOB, OPERATOR, 0] {
        let job = submitted("login", uid).await.expect("a login host speaks for its users");
        // It is to have no job on the node that comes.
        through("login").cancel(on_behalf(cancel(job), uid)).await.expect("the user's");
    }
    for uid in [ALICE, OPERATOR, 0] {
        denied("n1", uid).await;
    }
    let as_user = Subject::User { uid: ALICE, name: "alice".to_owned() };
    let mut alice = ControllerClient::new(world.channel(Some(as_user)));
    let refused = refusal(alice.submit(on_behalf(submission(), BOB))).await;
    assert_eq!(refused.code, Code::PermissionDenied, "a user speaks for nobody else");

    // She gets a job on the one node that there is.
    let _orders = attached(&world, "n1").await;
    let (job, of_root) = (submit(&world, ALICE).await, submit(&world, 0).await);
    let holds = |job| {
        let applied = world.log.applied();
        applied.state.jobs[&common::id::JobId(job)].holding().is_some()
    };
    world.until(|| holds(job) && holds(of_root)).await;
    submitted("n1", ALICE).await.expect("she has a job there");
    let tried = through("n1").test_only(on_behalf(submission(), ALICE)).await.expect("she may");
    assert_eq!(tried.into_inner().partition, "cpu");
    // She may do through it what she may do, and no more.
    let refused = refusal(through("n1").cancel(on_behalf(cancel(of_root), ALICE))).await;
    assert_eq!(refused, slurm("Access/permission denied", 2002));
    for uid in [BOB, 0, OPERATOR] {
        denied("n1", uid).await;
    }
    denied("n2", ALICE).await;
    let hers = on_behalf(wire_ctl::ReconfigureRequest { request: id() }, ALICE);
    let refused = refusal(through("n1").reconfigure(hers)).await;
    assert_eq!(refused.code, Code::PermissionDenied, "no method of operators");
    let roots = on_behalf(wire_ctl::ReconfigureRequest { request: id() }, 0);
    let refused = refusal(through("login").reconfigure(roots)).await;
    assert_eq!(refused.code, Code::PermissionDenied, "from no host");
    through("n1").cancel(on_behalf(cancel(job), ALICE)).await.expect("hers");
    world.stop().await;
}

/// The stream of a node of 4 CPUs that is there. It ends when it is dropped.
async fn attached(world: &World, name: &str) -> impl Sized + use<> {
    let (up, messages) = tokio::sync::mpsc::channel(4);
    let inventory = proto::types::Inventory { cpus: 4, incarnation: 7, ..Default::default() };
    let hello = wire::Hello { inventory: Some(inventory), ..wire::Hello::default() };
    let kind = Some(wire::node_message::Kind::Hello(hello));
    up.send(wire::NodeMessage { kind }).await.expect("there is room");
    let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
    let orders = world.node(name).attach(messages).await.expect("welcome");
    (up, orders)
}

#[tokio::test]
async fn members_renew_as_long_as_they_are_some() {
    let world = World::new().await;
    for (name, may) in [("n1", true), ("login", true), ("n9", false)] {
        let key = KeyRequest::generate().expect("a key");
        let signing_request = key.signing_request().expect("a request");
        let request = wire::RenewRequest { signing_request, address: String::new() };
        let renewed = world.node(name).renew(request).await;
        match renewed {
            Ok(reply) => {
                assert!(may, "{name} is no member");
                let credential = certified(&world, key, &reply.into_inner().certificate);
                let subject = Subject::Node { name: name.to_owned() };
                assert_eq!(credential.identity().subject, subject);
            }
            Err(status) => {
                assert!(!may, "{name}: {status}");
                assert_eq!(status.code(), Code::PermissionDenied);
            }
        }
    }
    world.stop().await;
}
