//! Calls that find their controller: leaders that move, die, hang, or can't be trusted.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, timeout};
use tonic::{Code, Status, transport::Channel};
use trust::{
    authority::{Authority, Validity},
    connect::Life,
    controllers::{Address, Call, CallError, Controllers, Failure, Target, not_leader},
    serve::Limits,
    tls::Keyring,
};

use crate::{
    service::{Answer, Knock, Running, call, serve},
    world::{BOUND, HOUR, authority, controller, credential, keyring, user, valid},
};

const PING: &str = "/rafter.ctl.v1.Controller/Ping";

/// Three controllers that agree on who leads.
struct Three {
    authority: Authority,
    running: [Option<Running>; 3],
    leader: Arc<Mutex<Option<&'static str>>>,
}

const NAMES: [&str; 3] = ["ctl1", "ctl2", "ctl3"];

impl Three {
    fn led_by(leader: Option<&'static str>) -> Self {
        let authority = authority();
        let leader = Arc::new(Mutex::new(leader));
        let running = NAMES.map(|name| {
            let leader = Arc::clone(&leader);
            let answer = move |_: Knock| -> Answer {
                let leader = *leader.lock().expect("not poisoned");
                let answer = match leader {
                    Some(leader) if leader == name => Ok(name.as_bytes().to_vec()),
                    Some(_) | None => Err(not_leader(leader)),
                };
                Box::pin(std::future::ready(answer))
            };
            Some(serve(&keyring(&authority, controller(name)), Limits::STANDARD, answer))
        });
        Self { authority, running, leader }
    }

    fn elect(&self, leader: Option<&'static str>) {
        *self.leader.lock().expect("not poisoned") = leader;
    }

    fn addresses(&self) -> Vec<Address> {
        let live = NAMES.iter().zip(&self.running);
        live.map(|(name, running)| {
            let running = running.as_ref().expect("asked for while all run");
            Address { name: (*name).to_owned(), address: running.address.to_string() }
        })
        .collect()
    }

    fn controllers(&self) -> Controllers {
        let me = Arc::new(keyring(&self.authority, user(1000, "jane")));
        Controllers::new(self.addresses(), me, Life::Command, None)
    }

    fn knocks(&self) -> usize {
        self.running.iter().flatten().map(Running::knocks).sum()
    }
}

fn leader_call() -> Call<'static> {
    Call::within(Target::Leader, BOUND)
}

async fn ping(channel: Channel) -> Result<Vec<u8>, Status> {
    call(channel, PING).await
}

#[tokio::test]
async fn the_leader_is_found_and_then_asked_first() {
    let three = Three::led_by(Some("ctl2"));
    let controllers = three.controllers();
    let answer = controllers.call(leader_call(), ping).await.expect("answered");
    assert_eq!(answer, b"ctl2");
    assert!(three.knocks() <= 2, "one wrong guess at most, since it names the leader");
    assert_eq!(controllers.leader().as_deref(), Some("ctl2"));
    let before = three.knocks();
    controllers.call(leader_call(), ping).await.expect("answered");
    assert_eq!(three.knocks(), before + 1);
}

#[tokio::test]
async fn a_new_leader_is_followed() {
    let three = Three::led_by(Some("ctl1"));
    let controllers = three.controllers();
    controllers.call(leader_call(), ping).await.expect("answered");
    three.elect(Some("ctl3"));
    let answer = controllers.call(leader_call(), ping).await.expect("answered");
    assert_eq!(answer, b"ctl3");
}

#[tokio::test]
async fn a_dead_leader_is_survived() {
    let mut three = Three::led_by(Some("ctl1"));
    let controllers = three.controllers();
    controllers.call(leader_call(), ping).await.expect("answered");
    // The others still believe in the dead one for a while.
    three.running[0] = None;
    let mut heard = Vec::new();
    let mut waiting = |failure: &Failure| {
        heard.push(failure.clone());
        three.elect(Some("ctl3"));
    };
    let call = Call { waiting: Some(&mut waiting), ..leader_call() };
    let answer = controllers.call(call, ping).await.expect("answered");
    assert_eq!(answer, b"ctl3");
    assert_eq!(heard.len(), 1, "told once: {heard:?}");
}

#[tokio::test]
async fn a_controller_that_dies_during_the_call_is_left() {
    let mut three = Three::led_by(Some("ctl2"));
    let hanging =
        serve(&keyring(&three.authority, controller("ctl1")), Limits::STANDARD, |_| -> Answer {
            Box::pin(std::future::pending())
        });
    three.running[0] = Some(hanging);
    let controllers = three.controllers();
    controllers.note_leader(Some("ctl1"));
    let dying = three.running[0].take().expect("running");
    let killer = tokio::task::spawn_blocking(move || {
        let deadline = std::time::Instant::now() + BOUND;
        while dying.knocks() == 0 {
            assert!(std::time::Instant::now() < deadline, "the call never came");
            std::thread::yield_now();
        }
        drop(dying);
    });
    let call = Call { patience: BOUND, ..leader_call() };
    let answer = timeout(BOUND, controllers.call(call, ping)).await.expect("in time");
    assert_eq!(answer.expect("answered"), b"ctl2");
    killer.await.expect("no panic");
}

