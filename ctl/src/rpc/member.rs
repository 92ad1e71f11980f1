//! How others become members, stay members, and vouch for their users.
//!
//! | who | may have certified | where |
//! |---|---|---|
//! | holder of a token | itself, under the token's name | any |
//! | node, controller | itself anew | while the configuration or the membership names it |
//! | login host (`RafterLoginHosts`) | any user of its own | any |
//! | compute node | a user who has a job that holds the node | never root, nor an operator |
//!
//! A login host is trusted with every user, as a host is whose root can become any of them: name
//! only hosts that the cluster's operators run. A compute node runs strangers' code, so what falls
//! with it is bounded to the users who are there anyway.
//!
//! The last two rows also say for whom a host may make calls through its door ([`trust::door`]):
//! whoever could obtain a user's certificate gains nothing by that.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use common::{
    config::Config,
    id::{ContentHash, ControllerName, NodeName, RequestId, UserId},
    machine::{Command, Refusal, State, TokenRole},
};
use proto::node::{self as wire, join_client::JoinClient};
use tonic::{Request, Response, Status};
use trust::{
    authority::Validity,
    connect::{Life, channel},
    controllers::not_leader,
    credential::USER_LIFETIME,
    gate::caller,
    identity::{Identity, Subject},
    tls::joining,
    token::{JoinRole, Token},
};

use super::{
    authority::due,
    status::{node, refused, rejected, unavailable},
};
use crate::shared::Shared;

/// Takes in whoever holds a token. He need not know who leads, nor even where all controllers are,
/// so one that does not lead passes him on.
pub(super) async fn join(
    shared: &Shared,
    request: Request<wire::JoinRequest>,
) -> Result<wire::JoinReply, Status> {
    let request = request.into_inner();
    if shared.head().is_some() {
        return take_in(shared, request).await;
    }
    let leader = shared.log.leadership().borrow().leader.clone();
    let elsewhere = || not_leader(leader.as_deref());
    let name = leader.as_deref().filter(|name| *name != shared.identity.name);
    let applied = shared.log.applied();
    let known = name.and_then(|name| applied.state.controllers.get(&ControllerName::from(name)));
    let address = known.ok_or_else(elsewhere)?.address.clone();
    let config = joining(shared.authorities.signing().anchor().pin());
    let config = Arc::new(config.map_err(|error| Status::internal(error.to_string()))?);
    let channel = channel(&address, config, Life::Command).map_err(|_| elsewhere())?;
    JoinClient::new(channel).join(request).await.map(Response::into_inner)
}

/// Certifies the holder of a token, which it spends.
///
/// The token is spent in the log before anything is signed. The same holder (by the key that it
/// wants certified) may ask again, and gets the same answer.
async fn take_in(shared: &Shared, request: wire::JoinRequest) -> Result<wire::JoinReply, Status> {
    let wire::JoinRequest { token, signing_request, address, format } = request;
    let token: Token =
        token.parse().map_err(|error| Status::invalid_argument(format!("{error}")))?;
    if shared.authorities.trusted().iter().all(|anchor| !token.names(anchor)) {
        return Err(Status::invalid_argument("the token is another cluster's"));
    }
    let (role, joins) = match token.role() {
        JoinRole::Node => (TokenRole::Node, false),
        JoinRole::Controller => (TokenRole::Controller, true),
    };
    if joins && !is_address(&address) {
        let text = "a controller joins with the HOST:PORT where the others reach it";
        return Err(Status::invalid_argument(text));
    }
    let holder = holder(&token, &signing_request);
    let request = RequestId(half(&holder, 0));
    let secret = ContentHash(token.digest().0);
    let raft_id = if joins { u64::from_be_bytes(half(&holder, 16)) | 1 << 63 } else { 0 };
    let name = ControllerName::from(token.name());
    let Some(view) = shared.head() else {
        return Err(not_leader(shared.log.leadership().borrow().leader.as_deref()));
    };
    // Anybody can get this far, so nothing is signed for one whose token nobody knows. The
    // proposer has the last word.
    if !view.state.tokens.contains_key(&secret) && !view.state.requests.contains_key(&request) {
        return Err(refused(&Refusal::Token));
    }
    let known = view.state.controllers.get(&name).filter(|known| known.raft_id != raft_id);
    if joins && known.is_some() {
        return Err(refused(&Refusal::ControllerKnown(name.to_string())));
    }
    // It would be given one key, and need two.
    if joins && due(&view.state).is_some() {
        return Err(refused(&Refusal::AuthorityChanging));
    }
    // The log may hold events that it can't read: it would stop at the first.
    if joins && format < view.state.format {
        let (needed, name) = (view.state.format, token.name());
        let text = format!(
            "{name} understands events of format {format}, and the log is of format {needed}: \
             it must be a newer release"
        );
        return Err(Status::failed_precondition(text));
    }
    drop(view);
    // Signed before the token is spent, though not handed out: a request that can't be signed
    // must not cost the token.
    let subject = token.role().subject(token.name());
    let lifetime = Shared::lifetime(&shared.log.applied().state);
    let certificate = sign(shared, subject, &signing_request, lifetime)?;
    let spend = Command::SpendToken { request, secret, role, name: token.name().to_owned() };
    shared.proposer.submit(spend).await.map_err(rejected)?;
    if joins {
        let join = Command::JoinController { controller: name, raft_id, address };
        shared.proposer.submit(join).await.map_err(rejected)?;
    }
    tracing::info!(name = token.name(), controller = joins, "a member joined by token");
    let state = &shared.log.applied().state;
    let cluster = state.config.as_ref().map(|config| config.cluster_name.clone());
    let key = || shared.authorities.signing().key_pem().reveal().to_owned();
    Ok(wire::JoinReply {
        certificate,
        authority: shared.authorities.pem(),
        cluster_id: shared.identity.cluster.to_string(),
        cluster: cluster.unwrap_or_default(),
        name: token.name().to_owned(),
        controllers: Shared::controllers(state),
        authority_key: if joins { key() } else { String::new() },
        raft_id,
    })
}

