//! The listening side: who gets through to a service, and when a connection ends.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{Instant, timeout},
};
use tonic::{Code, Status, transport::Channel};
use trust::{
    authority::{Authority, Validity},
    connect::{Life, channel},
    controllers::{LEADER_KEY, not_leader},
    gate::Speakers,
    identity::Subject,
    serve::Limits,
    tls::{Keyring, joining},
};

use crate::{
    service::{Answer, Knock, Running, call, call_for, serve, serve_speakers},
    world::{BOUND, authority, controller, keyring, node, user, valid},
};

const SUBMIT: &str = "/rafter.ctl.v1.Controller/Submit";
const PING: &str = "/rafter.ctl.v1.Controller/Ping";

fn name_the_caller(knock: Knock) -> Answer {
    Box::pin(async move { Ok(knock.caller.to_string().into_bytes()) })
}

fn running(authority: &Authority, limits: Limits) -> Running {
    serve(&keyring(authority, controller("ctl1")), limits, name_the_caller)
}

fn connected(server: &Running, keyring: &Keyring) -> Channel {
    let config = keyring.client(Some("ctl1")).expect("a configuration");
    channel(&server.address.to_string(), Arc::new(config), Life::Command).expect("an address")
}

fn member(server: &Running, authority: &Authority, subject: Subject) -> Channel {
    connected(server, &keyring(authority, subject))
}

fn anonymous(server: &Running, authority: &Authority) -> Channel {
    let config = joining(authority.anchor().pin()).expect("a configuration");
    channel(&server.address.to_string(), Arc::new(config), Life::Command).expect("an address")
}

fn code(result: &Result<Vec<u8>, Status>) -> Code {
    result.as_ref().map_or_else(Status::code, |_| Code::Ok)
}

#[tokio::test]
async fn the_service_knows_its_caller() {
    let authority = authority();
    let server = running(&authority, Limits::STANDARD);
    for subject in [user(1000, "a b"), node("n1"), controller("ctl2")] {
        let seen = call(member(&server, &authority, subject.clone()), PING).await;
        assert_eq!(seen.expect("answered"), subject.to_string().into_bytes());
    }
}

#[tokio::test]
async fn the_gate_lets_through_whom_the_table_names() {
    let authority = authority();
    let server = running(&authority, Limits::STANDARD);
    let calls = [
        (member(&server, &authority, user(0, "root")), SUBMIT, Code::Ok),
        (member(&server, &authority, node("n1")), SUBMIT, Code::PermissionDenied),
        (member(&server, &authority, controller("ctl2")), SUBMIT, Code::PermissionDenied),
        (anonymous(&server, &authority), SUBMIT, Code::Unauthenticated),
        (anonymous(&server, &authority), PING, Code::Unauthenticated),
        (
            member(&server, &authority, user(0, "root")),
            "/rafter.ctl.v1.Controller/Unknown",
            Code::PermissionDenied,
        ),
        (
            member(&server, &authority, user(0, "root")),
            "/rafter.ctl.v1.Controller/submit",
            Code::PermissionDenied,
        ),
    ];
    for (channel, path, expected) in calls {
        let answer = call(channel, path).await;
        assert_eq!(code(&answer), expected, "{path}: {answer:?}");
    }
    assert_eq!(server.knocks(), 1, "the service saw a refused call");
}

/// Only `n1` speaks, and only for user 1000.
fn speakers() -> Speakers {
    Speakers::Checked(Arc::new(|node, uid| match (node, uid) {
        ("n1", 1000) => Ok(()),
        ("n2", 1000) => Err(not_leader(Some("ctl7"))),
        _ => Err(Status::permission_denied("no job of that user there")),
    }))
}