#[tokio::test]
async fn a_silent_controller_is_given_up() {
    let mut three = Three::led_by(Some("ctl2"));
    let never = |_| -> Answer { Box::pin(std::future::pending()) };
    three.running[0] =
        Some(serve(&keyring(&three.authority, controller("ctl1")), Limits::STANDARD, never));
    let controllers = three.controllers();
    controllers.note_leader(Some("ctl1"));
    let call = Call { patience: Duration::from_millis(200), ..leader_call() };
    let answer = controllers.call(call, ping).await.expect("answered");
    assert_eq!(answer, b"ctl2");
}

#[tokio::test]
async fn a_slow_answer_is_given_more_time_each_round() {
    let authority = authority();
    let slow = |_| -> Answer {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(b"late".to_vec())
        })
    };
    let server = serve(&keyring(&authority, controller("ctl1")), Limits::STANDARD, slow);
    let address = Address { name: "ctl1".into(), address: server.address.to_string() };
    let me = Arc::new(keyring(&authority, user(1000, "jane")));
    let controllers = Controllers::new(vec![address], me, Life::Command, None);
    let call = Call { patience: Duration::from_millis(100), ..leader_call() };
    assert_eq!(controllers.call(call, ping).await.expect("answered"), b"late");

    let call = Call {
        patience: Duration::from_millis(100),
        ..Call::within(Target::Leader, Duration::from_millis(250))
    };
    let error = controllers.call(call, ping).await.expect_err("too slow");
    assert!(error.to_string().contains("ctl1 did not answer within 100 ms"), "{error}");
}

#[tokio::test]
async fn without_a_leader_the_deadline_ends_it() {
    let three = Three::led_by(None);
    let controllers = three.controllers();
    let limit = Duration::from_millis(300);
    let mut told = 0;
    let mut waiting = |_: &Failure| told += 1;
    let call = Call { waiting: Some(&mut waiting), ..Call::within(Target::Leader, limit) };
    let began = Instant::now();
    let error = controllers.call(call, ping).await.expect_err("nobody leads");
    assert!(began.elapsed() >= limit);
    let CallError::Unanswered { last, .. } = error else { panic!("{error:?}") };
    assert!(last.to_string().contains("there is no leader"), "{last}");
    assert_eq!(told, 1);
    assert!(three.knocks() >= 6, "all were asked more than once");
}

#[tokio::test]
async fn a_refusal_is_an_answer() {
    let authority = authority();
    let refuse = |_| -> Answer {
        Box::pin(std::future::ready(Err(Status::failed_precondition("Invalid qos specification"))))
    };
    let server = serve(&keyring(&authority, controller("ctl1")), Limits::STANDARD, refuse);
    let address = Address { name: "ctl1".into(), address: server.address.to_string() };
    let me = Arc::new(keyring(&authority, user(1000, "jane")));
    let controllers = Controllers::new(vec![address], me, Life::Command, None);
    let error = controllers.call(leader_call(), ping).await.expect_err("refused");
    let CallError::Refused(status) = error else { panic!("{error:?}") };
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(server.knocks(), 1, "a refusal is not asked for twice");
}

#[tokio::test]
async fn the_leader_s_name_is_kept_for_the_next_command() {
    let scratch = tempfile::tempdir().expect("a folder");
    let file = scratch.path().join("leader");
    let three = Three::led_by(Some("ctl3"));
    let me = || Arc::new(keyring(&three.authority, user(1000, "jane")));
    let command = || Controllers::new(three.addresses(), me(), Life::Command, Some(file.clone()));
    command().call(leader_call(), ping).await.expect("answered");
    assert_eq!(fs::read_to_string(&file).expect("kept"), "ctl3");
    let before = three.knocks();
    command().call(leader_call(), ping).await.expect("answered");
    assert_eq!(three.knocks(), before + 1, "the second command went straight to it");
    assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 1);

    for rubbish in ["ctl9", "", "ctl1\nctl2", "\u{0}"] {
        fs::write(&file, rubbish).expect("written");
        assert_eq!(command().leader(), None, "{rubbish:?} was believed");
    }
}

#[tokio::test]
async fn want_of_trust_is_not_waited_for() {
    let three = Three::led_by(Some("ctl1"));
    let stranger = Arc::new(keyring(&authority(), user(1000, "jane")));
    let controllers = Controllers::new(three.addresses(), stranger, Life::Command, None);
    let error = controllers.call(leader_call(), ping).await.expect_err("a stranger");
    assert!(matches!(error, CallError::Untrusted { .. }), "{error:?}");
    assert_eq!(three.knocks(), 0);
}

