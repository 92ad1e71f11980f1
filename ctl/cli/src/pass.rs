//! The pass with which a user's commands show who they are: found, kept, and renewed.
//!
//! It lies in a folder of the user's own, in `$XDG_RUNTIME_DIR` or else in `/tmp`, so that the key
//! stays on this host and goes with it. At half of its life the next command obtains another: from
//! the authority itself where the caller may read its key (on a controller), else from `rafterd`.

use std::{
    env,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nix::unistd::{Uid, User, geteuid};
use trust::{
    authority::{Authority, AuthorityError, Validity},
    credential::{IssueError, USER_LIFETIME},
    identity::{Identity, Subject, Unreadable},
    site::Site,
    store::Pass,
    vouch::{self, VouchError},
};

use crate::trouble::chain;

/// How long the host's daemon may take: it has to ask a controller.
const VOUCH_LIMIT: Duration = Duration::from_secs(10);

/// Why there is no pass.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPass {
    #[error(transparent)]
    Vouch(#[from] VouchError),
    #[error("the authority's key can't be used")]
    Authority(#[from] AuthorityError),
    #[error("the authority can't certify this user")]
    Issue(#[from] IssueError),
    #[error("this user can't have a certificate")]
    Name(#[from] Unreadable),
    #[error("client.conf names neither rafterd's socket nor the authority's folder")]
    Nobody,
}

/// Where a user's commands keep what they remember of one cluster.
pub(crate) struct Cache {
    folder: PathBuf,
    cluster: String,
}

impl Cache {
    pub(crate) fn of(site: &Site) -> Self {
        let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let me = geteuid();
        let folder = match runtime.filter(|folder| belongs_to(folder, me)) {
            Some(folder) => folder.join("rafter"),
            None => PathBuf::from(format!("/tmp/rafter-{me}")),
        };
        Self { folder, cluster: site.id.to_string() }
    }

    /// Where the name of the last leader is kept.
    pub(crate) fn leader(&self) -> PathBuf {
        self.folder.join(format!("{}.leader", self.cluster))
    }

    fn pass(&self) -> PathBuf {
        self.folder.join(format!("{}.pass", self.cluster))
    }
}

/// A variable that survived `su` names another user's folder.
fn belongs_to(folder: &Path, me: Uid) -> bool {
    let owner = |found: std::fs::Metadata| std::os::unix::fs::MetadataExt::uid(&found);
    folder.metadata().is_ok_and(|found| found.is_dir() && owner(found) == me.as_raw())
}

/// The caller's pass for the cluster: the one that was kept, or another.
pub(crate) fn obtain(site: &Site, cache: &Cache) -> Result<Pass, NoPass> {
    let now = SystemTime::now();
    let path = cache.pass();
    let kept = Pass::read(&path).ok().filter(|pass| is_ours(pass, site));
    if let Some(pass) = kept.as_ref().filter(|pass| !pass.credential.is_due(now)) {
        return Ok(pass.clone());
    }
    match another(site, cache) {
        Ok(pass) => Ok(pass),
        // The old one is good for half a life yet.
        Err(error) => match kept.filter(|pass| now < pass.credential.not_after()) {
            Some(pass) => {
                tracing::debug!(error = chain(&error), "can't renew the pass");
                Ok(pass)
            }
            None => Err(error),
        },
    }
}

/// A fresh pass, whatever was kept.
pub(crate) fn another(site: &Site, cache: &Cache) -> Result<Pass, NoPass> {
    let pass = fresh(site, SystemTime::now())?;
    if let Err(error) = pass.write(&cache.pass()) {
        tracing::debug!(error = chain(&error), "can't keep the pass");
    }
    Ok(pass)
}

fn is_ours(pass: &Pass, site: &Site) -> bool {
    let identity = pass.credential.identity();
    let me = geteuid().as_raw();
    let mine = matches!(&identity.subject, Subject::User { uid, .. } if *uid == me);
    mine && identity.cluster == site.id
}

fn fresh(site: &Site, now: SystemTime) -> Result<Pass, NoPass> {
    let Site { authority, socket, .. } = site;
    match (authority, socket) {
        (Some(folder), socket) => match signed(site, folder, now) {
            Err(NoPass::Authority(_)) if socket.is_some() => {
                let socket = socket.as_ref().expect("looked at just now");
                Ok(vouch::obtain(socket, site.id, VOUCH_LIMIT)?)
            }
            outcome => outcome,
        },
        (None, Some(socket)) => Ok(vouch::obtain(socket, site.id, VOUCH_LIMIT)?),
        (None, None) => Err(NoPass::Nobody),
    }
}

/// Who may read the authority's key may certify anybody, and so certifies himself.
fn signed(site: &Site, folder: &Path, now: SystemTime) -> Result<Pass, NoPass> {
    let authority = Authority::load(folder)?;
    let me = geteuid();
    let name = User::from_uid(me).ok().flatten().map_or_else(|| me.to_string(), |user| user.name);
    let subject = Subject::User { uid: me.as_raw(), name };
    let identity = Identity::checked(site.id, subject)?;
    let validity = Validity::from_now(now, USER_LIFETIME);
    let credential = authority.issue(&identity, validity, &[])?;
    let credential = credential.trusting(Authority::others(folder));
    Ok(Pass { credential, controllers: site.controllers.clone() })
}
