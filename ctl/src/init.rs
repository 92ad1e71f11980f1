//! `rafterctld --init`: a new cluster, of which this controller is the first.
//!
//! Makes the authority with a random cluster id, this controller's certificate, and the file by
//! which commands on this host find the cluster. The log itself is made at the first start, which
//! also reads the configuration.

use std::{fs, path::Path, time::SystemTime};

use common::id::{ClusterId, UserId};
use nix::unistd::{User, geteuid};
use trust::{
    authority::Authority, controllers::Address, credential::Credential, site::Site, store::Pass,
};

use ctl::{
    daemon::sign_own,
    home::{Home, Standing},
};

use crate::options::Settings;

/// The first controller's number in Raft.
const FIRST: u64 = 1;

/// Makes the cluster, and returns its id.
///
/// # Errors
/// Where there is one already, or something can't be written.
pub(crate) fn init(settings: &Settings, operator: Option<u32>) -> anyhow::Result<ClusterId> {
    let home = Home::take(&settings.state_dir, &settings.name)?;
    let dir = settings.state_dir.display();
    if let Some(standing) = home.standing()? {
        anyhow::bail!("{dir} holds controller {} of a cluster already", standing.name);
    }
    if home.store().exists() || home.authority().exists() {
        anyhow::bail!("{dir} holds a part of a cluster already, but no identity: move it away");
    }
    let now = SystemTime::now();
    let authority = Authority::generate(now)?;
    let cluster = ClusterId(authority.cluster().0);
    let credential = sign_own(&authority, &settings.name, now, settings.lifetime())?;
    let standing = Standing {
        cluster,
        name: settings.name.clone(),
        raft_id: FIRST,
        operator: Some(operator.map_or_else(|| likely_operator(settings), UserId)),
        stored: false,
    };
    settle(settings, &home, &authority, credential, vec![own_address(settings)], &standing)?;
    Ok(cluster)
}

/// Writes down what a controller has beside its store, and tells the commands on this host.
pub(crate) fn settle(
    settings: &Settings,
    home: &Home,
    authority: &Authority,
    credential: Credential,
    known: Vec<Address>,
    standing: &Standing,
) -> anyhow::Result<()> {
    authority.save(&home.authority())?;
    write_site(settings, home, standing.cluster, &known)?;
    keep_pass(home, credential, known)?;
    // Last: where it is, everything is.
    home.set_standing(standing)?;
    Ok(())
}

/// `SlurmUser` where there is such a user, else whoever runs this. Root needs no naming.
fn likely_operator(settings: &Settings) -> UserId {
    let name = settings.config.slurm_user.as_str();
    let user = name.parse().ok().or_else(|| {
        let user = User::from_name(name).ok().flatten();
        user.map(|user| user.uid.as_raw())
    });
    match user {
        Some(uid) if uid != 0 => UserId(uid),
        Some(_) => UserId(geteuid().as_raw()),
        None => {
            tracing::warn!(name, "there is no such user as SlurmUser names");
            UserId(geteuid().as_raw())
        }
    }
}

/// Where this controller is reached.
pub(crate) fn own_address(settings: &Settings) -> Address {
    Address { name: settings.name.clone(), address: settings.address.clone() }
}

pub(crate) fn keep_pass(
    home: &Home,
    credential: Credential,
    controllers: Vec<Address>,
) -> anyhow::Result<()> {
    Ok(Pass { credential, controllers }.write(&home.pass())?)
}

/// Tells the commands on this host where the cluster is: `known` controllers, and those of the
/// configuration, which may join later.
fn write_site(
    settings: &Settings,
    home: &Home,
    cluster: ClusterId,
    known: &[Address],
) -> anyhow::Result<()> {
    let mut controllers = vec![own_address(settings)];
    let configured = settings.config.controllers.iter().map(|conf| Address {
        name: conf.name.clone(),
        address: format!("{}:{}", conf.address, conf.port),
    });
    for address in known.iter().cloned().chain(configured) {
        if controllers.iter().all(|listed| listed.name != address.name) {
            controllers.push(address);
        }
    }
    let folder: &Path = &settings.site_dir;
    fs::create_dir_all(folder)?;
    // A node daemon on this host may have said where its socket is.
    let socket = Site::read(folder).ok().and_then(|site| site.socket);
    let site = Site {
        cluster: settings.config.cluster_name.clone(),
        id: trust::identity::ClusterId(cluster.0),
        controllers,
        socket,
        authority: Some(home.authority()),
        message_timeout: std::time::Duration::from_secs(u64::from(settings.config.message_timeout)),
    };
    Ok(site.write(folder)?)
}