/// As where the leader has a certificate of the next authority, and the others not yet.
#[tokio::test]
async fn want_of_trust_in_the_leader_is_not_waited_for_either() {
    let mut three = Three::led_by(Some("ctl1"));
    let other = keyring(&authority(), controller("ctl1"));
    let never = |_| -> Answer { Box::pin(std::future::pending()) };
    three.running[0] = Some(serve(&other, Limits::STANDARD, never));
    let controllers = three.controllers();
    let answer = timeout(BOUND, controllers.call(leader_call(), ping)).await.expect("in time");
    let error = answer.expect_err("the leader is a stranger");
    assert!(matches!(error, CallError::Untrusted { .. }), "{error:?}");
}

#[tokio::test]
async fn the_controller_at_an_address_must_bear_its_name() {
    let three = Three::led_by(Some("ctl1"));
    let mut addresses = three.addresses();
    for (address, wrong) in addresses.iter_mut().zip(["ctl2", "ctl3", "ctl1"]) {
        address.name = wrong.to_owned();
    }
    let me = Arc::new(keyring(&three.authority, user(1000, "jane")));
    let controllers = Controllers::new(addresses, me, Life::Command, None);
    let error = controllers.call(leader_call(), ping).await.expect_err("all exchanged");
    assert!(error.to_string().contains("was expected"), "{error}");
}

#[tokio::test]
async fn an_expired_certificate_of_one_s_own_is_said_so() {
    let three = Three::led_by(Some("ctl1"));
    let now = SystemTime::now();
    let past = Validity { not_before: now - 2 * HOUR, not_after: now - HOUR };
    let me = Keyring::new(valid(&three.authority, user(1000, "jane"), past)).expect("a keyring");
    let controllers = Controllers::new(three.addresses(), Arc::new(me), Life::Command, None);
    let error = controllers.call(leader_call(), ping).await.expect_err("expired");
    assert!(matches!(error, CallError::Expired), "{error:?}");
}

#[tokio::test]
async fn nobody_and_nowhere_are_errors() {
    let me = || Arc::new(keyring(&authority(), user(1000, "jane")));
    let nobody = Controllers::new(Vec::new(), me(), Life::Command, None);
    let error = nobody.call(leader_call(), ping).await.expect_err("nobody");
    assert!(matches!(error, CallError::NoControllers), "{error:?}");
    for address in ["", "host", "host:", "host:99999", "a b:1", "host:1/x", "http://host:1"] {
        let address = Address { name: "ctl1".into(), address: address.into() };
        let nowhere = Controllers::new(vec![address.clone()], me(), Life::Command, None);
        let error = nowhere.call(leader_call(), ping).await.expect_err("nowhere");
        assert!(matches!(error, CallError::Address(_)), "{address:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_opens_a_new_connection() {
    let authority = authority();
    let port = |knock: Knock| -> Answer {
        Box::pin(std::future::ready(Ok(knock.remote.port().to_be_bytes().to_vec())))
    };
    let server = serve(&keyring(&authority, controller("ctl1")), Limits::STANDARD, port);
    let address = Address { name: "ctl1".into(), address: server.address.to_string() };
    let me = Arc::new(keyring(&authority, user(1000, "jane")));
    let controllers = Controllers::new(vec![address], Arc::clone(&me), Life::Daemon, None);
    let from = async || controllers.call(leader_call(), ping).await.expect("answered");
    let first = from().await;
    assert_eq!(from().await, first, "one connection serves many calls");
    me.rotate(credential(&authority, user(1000, "jane"))).expect("rotated");
    assert_ne!(from().await, first);
}

#[tokio::test]
async fn a_new_list_keeps_what_it_shares_with_the_old() {
    let three = Three::led_by(Some("ctl1"));
    let addresses = three.addresses();
    let me = Arc::new(keyring(&three.authority, user(1000, "jane")));
    let controllers = Controllers::new(addresses[1..].to_vec(), me, Life::Daemon, None);
    let short = Call::within(Target::Leader, Duration::from_millis(200));
    assert!(controllers.call(short, ping).await.is_err(), "the leader is not in the list");
    controllers.replace(addresses.clone());
    assert_eq!(controllers.addresses(), addresses);
    assert_eq!(controllers.call(leader_call(), ping).await.expect("answered"), b"ctl1");
    assert!(controllers.channel("ctl1").is_some() && controllers.channel("ctl9").is_none());
}

#[tokio::test]
async fn reading_takes_any_controller() {
    let mut three = Three::led_by(None);
    let any = |_| -> Answer { Box::pin(std::future::ready(Ok(b"read".to_vec()))) };
    three.running[2] =
        Some(serve(&keyring(&three.authority, controller("ctl3")), Limits::STANDARD, any));
    let controllers = three.controllers();
    let answer = controllers.call(Call::within(Target::Any, BOUND), ping).await;
    assert_eq!(answer.expect("answered"), b"read");
    assert_eq!(controllers.leader(), None, "who answers a read need not be the leader");
}
