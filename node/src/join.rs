//! How the host becomes a node, and stays one: with a token, and then with its certificate.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use proto::node::{
    ControllerAddress, JoinReply, JoinRequest, RenewRequest, join_client::JoinClient,
    node_client::NodeClient,
};
use tonic::transport::Channel;
use trust::{
    authority::{Anchor, AuthorityError},
    controllers::{Address, Call, CallError, Controllers, Target},
    credential::{CredentialError, KeyRequest},
    identity::Subject,
    site::{MESSAGE_TIMEOUT, SITE_FILE, Site, SiteError},
    store::{Pass, PassError},
    tls::{Keyring, TlsError},
    token::{JoinRole, Token},
};

/// How long joining may take: somebody waits for it.
const JOIN_LIMIT: Duration = Duration::from_secs(60);

/// How long one attempt at a renewal may take, and the pause after one in vain. A certificate has
/// half of its life left when the first is made.
const RENEW_LIMIT: Duration = Duration::from_secs(30);
const RENEW_PAUSE: Duration = Duration::from_secs(300);

/// Why a host has no pass.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error("the token is for a controller: see rafterctld --join")]
    Role,
    #[error("the token is for node {token}, and --name says {name}")]
    OtherName { token: String, name: String },
    #[error("the token has expired")]
    Expired,
    #[error(
        "the certificate does not count at this moment: a clock is wrong, the leader's or this host's"
    )]
    OtherTime,
    #[error("no controller is known: give --controller HOST:PORT")]
    NoController,
    #[error(
        "{} belongs to node {name} of this cluster already: start rafterd without --join",
        spool.display()
    )]
    Joined { spool: PathBuf, name: String },
    #[error("{} belongs to a node of another cluster: give another spool", spool.display())]
    OtherCluster { spool: PathBuf },
    #[error("the certificate of {found} in {} is not that of node {name}", spool.display())]
    OtherSubject { spool: PathBuf, found: Subject, name: String },
    #[error(
        "{} holds no certificate: join with rafterd --join TOKEN (see rafter node token)",
        spool.display()
    )]
    NotJoined { spool: PathBuf },
    #[error("no controller let the node join")]
    Call(#[from] CallError),
    #[error("the answer is of another authority than the token's")]
    OtherAuthority,
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Pass(#[from] PassError),
    #[error("can't write {SITE_FILE}")]
    Site(#[from] SiteError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What joining told.
#[derive(Debug)]
pub struct Joined {
    pub pass: Pass,
    /// The cluster's name.
    pub cluster: String,
}

/// Obtains a certificate with a token and keeps it in `file`.
///
/// Safe to repeat: a token is spent once, but where an earlier attempt kept its certificate, the
/// node has joined.
///
/// # Errors
/// Where the token is not for this node, no controller takes it, or the answer is not from the
/// cluster that the token names.
pub async fn join(
    token: &Token,
    name: Option<&str>,
    addresses: &[String],
    file: &Path,
) -> Result<Joined, JoinError> {
    check(token, name, file)?;
    if token.is_expired(SystemTime::now()) {
        return Err(JoinError::Expired);
    }
    if addresses.is_empty() {
        return Err(JoinError::NoController);
    }
    let named = |address: &String| Address { name: address.clone(), address: address.clone() };
    let controllers = Controllers::joining(addresses.iter().map(named).collect(), token.pin());
    let key = KeyRequest::generate()?;
    let request = JoinRequest {
        token: token.text().reveal().to_owned(),
        signing_request: key.signing_request()?,
        address: String::new(),
        format: 0,
    };
    let call = Call::within(Target::Leader, JOIN_LIMIT);
    let reply = controllers.call(call, |channel| ask_to_join(channel, request.clone())).await?;
    let anchors = Anchor::list(&reply.authority)?;
    if anchors.iter().all(|anchor| !token.names(anchor)) {
        return Err(JoinError::OtherAuthority);
    }
    let credential = key.certified_among(&reply.certificate, anchors)?;
    let pass = Pass { credential, controllers: addresses_of(reply.controllers) };
    pass.write(file)?;
    Ok(Joined { pass, cluster: reply.cluster })
}

async fn ask_to_join(channel: Channel, request: JoinRequest) -> Result<JoinReply, tonic::Status> {
    Ok(JoinClient::new(channel).join(request).await?.into_inner())
}

/// Whether the token is for this node, and the node has need of it.
fn check(token: &Token, name: Option<&str>, file: &Path) -> Result<(), JoinError> {
    if token.role() != JoinRole::Node {
        return Err(JoinError::Role);
    }
    if let Some(name) = name.filter(|name| *name != token.name()) {
        let (token, name) = (token.name().to_owned(), name.to_owned());
        return Err(JoinError::OtherName { token, name });
    }
    let spool = file.parent().unwrap_or(file).to_owned();
    match Pass::read(file) {
        Err(error) if error.is_missing() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(pass) if pass.credential.trusted().iter().all(|anchor| !token.names(anchor)) => {
            Err(JoinError::OtherCluster { spool })
        }
        Ok(_) => Err(JoinError::Joined { spool, name: token.name().to_owned() }),
    }
}

/// The pass that an earlier join kept, and the node's name.
///
/// # Errors
/// Where there is none, or it is not that of node `name`.
pub fn recall(file: &Path, name: Option<&str>) -> Result<(Pass, String), JoinError> {
    let spool = || file.parent().unwrap_or(file).to_owned();
    let pass = match Pass::read(file) {
        Err(error) if error.is_missing() => return Err(JoinError::NotJoined { spool: spool() }),
        read => read?,
    };
    let subject = pass.credential.identity().subject.clone();
    match subject {
        Subject::Node { name: own } if name.is_none_or(|name| name == own) => Ok((pass, own)),
        found @ (Subject::Node { .. } | Subject::Controller { .. } | Subject::User { .. }) => {
            let name = name.unwrap_or("this host").to_owned();
            Err(JoinError::OtherSubject { spool: spool(), found, name })
        }
    }
}

/// Controllers' addresses from the wire.
#[must_use]
pub fn addresses_of(controllers: Vec<ControllerAddress>) -> Vec<Address> {
    let address = |c: ControllerAddress| Address { name: c.name, address: c.address };
    controllers.into_iter().map(address).collect()
}

/// Tells this host's commands where the cluster is. What else the file says, as on a host that is
/// a controller, too, stays.
///
/// # Errors
/// Where the file can't be written, or holds something that is not understood.
pub fn write_site(
    folder: &Path,
    pass: &Pass,
    cluster: &str,
    socket: &Path,
    message_timeout: Option<Duration>,
) -> Result<(), SiteError> {
    let id = pass.credential.identity().cluster;
    let known = match Site::read(folder) {
        Ok(site) if site.id == id => Some(site),
        Ok(_) => None,
        Err(SiteError::File(error)) if error.is_missing() => None,
        Err(error) => return Err(error),
    };
    let timeout = known.as_ref().map_or(MESSAGE_TIMEOUT, |site| site.message_timeout);
    let site = Site {
        cluster: cluster.to_owned(),
        id,
        controllers: pass.controllers.clone(),
        socket: Some(socket.to_owned()),
        authority: known.as_ref().and_then(|site| site.authority.clone()),
        message_timeout: message_timeout.unwrap_or(timeout),
    };
    if known.as_ref() == Some(&site) { Ok(()) } else { site.write(folder) }
}

/// Renews the node's certificate for ever, each time that half of its life is over, and keeps it
/// in `file`.
pub async fn renew(keyring: Arc<Keyring>, controllers: Arc<Controllers>, file: PathBuf) {
    loop {
        let look = keyring.credential().look_again();
        tokio::time::sleep(look).await;
        if !keyring.credential().is_due(SystemTime::now()) {
            continue;
        }
        match renew_once(&keyring, &controllers, &file).await {
            Ok(()) => tracing::info!("renewed the node's certificate"),
            Err(error) => {
                let reason = crate::reason(&error);
                tracing::warn!(reason, "can't renew the node's certificate");
                tokio::time::sleep(RENEW_PAUSE.min(4 * look)).await;
            }
        }
    }
}

/// Obtains another certificate for the same node.
///
/// # Errors
/// Where no controller gives one, or it can't be kept.
pub async fn renew_once(
    keyring: &Keyring,
    controllers: &Controllers,
    file: &Path,
) -> Result<(), JoinError> {
    let key = KeyRequest::generate()?;
    let address = String::new();
    let request = RenewRequest { signing_request: key.signing_request()?, address };
    let call = Call::within(Target::Leader, RENEW_LIMIT);
    let renewed = controllers.call(call, |channel| {
        let request = request.clone();
        async move { Ok(NodeClient::new(channel).renew(request).await?.into_inner()) }
    });
    let renewed = renewed.await?;
    let anchors = match renewed.authority.as_str() {
        // An older release names none.
        "" => keyring.credential().trusted(),
        authorities => Anchor::list(authorities)?,
    };
    // Whom it is to trust comes before whose certificate it shows.
    let own = keyring.credential();
    keyring.rotate(own.as_ref().clone().trusting([own.trusted(), anchors.clone()].concat()))?;
    let credential = key.certified_among(&renewed.certificate, anchors)?;
    if credential.is_due(SystemTime::now()) {
        // It would shut the node out for as long as that clock is ahead.
        return Err(JoinError::OtherTime);
    }
    let pass = Pass { credential, controllers: controllers.addresses() };
    pass.write(file)?;
    keyring.rotate(pass.credential)?;
    Ok(())
}