/// Who holds the token, as far as it can be told: from this follow the request id and, for a
/// controller, its number in Raft, so that a repeated request means the same.
fn holder(token: &Token, signing_request: &str) -> [u8; 32] {
    let mut text = token.digest().0.to_vec();
    text.extend_from_slice(signing_request.as_bytes());
    ContentHash::of(&text).0
}

fn half<const N: usize>(hash: &[u8; 32], from: usize) -> [u8; N] {
    hash[from..from + N].try_into().expect("within the hash")
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0))
}

fn sign(
    shared: &Shared,
    subject: Subject,
    signing_request: &str,
    lifetime: std::time::Duration,
) -> Result<String, Status> {
    let authority = shared.authorities.signing();
    let identity = Identity { cluster: authority.cluster(), subject };
    let validity = Validity::from_now(SystemTime::now(), lifetime);
    let signed = authority.sign(signing_request, &identity, validity, &[]);
    signed.map_err(|error| Status::invalid_argument(error.to_string()))
}

pub(super) async fn vouch(
    shared: &Shared,
    request: Request<wire::VouchRequest>,
) -> Result<wire::VouchReply, Status> {
    let host = node(&request)?;
    let wire::VouchRequest { uid, user, signing_request } = request.into_inner();
    let applied = shared.log.read_barrier().await.map_err(|error| unavailable(&error))?;
    may_vouch(&applied.state, &host, UserId(uid)).map_err(Status::permission_denied)?;
    let subject = Subject::User { uid, name: user };
    Ok(wire::VouchReply {
        certificate: sign(shared, subject, &signing_request, USER_LIFETIME)?,
        authority: shared.authorities.pem(),
        controllers: Shared::controllers(&applied.state),
    })
}

/// See the table above.
fn may_vouch(state: &State, host: &str, user: UserId) -> Result<(), String> {
    let config = state.config.as_deref();
    if config.is_some_and(|config| config.login_hosts.iter().any(|name| name == host)) {
        return Ok(());
    }
    if state.is_operator(user) {
        return Err(format!(
            "{host} is no login host (RafterLoginHosts), and can't vouch for an operator"
        ));
    }
    let name = NodeName::from(host);
    let mut held = state.holding.get(&name).into_iter().flatten();
    if held.any(|job| state.jobs.get(job).is_some_and(|job| job.spec.user == user)) {
        return Ok(());
    }
    Err(format!("{host} is no login host (RafterLoginHosts), and user {user} has no job on it"))
}

