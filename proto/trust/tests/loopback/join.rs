//! Joining: from a token and nothing else to a certificate, against the right cluster only.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use tonic::{Code, Status};
use trust::{
    authority::{Anchor, Authority, Validity},
    connect::{Life, channel},
    controllers::{Address, Call, CallError, Controllers, Target},
    credential::KeyRequest,
    identity::Identity,
    permit::Caller,
    serve::Limits,
    tls::{Keyring, joining},
    token::{Digest, JoinRole, Token},
};

use crate::{
    service::{Answer, Running, call, serve},
    world::{authority, controller, keyring},
};

/// What a controller does with a token, as far as it concerns trust: the digest is known, it is
/// spent at its first use, and it decides the name.
fn redeem(
    authority: &Authority,
    known: &Mutex<Vec<Digest>>,
    text: &str,
    request: &str,
) -> Result<String, Status> {
    let token: Token = text.parse().map_err(|_| Status::unauthenticated("no token"))?;
    let mut known = known.lock().expect("not poisoned");
    let at = known.iter().position(|digest| *digest == token.digest());
    let at = at.ok_or_else(|| Status::unauthenticated("unknown token"))?;
    if token.is_expired(SystemTime::now()) {
        return Err(Status::unauthenticated("expired token"));
    }
    known.remove(at);
    let subject = token.role().subject(token.name());
    let identity = Identity { cluster: authority.cluster(), subject };
    let validity = Validity::from_now(SystemTime::now(), Duration::from_secs(3_600));
    let signed = authority.sign(request, &identity, validity, &[]);
    signed.map_err(|error| Status::invalid_argument(error.to_string()))
}

fn token(authority: &Authority) -> Token {
    let expires = SystemTime::now() + Duration::from_secs(60);
    Token::issue(JoinRole::Node, "n1", expires, authority.anchor()).expect("a token")
}

#[tokio::test]
async fn a_token_makes_a_member_once() {
    let authority = authority();
    let token = token(&authority);
    let known = Mutex::new(vec![token.digest()]);
    let request = KeyRequest::generate().expect("a key");
    let pem = request.signing_request().expect("PEM");

    let text = token.text();
    let mut forged = text.reveal().to_owned();
    forged = forged.replace(".n1.", ".ctl1.").replace(".node.", ".controller.");
    assert!(redeem(&authority, &known, &forged, &pem).is_err(), "an altered token");

    let certificate = redeem(&authority, &known, text.reveal(), &pem).expect("a certificate");
    assert!(redeem(&authority, &known, text.reveal(), &pem).is_err(), "a second time");

    let anchor = Anchor::from_pem(&authority.anchor().pem()).expect("the authority");
    assert!(token.names(&anchor));
    let credential = request.certified(&certificate, anchor).expect("a credential");
    let joined = Keyring::new(credential).expect("a keyring");
    let server = greeting(&authority);
    let config = Arc::new(joined.client(None).expect("a configuration"));
    let channel = channel(&server.address.to_string(), config, Life::Command).expect("an address");
    let seen = call(channel, "/rafter.ctl.v1.Controller/Ping").await.expect("answered");
    assert_eq!(seen, b"node/n1");
}

fn greeting(authority: &Authority) -> Running {
    let answer = |knock: crate::service::Knock| -> Answer {
        Box::pin(async move { Ok(knock.caller.to_string().into_bytes()) })
    };
    serve(&keyring(authority, controller("ctl1")), Limits::STANDARD, answer)
}

#[tokio::test]
async fn a_token_is_not_sent_to_an_impostor() {
    let (ours, theirs) = (authority(), authority());
    let impostor = greeting(&theirs);
    let config = Arc::new(joining(token(&ours).pin()).expect("a configuration"));
    let address = impostor.address.to_string();
    let channel = channel(&address, config, Life::Command).expect("an address");
    let refused = call(channel, "/rafter.node.v1.Join/Join").await.expect_err("an impostor");
    let broken = trust::connect::Broken::from_status(&refused).expect("never answered");
    assert!(matches!(broken, trust::connect::Broken::Untrusted(_)), "{broken:?}");
    assert_eq!(impostor.knocks(), 0);
}

#[tokio::test]
async fn one_who_joins_finds_a_controller_of_the_right_cluster() {
    let (ours, theirs) = (authority(), authority());
    let (impostor, server) = (greeting(&theirs), greeting(&ours));
    let at = |name: &str, running: &Running| Address {
        name: name.to_owned(),
        address: running.address.to_string(),
    };
    let addresses = vec![at("whatever", &impostor), at("unknown", &server)];
    let controllers = Controllers::joining(addresses.clone(), token(&ours).pin());
    let ping = |channel| call(channel, "/rafter.ctl.v1.Controller/Ping");
    let short = || Call::within(Target::Leader, crate::world::BOUND);
    // The gate's refusal is an answer, and shows that the right one was found.
    let refused = controllers.call(short(), ping).await.expect_err("no certificate");
    let CallError::Refused(status) = refused else { panic!("{refused:?}") };
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(impostor.knocks(), 0);

    let lost = Controllers::joining(addresses[..1].to_vec(), token(&ours).pin());
    let refused = lost.call(short(), ping).await.expect_err("an impostor");
    assert!(matches!(refused, CallError::Untrusted { .. }), "{refused:?}");
}

#[test]
fn anonymous_is_what_a_joiner_is() {
    assert!(trust::permit::permitted(&Caller::Anonymous, "/rafter.node.v1.Join/Join"));
}
