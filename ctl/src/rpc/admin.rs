//! What operators ask of the cluster itself.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use common::{
    id::{ContentHash, ControllerName, NodeName, UserId},
    machine::{Command, NodeChanges, NodeTarget, Refusal, TokenRole},
    time::Timestamp,
};
use proto::ctl as wire;
use tonic::{Request, Status};
use trust::{
    controllers::not_leader,
    token::{JoinRole, Token},
};

use super::{
    job::{carry_out, fresh},
    status::{by, operator_in, refused, rejected, user},
};
use crate::shared::Shared;

/// For how long a token may be good.
const LONGEST_TOKEN: Duration = Duration::from_secs(30 * 24 * 3600);

/// The longest reason of a node, in bytes.
const MAX_REASON: usize = 4 * 1024;

pub(super) async fn update_node(
    shared: &Shared,
    request: Request<wire::UpdateNodeRequest>,
) -> Result<wire::Done, Status> {
    let by = by(&request, &request.get_ref().request)?;
    let wire::UpdateNodeRequest { node, target, reason, .. } = request.into_inner();
    let target = match target.map(wire::NodeTarget::try_from) {
        None => None,
        Some(Ok(wire::NodeTarget::Drain)) => Some(NodeTarget::Drain),
        Some(Ok(wire::NodeTarget::Undrain)) => Some(NodeTarget::Undrain),
        Some(Ok(wire::NodeTarget::Down)) => Some(NodeTarget::Down),
        Some(Ok(wire::NodeTarget::Resume)) => Some(NodeTarget::Resume),
        Some(Ok(wire::NodeTarget::Idle)) => Some(NodeTarget::Idle),
        Some(Ok(wire::NodeTarget::Unspecified) | Err(_)) => {
            return Err(refused(&Refusal::NodeState));
        }
    };
    if reason.as_ref().is_some_and(|reason| reason.len() > MAX_REASON) {
        return Err(refused(&Refusal::ScriptTooLarge));
    }
    let changes = NodeChanges { target, reason };
    carry_out(shared, Command::UpdateNode { by, node: NodeName::from(node), changes }).await
}

/// Makes a token. Asked twice, it makes two, of which one is never used and expires: the text of
/// the first went with the lost answer, and is kept nowhere.
pub(super) async fn issue_token(
    shared: &Shared,
    request: Request<wire::IssueTokenRequest>,
) -> Result<wire::IssueTokenReply, Status> {
    let (user, _) = user(&request)?;
    let wire::IssueTokenRequest { controller, name, lifetime_s, .. } = request.into_inner();
    let lifetime = Duration::from_secs(lifetime_s);
    if lifetime.is_zero() || lifetime > LONGEST_TOKEN {
        let days = LONGEST_TOKEN.as_secs() / (24 * 3600);
        let text = format!("a token is good for 1 second to {days} days");
        return Err(Status::invalid_argument(text));
    }
    if controller && let Some(view) = shared.head() {
        let known = view.state.controllers.contains_key(&ControllerName::from(name.as_str()));
        if known {
            return Err(refused(&Refusal::ControllerKnown(name)));
        }
    }
    let (join, role) = match controller {
        true => (JoinRole::Controller, TokenRole::Controller),
        false => (JoinRole::Node, TokenRole::Node),
    };
    let token = Token::issue(
        join,
        &name,
        SystemTime::now() + lifetime,
        shared.authorities.signing().anchor(),
    );
    let token = token.map_err(|error| Status::invalid_argument(error.to_string()))?;
    let since = token.expires().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let command = Command::IssueToken {
        by: fresh(user),
        secret: ContentHash(token.digest().0),
        role,
        name,
        expires: Timestamp::from_seconds(since.as_secs()),
    };
    shared.proposer.submit(command).await.map_err(rejected)?;
    Ok(wire::IssueTokenReply { token: token.text().reveal().to_owned() })
}

/// The leader reads its file again: what is in it becomes everybody's configuration.
pub(super) async fn reconfigure(
    shared: &Shared,
    request: Request<wire::ReconfigureRequest>,
) -> Result<wire::Done, Status> {
    operator(shared, &request)?;
    let read = Arc::clone(&shared.read_config);
    let read = tokio::task::spawn_blocking(move || read()).await;
    let read = read.map_err(|error| Status::internal(error.to_string()))?;
    let config = read.map_err(|text| refused(&Refusal::Config(text)))?;
    carry_out(shared, Command::SetConfig { config: Arc::new(config) }).await
}

/// Whether the caller may change the cluster, by what the leader is about to commit.
pub(super) fn operator<T>(shared: &Shared, request: &Request<T>) -> Result<UserId, Status> {
    let (user, _) = user(request)?;
    let Some(view) = shared.head() else {
        return Err(not_leader(shared.log.leadership().borrow().leader.as_deref()));
    };
    operator_in(&view.state, user)?;
    Ok(user)
}
