//! The cluster's authorities, as this controller holds them: the one that signs, one that is to
//! take its place, and one whose place was taken.
//!
//! | in `authority/` | what |
//! |---|---|
//! | `authority.crt`, `authority.key` | the one that signs |
//! | `coming/` | the one that is to come, with its key |
//! | `going.crt` | the certificate of the one whose place was taken, and no key |
//!
//! Which is which, the log says, and each controller follows it. The keys go from the leader to the
//! others before the log speaks of them; they are never in it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use arc_swap::ArcSwap;
use common::machine::{Authorities as Known, State};
use raft_store::Applied;
use trust::{
    authority::{Anchor, Authority, AuthorityError, COMING, GOING_FILE},
    file,
};

use crate::{daemon::sign_own, shared::Shared};

/// The authorities that this controller holds.
#[derive(Debug)]
pub struct Authorities {
    /// None: they are kept nowhere.
    folder: Option<PathBuf>,
    signing: ArcSwap<Authority>,
    others: ArcSwap<Vec<Anchor>>,
}

impl Authorities {
    /// Reads those that `folder` holds.
    ///
    /// # Errors
    /// Where the one that signs can't be read.
    pub fn load(folder: &Path) -> Result<Self, AuthorityError> {
        let signing = match Authority::load(folder) {
            // The key was replaced, and the certificate was not yet.
            Err(AuthorityError::Mismatch) => {
                let coming = Authority::load(&folder.join(COMING))?;
                coming.save(folder)?;
                coming
            }
            loaded => loaded?,
        };
        let others = Authority::others(folder);
        Ok(Self {
            folder: Some(folder.to_owned()),
            signing: ArcSwap::from_pointee(signing),
            others: ArcSwap::from_pointee(others),
        })
    }

    /// One alone, that is kept nowhere.
    #[must_use]
    pub fn alone(signing: Authority) -> Self {
        let signing = ArcSwap::from_pointee(signing);
        Self { folder: None, signing, others: ArcSwap::default() }
    }

    /// The one that signs.
    #[must_use]
    pub fn signing(&self) -> Arc<Authority> {
        self.signing.load_full()
    }

    /// The others whose signatures count.
    #[must_use]
    pub fn others(&self) -> Vec<Anchor> {
        self.others.load().as_ref().clone()
    }

    /// All whose signatures count, the one that signs first.
    pub(crate) fn trusted(&self) -> Vec<Anchor> {
        let own = self.signing().anchor().clone();
        let others = self.others().into_iter().filter(|other| *other != own);
        [own.clone()].into_iter().chain(others).collect()
    }

    /// The same, as members are told of them.
    pub(crate) fn pem(&self) -> String {
        self.trusted().iter().map(Anchor::pem).collect()
    }

    /// Keeps one that is to come, durably.
    pub(crate) fn keep(&self, coming: &Authority) -> Result<(), AuthorityError> {
        match &self.folder {
            Some(folder) => coming.save(&folder.join(COMING)),
            None => Ok(()),
        }
    }

    /// Becomes what the log says.
    fn follow(&self, known: &Known) -> Result<(), String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let old = self.signing().anchor().clone();
        if old.der().as_ref() != known.signing.as_ref() {
            let lacking = "this controller lacks the key of the authority that signs: remove it \
                           from the cluster, and add it anew";
            let folder = self.folder.as_ref().ok_or(lacking)?;
            let coming = Authority::load(&folder.join(COMING)).map_err(|_| lacking)?;
            if coming.anchor().der().as_ref() != known.signing.as_ref() {
                return Err(lacking.to_owned());
            }
            let going = folder.join(GOING_FILE);
            file::write(&going, &old.pem(), file::PUBLIC).map_err(|error| text(&error))?;
            coming.save(folder).map_err(|error| text(&error))?;
            self.signing.store(Arc::new(coming));
        }
        let others = known.coming.iter().chain(&known.going);
        let others = others.map(|der| Anchor::from_bytes(der)).collect::<Result<Vec<_>, _>>();
        self.others.store(Arc::new(others.map_err(|error| text(&error))?));
        self.clean(known).map_err(|error| text(&error))
    }

    /// Removes what the log names no more.
    fn clean(&self, known: &Known) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let missing = |outcome: io::Result<()>| match outcome {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        };
        if known.coming.is_none() {
            missing(fs::remove_dir_all(folder.join(COMING)))?;
        }
        if known.going.is_none() {
            missing(fs::remove_file(folder.join(GOING_FILE)))?;
        }
        Ok(())
    }
}

/// Follows what the log says of the authorities, and has a certificate of the one that signs.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut applied = shared.log.watch();
    let mut followed = None;
    loop {
        let differs = |applied: &Arc<Applied>| {
            applied.state.authorities.is_some() && applied.state.authorities != followed
        };
        let Ok(state) = applied.wait_for(differs).await.map(|applied| applied.state.clone()) else {
            return;
        };
        followed.clone_from(&state.authorities);
        let Some(known) = followed.clone() else { continue };
        let holder = Arc::clone(&shared);
        let become_it = move || {
            holder.authorities.follow(&known)?;
            present(&holder, &state)
        };
        match tokio::task::spawn_blocking(become_it).await {
            Ok(Ok(())) => tracing::info!("this controller follows the cluster's authorities"),
            Ok(Err(reason)) => tracing::error!(reason, "can't follow the cluster's authorities"),
            Err(error) => tracing::error!(%error, "can't follow the cluster's authorities"),
        }
    }
}

/// Has a certificate of the authority that signs, and trusts all that count.
pub(crate) fn present(shared: &Shared, state: &State) -> Result<(), String> {
    let trusted = shared.authorities.trusted();
    // First whom it trusts, and then whose certificate it shows.
    let known = shared.keyring.credential().as_ref().clone().trusting(trusted.clone());
    shared.keyring.rotate(known).map_err(|error| error.to_string())?;
    let lifetime = Shared::lifetime(state);
    let (authority, name) = (shared.authorities.signing(), &shared.identity.name);
    let fresh = sign_own(&authority, name, SystemTime::now(), lifetime);
    let fresh = fresh.map_err(|error| error.to_string())?.trusting(trusted);
    shared.keyring.rotate(fresh).map_err(|error| error.to_string())
}
