//! Another authority takes the place of the cluster's.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use common::{
    machine::{Command, State},
    time::{Span, Timestamp},
};
use proto::ctl::{self as wire, controller_client::ControllerClient};
use tokio::time::timeout;
use tonic::{Request, Status};
use trust::{
    authority::{Anchor, Authority},
    connect::{Life, channel},
    gate::caller,
    secret::Secret,
};

use super::{
    admin::operator,
    status::{by, rejected},
};
use crate::shared::Shared;

/// How long each controller may take to keep a key.
const KEEP: Duration = Duration::from_secs(5);

/// When the next step is due, where there is one.
pub(crate) fn due(state: &State) -> Option<Timestamp> {
    let known = state.authorities.as_ref()?;
    known.next()?;
    let lifetime = Span::from_seconds(Shared::lifetime(state).as_secs());
    Some(known.since + lifetime)
}

pub(super) async fn roll(
    shared: &Shared,
    request: Request<wire::RollAuthorityRequest>,
) -> Result<wire::RollAuthorityReply, Status> {
    operator(shared, &request)?;
    let state = shared.log.applied().state.clone();
    let in_progress = due(&state).is_some();
    match request.get_ref().step() {
        wire::AuthorityStep::Unspecified | wire::AuthorityStep::Show => {}
        wire::AuthorityStep::Begin if in_progress => {}
        wire::AuthorityStep::Begin => begin(shared, &state, &request).await?,
        wire::AuthorityStep::Next => {
            if let Some(known) = state.authorities.as_ref().filter(|_| in_progress) {
                let step = Command::StepAuthorities { since: known.since };
                shared.proposer.submit(step).await.map_err(rejected)?;
            }
        }
    }
    Ok(shown(shared, &shared.log.applied().state))
}

/// The key goes to every controller before the log speaks of it: one that lacked it could not sign
/// when its time has come.
async fn begin(
    shared: &Shared,
    state: &State,
    request: &Request<wire::RollAuthorityRequest>,
) -> Result<(), Status> {
    let by = by(request, &request.get_ref().request)?;
    let signing = shared.authorities.signing();
    let coming = Authority::generate_for(signing.cluster(), SystemTime::now());
    let coming = coming.map_err(|error| Status::internal(error.to_string()))?;
    let kept = shared.authorities.keep(&coming);
    kept.map_err(|error| Status::internal(error.to_string()))?;
    for (name, controller) in &state.controllers {
        if controller.raft_id == shared.identity.raft_id {
            continue;
        }
        let given = timeout(KEEP, give(shared, name.as_str(), &controller.address, &coming)).await;
        let given = given.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        given.map_err(|reason| {
            Status::failed_precondition(format!(
                "controller {name} did not take the key: {reason}. All controllers must be there: \
                 bring it back, or remove it first"
            ))
        })?;
    }
    let der = |authority: &Authority| Bytes::copy_from_slice(authority.anchor().der());
    let bring = Command::BringAuthority { by, signing: der(&signing), coming: der(&coming) };
    shared.proposer.submit(bring).await.map(drop).map_err(rejected)
}

async fn give(
    shared: &Shared,
    name: &str,
    address: &str,
    coming: &Authority,
) -> Result<(), String> {
    let config = shared.keyring.client(Some(name)).map_err(|error| error.to_string())?;
    let channel = channel(address, Arc::new(config), Life::Command);
    let channel = channel.map_err(|error| error.to_string())?;
    let request = wire::TakeAuthorityRequest {
        certificate: coming.anchor().pem(),
        key: coming.key_pem().reveal().to_owned(),
    };
    let taken = ControllerClient::new(channel).take_authority(request).await;
    taken.map(drop).map_err(|status| status.message().to_owned())
}

/// Keeps the key of an authority that is to come. Only whoever leads may bring one.
pub(super) fn take(
    shared: &Shared,
    request: Request<wire::TakeAuthorityRequest>,
) -> Result<wire::Done, Status> {
    let from = caller(&request)?.controller().map(str::to_owned);
    if from.is_none() || from != shared.log.leadership().borrow().leader {
        return Err(Status::permission_denied("only the leader brings an authority"));
    }
    let wire::TakeAuthorityRequest { certificate, key } = request.into_inner();
    let coming = Authority::from_pem(&certificate, &Secret::new(key));
    let coming = coming.map_err(|error| Status::invalid_argument(error.to_string()))?;
    if coming.cluster() != shared.authorities.signing().cluster() {
        return Err(Status::invalid_argument("the authority is another cluster's"));
    }
    let kept = shared.authorities.keep(&coming);
    kept.map_err(|error| Status::internal(error.to_string()))?;
    Ok(wire::Done {})
}

fn shown(shared: &Shared, state: &State) -> wire::RollAuthorityReply {
    let print = |anchor: &Anchor| Bytes::copy_from_slice(&anchor.pin());
    let of = |der: &Bytes| Anchor::from_bytes(der).ok().map(|anchor| print(&anchor));
    let known = state.authorities.as_ref();
    let own = || print(shared.authorities.signing().anchor());
    wire::RollAuthorityReply {
        signing: known.and_then(|known| of(&known.signing)).unwrap_or_else(own),
        coming: known.and_then(|known| of(known.coming.as_ref()?)),
        going: known.and_then(|known| of(known.going.as_ref()?)),
        due: due(state).map(|due| due.0),
    }
}