#[tokio::test]
async fn a_node_calls_for_whom_it_may_speak() {
    let authority = authority();
    let ctl = keyring(&authority, controller("ctl1"));
    let server = serve_speakers(&ctl, Limits::STANDARD, speakers(), name_the_caller);
    let n1 = member(&server, &authority, node("n1"));
    let jane = "user/1000/a%20b";
    let seen = call_for(n1.clone(), SUBMIT, &[jane]).await.expect("it may");
    assert_eq!(seen, jane.as_bytes(), "the service sees the user");
    let seen = call(n1.clone(), PING).await.expect("for itself");
    assert_eq!(seen, b"node/n1", "the next call on the connection is its own");

    let n2 = member(&server, &authority, node("n2"));
    let follower = call_for(n2, SUBMIT, &[jane]).await.expect_err("it does not lead");
    assert_eq!(follower.metadata().get(LEADER_KEY).expect("who does"), "ctl7");
    let of_user = |uid, name| member(&server, &authority, user(uid, name));
    let refused: [(Channel, &'static str, &[&str], Code); 13] = [
        (n1.clone(), SUBMIT, &[], Code::PermissionDenied),
        (n1.clone(), SUBMIT, &["user/0/root"], Code::PermissionDenied),
        (n1.clone(), SUBMIT, &["user/1001/joe"], Code::PermissionDenied),
        (n1.clone(), SUBMIT, &[jane, jane], Code::PermissionDenied),
        (n1.clone(), SUBMIT, &[jane, "user/0/root"], Code::PermissionDenied),
        (n1.clone(), SUBMIT, &["node/n1"], Code::PermissionDenied),
        (n1.clone(), SUBMIT, &["user/01000/a"], Code::PermissionDenied),
        (n1.clone(), "/rafter.ctl.v1.Controller/IssueToken", &[jane], Code::PermissionDenied),
        (n1.clone(), PING, &[jane], Code::PermissionDenied),
        (of_user(1001, "joe"), SUBMIT, &[jane], Code::PermissionDenied),
        (of_user(1000, "a b"), SUBMIT, &[jane], Code::PermissionDenied),
        (member(&server, &authority, controller("ctl2")), SUBMIT, &[jane], Code::PermissionDenied),
        (anonymous(&server, &authority), SUBMIT, &[jane], Code::PermissionDenied),
    ];
    let knocks = server.knocks();
    for (channel, path, users, expected) in refused {
        let answer = call_for(channel, path, users).await;
        assert_eq!(code(&answer), expected, "{path} for {users:?}: {answer:?}");
    }
    assert_eq!(server.knocks(), knocks, "the service saw a refused call");
}

#[tokio::test]
async fn where_nobody_speaks_no_node_does() {
    let authority = authority();
    let server = running(&authority, Limits::STANDARD);
    let n1 = member(&server, &authority, node("n1"));
    let refused = call_for(n1, SUBMIT, &["user/1000/jane"]).await.expect_err("it may not");
    assert_eq!((refused.code(), server.knocks()), (Code::PermissionDenied, 0));
}

#[tokio::test]
async fn one_who_is_silent_delays_nobody_and_is_cut_off() {
    let authority = authority();
    let limits = Limits { handshake: Duration::from_millis(300), ..Limits::STANDARD };
    let server = running(&authority, limits);
    let mut silent = TcpStream::connect(server.address).await.expect("connected");
    call(member(&server, &authority, node("n1")), PING).await.expect("answered");
    let mut nothing = Vec::new();
    let cut = timeout(BOUND, silent.read_to_end(&mut nothing)).await.expect("cut off in time");
    assert_eq!(cut.expect("closed"), 0);
}

#[tokio::test]
async fn handshakes_beyond_the_limit_wait_for_their_turn() {
    let authority = authority();
    let limits =
        Limits { handshakes: 1, handshake: Duration::from_millis(300), ..Limits::STANDARD };
    let server = running(&authority, limits);
    let _silent = TcpStream::connect(server.address).await.expect("connected");
    call(member(&server, &authority, node("n1")), PING).await.expect("answered in the end");
}

/// Calls until the answer is `expected`, and fails if that takes too long.
async fn until(expected: Code, mut attempt: impl AsyncFnMut() -> Result<Vec<u8>, Status>) {
    let deadline = Instant::now() + BOUND;
    loop {
        let answer = attempt().await;
        if code(&answer) == expected {
            return;
        }
        assert!(Instant::now() < deadline, "still {answer:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn users_can_t_keep_machines_out() {
    let authority = authority();
    let server = running(&authority, Limits { users: 1, machines: 1, ..Limits::STANDARD });
    let first = member(&server, &authority, user(1000, "jane"));
    call(first.clone(), PING).await.expect("the first user");
    let second = member(&server, &authority, user(1001, "joe"));
    let refused = call(second.clone(), PING).await.expect_err("one user only");
    assert!(trust::connect::Broken::from_status(&refused).is_some(), "{refused:?}");
    call(member(&server, &authority, node("n1")), PING).await.expect("a machine");

    drop(first);
    until(Code::Ok, async || call(second.clone(), PING).await).await;
}

#[tokio::test]
async fn a_connection_ends_with_its_certificate() {
    let authority = authority();
    let never = |_| -> Answer { Box::pin(std::future::pending()) };
    let server = serve(&keyring(&authority, controller("ctl1")), Limits::STANDARD, never);
    let now = SystemTime::now();
    let soon = Validity { not_before: now - BOUND, not_after: now + Duration::from_secs(2) };
    let brief = Keyring::new(valid(&authority, node("n1"), soon)).expect("a keyring");
    let ended = timeout(BOUND, call(connected(&server, &brief), PING)).await.expect("in time");
    let ended = ended.expect_err("nothing answers");
    assert!(trust::connect::Broken::from_status(&ended).is_some(), "{ended:?}");
    assert!(SystemTime::now() >= brief.credential().not_after(), "too early");
    assert_eq!(server.knocks(), 1, "it was connected before");
}

#[tokio::test]
async fn the_anonymous_don_t_stay() {
    let authority = authority();
    let age = Duration::from_millis(200);
    let limits = Limits { anonymous: 1, anonymous_age: age, ..Limits::STANDARD };
    let server = running(&authority, limits);
    let first = anonymous(&server, &authority);
    assert_eq!(code(&call(first.clone(), PING).await), Code::Unauthenticated);
    // The first keeps its channel, yet the second gets the place when the age is over.
    let second = anonymous(&server, &authority);
    until(Code::Unauthenticated, async || call(second.clone(), PING).await).await;
    drop(first);
}

#[tokio::test]
async fn a_dropped_stream_closes_the_port() {
    let authority = authority();
    let ctl = keyring(&authority, controller("ctl1"));
    let config = ctl.server(trust::tls::ClientCertificate::Required).expect("a configuration");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(trust::serve::incoming(listener, config, Limits::STANDARD));
    let deadline = Instant::now() + BOUND;
    while TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < deadline, "the port is still open");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
