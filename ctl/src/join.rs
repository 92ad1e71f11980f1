//! `rafterctld --join`: a further controller becomes a member, from a token and nothing else.

use std::{sync::Arc, time::Duration};

use common::{id::ClusterId, machine::FORMAT};
use proto::node::{JoinReply, JoinRequest, join_client::JoinClient};
use trust::{
    authority::{Anchor, Authority},
    controllers::{Address, Call, Controllers, Target},
    credential::KeyRequest,
    secret::Secret,
    token::{JoinRole, Token},
};

use ctl::home::{Home, Standing};

use crate::{init::settle, options::Settings};

/// How long it looks for a leader that takes it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Joins, and keeps all that makes this a controller. The store is made at the start that follows.
///
/// # Errors
/// Where the token is no good, no controller answers, or this is a controller already.
pub(crate) async fn join(
    settings: &Settings,
    home: &Home,
    token: &str,
    controllers: &[String],
) -> anyhow::Result<()> {
    let dir = settings.state_dir.display();
    if let Some(Standing { name, cluster, .. }) = home.standing()? {
        anyhow::bail!(
            "{dir} holds controller {name} of cluster {cluster}: it has joined already, and starts \
             without --join"
        );
    }
    if home.store().exists() {
        anyhow::bail!("{dir} holds a store, but no identity: move it away");
    }
    let token: Token = token.parse()?;
    if token.role() != JoinRole::Controller {
        anyhow::bail!("the token is for a node, not for a controller");
    }
    if token.name() != settings.name {
        anyhow::bail!(
            "the token is for controller {}, and this is {}",
            token.name(),
            settings.name
        );
    }
    let request = KeyRequest::generate()?;
    let reply = ask(settings, &token, request.signing_request()?, controllers).await?;
    let anchor = Anchor::from_pem(&reply.authority)?;
    if !token.names(&anchor) {
        anyhow::bail!("the authority that was sent is not the token's");
    }
    let authority = Authority::from_pem(&reply.authority, &Secret::new(reply.authority_key))?;
    let credential = request.certified(&reply.certificate, anchor)?;
    let cluster = ClusterId(authority.cluster().0);
    let known: Vec<Address> = reply
        .controllers
        .into_iter()
        .map(|known| Address { name: known.name, address: known.address })
        .collect();
    let standing = Standing {
        cluster,
        name: settings.name.clone(),
        raft_id: reply.raft_id,
        operator: None,
        stored: false,
    };
    settle(settings, home, &authority, credential, known, &standing)?;
    tracing::info!(%cluster, name = settings.name, "this controller has joined");
    Ok(())
}

async fn ask(
    settings: &Settings,
    token: &Token,
    signing_request: String,
    controllers: &[String],
) -> anyhow::Result<JoinReply> {
    let address = |(at, address): (usize, &String)| Address {
        // Whoever has the token need not know their names.
        name: format!("controller-{}", at + 1),
        address: address.clone(),
    };
    let addresses = controllers.iter().enumerate().map(address).collect();
    let peers = Controllers::joining(addresses, token.pin());
    let message = JoinRequest {
        token: token.text().reveal().to_owned(),
        signing_request,
        address: settings.address.clone(),
        format: FORMAT,
    };
    let message = Arc::new(message);
    let mut waiting = |failure: &trust::controllers::Failure| {
        tracing::info!(%failure, "waiting for a leader");
    };
    let mut call = Call::within(Target::Leader, PATIENCE);
    call.waiting = Some(&mut waiting);
    let reply =
        peers
            .call(call, |channel| {
                let message = JoinRequest::clone(&message);
                async move {
                    JoinClient::new(channel).join(message).await.map(tonic::Response::into_inner)
                }
            })
            .await?;
    Ok(reply)
}
