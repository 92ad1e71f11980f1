//! How a controller starts: from its directory to a running [`Controller`].

use std::{path::Path, sync::Arc, time::Duration, time::SystemTime};

use anyhow::Context as _;
use raft_store::{Identity, Log, Options, StoreError};
use tokio::net::TcpListener;
use trust::{controllers::Address, store::Pass, tls::Keyring};

use ctl::{
    authorities::Authorities,
    conf,
    daemon::{Controller, Parts, sign_own},
    home::{Home, Standing},
};

use crate::{
    init::{keep_pass, own_address},
    options::Settings,
    site,
};

/// A running controller with its directory, which stays locked as long as it runs.
pub(crate) struct Started {
    pub(crate) controller: Controller,
    pub(crate) home: Home,
}

/// Starts the controller that the directory holds.
///
/// # Errors
/// Where it holds none, or something of it is damaged or missing.
pub(crate) async fn start(settings: &Settings, home: Home) -> anyhow::Result<Started> {
    let dir = settings.state_dir.display();
    let standing = home.standing()?.with_context(|| {
        format!(
            "{dir} holds no controller: make a new cluster with rafterctld --init (or rafter \
             init), or join one with rafterctld --join TOKEN --controller HOST:PORT"
        )
    })?;
    if standing.name != settings.name {
        anyhow::bail!("{dir} holds controller {}, and this is {}", standing.name, settings.name);
    }
    let authorities = Authorities::load(&home.authority())?;
    if authorities.signing().cluster().0 != standing.cluster.0 {
        anyhow::bail!("the authority in {dir} is not the cluster's");
    }
    let identity = Identity {
        cluster: standing.cluster,
        raft_id: standing.raft_id,
        name: standing.name.clone(),
        address: settings.address.clone(),
    };
    make_store(&home, &standing, &identity)?;
    let keyring = Arc::new(keyring(settings, &home, &authorities)?);
    // The port first: a second controller at it is noticed before anything is opened.
    let listener = TcpListener::bind(&settings.bind).await;
    let listener = listener.with_context(|| format!("can't listen on {}", settings.bind))?;
    let log = Log::open(options(settings, &home.store(), &identity), Arc::clone(&keyring)).await?;
    if standing.operator.is_some() && log.members().is_empty() {
        log.form().await?;
    }
    tokio::spawn(site::follow(settings.site_dir.clone(), standing.cluster, log.watch()));
    let controller = Controller::start(Parts {
        identity,
        operator: standing.operator,
        authorities,
        keyring,
        log,
        listener,
        read_config: conf::reader(&settings.conf),
    })?;
    tracing::info!(address = settings.address, name = settings.name, "the controller serves");
    Ok(Started { controller, home })
}

/// Makes the store at the first start. At any later one, a store that is missing was lost, and
/// what it had acknowledged with it: such a controller must not come back under its number.
fn make_store(home: &Home, standing: &Standing, identity: &Identity) -> anyhow::Result<()> {
    if standing.stored {
        return Ok(());
    }
    match Log::create(&home.store(), identity) {
        // An earlier start made it, and came no further.
        Ok(()) | Err(StoreError::Exists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(home.set_standing(&Standing { stored: true, ..standing.clone() })?)
}

/// This controller's certificate: the one that it has, or a fresh one where that is getting old.
fn keyring(settings: &Settings, home: &Home, authorities: &Authorities) -> anyhow::Result<Keyring> {
    let authority = authorities.signing();
    let now = SystemTime::now();
    let kept = Pass::read(&home.pass()).ok().filter(|pass| {
        let credential = &pass.credential;
        !credential.is_due(now) && credential.anchor() == authority.anchor()
    });
    if let Some(pass) = kept {
        return Ok(Keyring::new(pass.credential.trusting(authorities.others()))?);
    }
    let credential = sign_own(&authority, &settings.name, now, settings.lifetime())?;
    let known: Vec<Address> = vec![own_address(settings)];
    keep_pass(home, credential.clone(), known)?;
    Ok(Keyring::new(credential.trusting(authorities.others()))?)
}

fn options(settings: &Settings, store: &Path, identity: &Identity) -> Options {
    let config = &settings.config;
    let millis = |ms: u32| Duration::from_millis(u64::from(ms));
    let (least, most) = config.election_timeout_ms;
    Options {
        heartbeat: millis(config.heartbeat_ms),
        election_timeout: (millis(least), millis(most)),
        snapshot_every: u64::from(config.snapshot_every),
        keep_behind_snapshot: u64::from(config.log_keep),
        ..Options::new(store.to_owned(), identity.clone())
    }
}
