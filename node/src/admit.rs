//! From options to a daemon: the spool is taken, the cluster joined or recalled, and what the
//! daemon is made of put together.

use std::{io, path::PathBuf, sync::Arc};

use common::id::ClusterId;
use step::spool::{Spool, SpoolError, boot_id};
use tokio::sync::mpsc;
use trust::{
    connect::Life as Lifetime,
    controllers::Controllers,
    store::Pass,
    tls::{Keyring, TlsError},
};

use crate::{
    agent::Agent,
    binding::Machine,
    daemon::{Daemon, Parts, QUEUE, now},
    disk::{Disk, scan},
    inventory,
    join::{self, JoinError},
    launch::Ground,
    life::{Life, LifeError},
    options::Options,
    settings::{Settings, SettingsError},
    stream,
    supervisor::Supervision,
    vouch::{self, SocketError},
};

/// Why no daemon comes of the options.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Life(#[from] LifeError),
    #[error(transparent)]
    Join(#[from] JoinError),
    #[error("can't make {}", path.display())]
    Site { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// A host that has its spool for itself, and is a node of a cluster.
#[derive(Debug)]
pub struct Admitted {
    name: String,
    settings: Settings,
    life: Life,
    pass: Pass,
}

impl Admitted {
    /// Takes the spool, and the certificate from it; or joins the cluster with the token that the
    /// options have.
    ///
    /// # Errors
    /// Where the spool is another's, or no cluster takes the node.
    pub async fn new(options: &Options) -> Result<Self, AdmitError> {
        let settings = Settings::new(options)?;
        let life = Life::take(&settings.spool)?;
        let (file, name) = (life.pass(), settings.name.as_deref());
        let Some(token) = &options.join else {
            let (pass, name) = join::recall(&file, name)?;
            return Ok(Self { name, settings, life, pass });
        };
        let joined = join::join(token, name, &settings.controllers, &file).await?;
        std::fs::create_dir_all(&settings.site)
            .map_err(|source| AdmitError::Site { path: settings.site.clone(), source })?;
        let written =
            join::write_site(&settings.site, &joined.pass, &joined.cluster, &options.socket, None);
        written.map_err(JoinError::from)?;
        Ok(Self { name: token.name().to_owned(), settings, life, pass: joined.pass })
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The daemon, ready to run; what it does beside its loop has begun.
    ///
    /// # Errors
    /// Where the spool can't be read, or users can't be served.
    pub fn daemon(self, options: &Options, supervision: Supervision) -> Result<Daemon, AdmitError> {
        let Self { name, settings, life, pass: Pass { credential, mut controllers } } = self;
        let cluster = ClusterId(credential.identity().cluster.0);
        let boot = boot_id()?;
        let incarnation = life.incarnation(&boot)?;
        let spool = Spool::open(life.root())?;
        let found = scan(&spool)?;
        let (root, runs) = (life.root().display(), found.len());
        tracing::info!(name, %cluster, spool = %root, runs, "starting");
        let (agent, acts) = Agent::new(life.term(cluster)?, found);
        // What the leader said last counts. The file helps where all of those have been replaced.
        let known = controllers.clone();
        let more = settings.configured.into_iter();
        controllers.extend(more.filter(|it| known.iter().all(|one| one.name != it.name)));
        let keyring = Arc::new(Keyring::new(credential)?);
        let controllers =
            Arc::new(Controllers::new(controllers, Arc::clone(&keyring), Lifetime::Daemon, None));
        let listener = vouch::listen(&options.socket)?;
        let inputs = mpsc::channel(QUEUE);
        let mut host = settings.host;
        host.node.clone_from(&name);
        let machine = if options.cpus.is_none() { Machine::read() } else { None };
        let ground = Ground { spool, boot, host, machine };
        let disk = Disk::new(ground, Arc::clone(&controllers), inputs.0.clone());

        tokio::spawn(vouch::serve(listener, cluster, Arc::clone(&controllers)));
        let renewal = join::renew(Arc::clone(&keyring), Arc::clone(&controllers), life.pass());
        tokio::spawn(renewal);
        tokio::spawn(stream::keep_warm(Arc::clone(&controllers)));
        Ok(Daemon::new(Parts {
            name,
            inventory: inventory::measure(options.cpus, incarnation, now()),
            pose: options.cpus,
            life,
            cluster,
            agent,
            acts,
            disk,
            inputs,
            supervision,
            keyring,
            controllers,
            site: settings.site,
            socket: options.socket.clone(),
        }))
    }
}