/// Whether `host` may make a call for a user, for the gate. Only the leader says yes: it has the
/// state as it will be, and what it answers to the call itself rests on that state's being
/// committed. A leader that was deposed may say yes, but then can't serve.
pub(crate) fn may_speak(shared: &Shared, host: &str, uid: u32) -> Result<(), Status> {
    let Some(view) = shared.head() else {
        return Err(not_leader(shared.log.leadership().borrow().leader.as_deref()));
    };
    may_vouch(&view.state, host, UserId(uid)).map_err(Status::permission_denied)
}

pub(super) async fn renew(
    shared: &Shared,
    request: Request<wire::RenewRequest>,
) -> Result<wire::RenewReply, Status> {
    let subject = caller(&request)?.subject().cloned();
    let subject = subject.ok_or_else(|| Status::unauthenticated("only members renew"))?;
    let wire::RenewRequest { signing_request, address } = request.into_inner();
    let applied = shared.log.read_barrier().await.map_err(|error| unavailable(&error))?;
    let state = &applied.state;
    let named = match &subject {
        Subject::Node { name } => names(state.config.as_ref(), name),
        Subject::Controller { name } => {
            state.controllers.contains_key(&ControllerName::from(name.as_str()))
        }
        Subject::User { .. } => false,
    };
    if !named {
        return Err(Status::permission_denied(format!("{subject} is not part of the cluster")));
    }
    if let Subject::Controller { name } = &subject
        && !address.is_empty()
    {
        move_controller(shared, state, name, address).await?;
    }
    let certificate = sign(shared, subject, &signing_request, Shared::lifetime(state))?;
    Ok(wire::RenewReply { certificate, authority: shared.authorities.pem() })
}

/// A controller is reached elsewhere than when it joined.
async fn move_controller(
    shared: &Shared,
    state: &State,
    name: &str,
    address: String,
) -> Result<(), Status> {
    if !is_address(&address) {
        return Err(Status::invalid_argument("an address is HOST:PORT"));
    }
    let controller = ControllerName::from(name);
    let known = state.controllers.get(&controller);
    let raft_id = known
        .map(|known| known.raft_id)
        .ok_or_else(|| refused(&Refusal::NoSuchController(name.to_owned())))?;
    let moved = Command::JoinController { controller, raft_id, address };
    shared.proposer.submit(moved).await.map(drop).map_err(rejected)
}

/// Whether the configuration has a node or login host of this name.
fn names(config: Option<&Arc<Config>>, name: &str) -> bool {
    config.is_some_and(|config| {
        config.node(name).is_some() || config.login_hosts.iter().any(|host| host == name)
    })
}

/// A script or environment of a job that holds the node, and no other.
pub(super) async fn fetch(
    shared: &Shared,
    request: Request<wire::FetchRequest>,
) -> Result<wire::FetchReply, Status> {
    let host = NodeName::from(node(&request)?);
    let hash = <[u8; 32]>::try_from(request.into_inner().hash.as_ref());
    let hash = ContentHash(hash.map_err(|_| Status::invalid_argument("no hash"))?);
    let applied = shared.log.read_barrier().await.map_err(|error| unavailable(&error))?;
    let state = &applied.state;
    let uses = |job: &common::id::JobId| {
        let spec = state.jobs.get(job).map(|job| &job.spec);
        spec.is_some_and(|spec| spec.script == hash || spec.environment == hash)
    };
    if !state.holding.get(&host).into_iter().flatten().any(uses) {
        return Err(Status::permission_denied(format!("no job on {host} uses {hash}")));
    }
    Ok(wire::FetchReply { content: blob(shared, hash).await? })
}

/// What is stored under `hash`. The disk may take its time, so this happens off the runtime.
pub(super) async fn blob(shared: &Shared, hash: ContentHash) -> Result<Bytes, Status> {
    let log = shared.log.clone();
    let found = tokio::task::spawn_blocking(move || log.blob(hash)).await;
    match found.map_err(|error| Status::internal(error.to_string()))? {
        Ok(Some(content)) => Ok(content),
        Ok(None) => Err(Status::not_found(format!("{hash} is not stored here any more"))),
        Err(error) => Err(Status::internal(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in ["ctl2:6817", "10.0.0.1:1", "[::1]:6817"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "ctl2", ":6817", "ctl2:", "ctl2:0", "ctl2:70000", "ctl2:x"] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
