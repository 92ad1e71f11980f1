//! A certificate for the caller, as commands get theirs.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use nix::unistd::{User, geteuid};
use trust::{
    authority::{Authority, Validity},
    credential::USER_LIFETIME,
    identity::{Identity, Subject},
    site::Site,
    store::Pass,
    vouch,
};

/// Obtains one: from the authority where the caller may read its key, else from `rafterd`.
///
/// # Errors
/// Where neither is there.
pub fn obtain(site: &Site) -> Result<Pass> {
    let me = geteuid();
    if let Some(folder) = &site.authority
        && let Ok(authority) = Authority::load(folder)
    {
        let name = User::from_uid(me)?.context("the caller has no name")?.name;
        let identity = Identity::checked(site.id, Subject::User { uid: me.as_raw(), name })?;
        let validity = Validity::from_now(SystemTime::now(), USER_LIFETIME);
        let credential = authority.issue(&identity, validity, &[])?;
        return Ok(Pass { credential, controllers: site.controllers.clone() });
    }
    let socket = site.socket.as_ref().context("client.conf names no socket of rafterd")?;
    Ok(vouch::obtain(socket, site.id, Duration::from_secs(10))?)
}
