//! `rafterd`: the daemon of a node or login host.

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use common::{id::ClusterId, time::Timestamp};
use node::{
    agent::Agent,
    daemon::{Daemon, Parts, QUEUE},
    disk::{Disk, scan},
    inventory, join,
    launch::Ground,
    life::Life,
    options::{LogFormat, Options},
    settings::{self, Settings},
    vouch,
};
use step::spool::{Spool, boot_id};
use telemetry::{Format, Kind, Service};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use trust::{connect::Life as Lifetime, controllers::Controllers, store::Pass, tls::Keyring};

fn main() -> ExitCode {
    let options = Options::parse();
    #[cfg(feature = "planted")]
    if let Ok(bug) = std::env::var("RAFTER_PLANTED") {
        common::planted::plant_named(&bug, now);
    }
    // Little of the work is computing, and many daemons may share a machine when it is tried out.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    let done = runtime.context("can't start").and_then(|runtime| {
        let done = runtime.block_on(start(options));
        // What still blocks, as on a dead disk, is not waited for.
        runtime.shutdown_timeout(Duration::from_secs(1));
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rafterd: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start(options: Options) -> Result<()> {
    let settings = Settings::new(&options)?;
    let program = settings::supervisor()?;
    let life = Life::take(&settings.spool)?;
    let (pass, name) = admit(&options, &settings, &life).await?;
    let format = match options.log_format {
        LogFormat::Human => Format::Human,
        LogFormat::Json => Format::Json,
    };
    let service = Service { name: "rafterd", instance: &name, kind: Kind::Daemon };
    let _telemetry = telemetry::init(service, format, options.log_filter())?;
    if !nix::unistd::geteuid().is_root() {
        let user = nix::unistd::geteuid().as_raw();
        tracing::warn!(user, "not root: this node runs jobs of this user alone");
    }

    let cluster = ClusterId(pass.credential.identity().cluster.0);
    let boot = boot_id()?;
    let incarnation = life.incarnation(&boot)?;
    let spool = Spool::open(life.root())?;
    let found = scan(&spool)?;
    tracing::info!(name, %cluster, spool = %life.root().display(), runs = found.len(), "starting");
    let (agent, acts) = Agent::new(life.term(cluster)?, found);
    let Pass { credential, mut controllers } = pass;
    // What the leader said last counts. The file helps where all of those have been replaced.
    let known = controllers.clone();
    controllers.extend(
        settings.configured.into_iter().filter(|it| known.iter().all(|one| one.name != it.name)),
    );
    let keyring = Arc::new(Keyring::new(credential)?);
    let controllers =
        Arc::new(Controllers::new(controllers, Arc::clone(&keyring), Lifetime::Daemon, None));
    let listener = vouch::listen(&options.socket)?;
    let inputs = mpsc::channel(QUEUE);
    let mut host = settings.host;
    host.node.clone_from(&name);
    let ground = Ground { spool, boot, host };
    let disk = Disk::new(ground, Arc::clone(&controllers), inputs.0.clone());

    tokio::spawn(vouch::serve(listener, Arc::clone(&controllers)));
    let renewal = join::renew(Arc::clone(&keyring), Arc::clone(&controllers), life.pass());
    tokio::spawn(renewal);
    tokio::spawn(node::stream::keep_warm(Arc::clone(&controllers)));
    let parts = Parts {
        inventory: inventory::measure(options.cpus, incarnation, now()),
        pose: options.cpus,
        life,
        cluster,
        agent,
        acts,
        disk,
        inputs,
        program,
        keyring,
        controllers,
        site: settings.site,
        socket: options.socket.clone(),
    };
    Daemon::new(parts).run(stop()?).await;
    // The next daemon would take it for one that somebody listens on.
    let _ = std::fs::remove_file(&options.socket);
    tracing::info!("stopped; the jobs go on");
    Ok(())
}

/// The node's certificate and name: from the spool, or by joining.
async fn admit(options: &Options, settings: &Settings, life: &Life) -> Result<(Pass, String)> {
    let (file, name) = (life.pass(), settings.name.as_deref());
    let Some(token) = &options.join else { return Ok(join::recall(&file, name)?) };
    let joined = join::join(token, name, &settings.controllers, &file).await?;
    std::fs::create_dir_all(&settings.site)
        .with_context(|| format!("can't make {}", settings.site.display()))?;
    join::write_site(&settings.site, &joined.pass, &joined.cluster, &options.socket, None)?;
    Ok((joined.pass, token.name().to_owned()))
}

/// Done once the daemon is to stop.
fn stop() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                // As a service manager asks to reload: what there is to know, the leader tells.
                _ = hang_up.recv() => tracing::info!("nothing to reload"),
            }
        }
    })
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
