//! `rafterd`: the daemon of a node or login host.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use node::{
    admit::Admitted,
    options::{LogFormat, Options},
    settings,
    supervisor::Supervision,
};
use telemetry::{Format, Kind, Service};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let options = Options::parse();
    #[cfg(feature = "planted")]
    if let Ok(bug) = std::env::var("RAFTER_PLANTED") {
        common::planted::plant_named(&bug, node::daemon::now);
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
    let program = settings::supervisor()?;
    let admitted = Admitted::new(&options).await?;
    let format = match options.log_format {
        LogFormat::Human => Format::Human,
        LogFormat::Json => Format::Json,
    };
    let service = Service { name: "rafterd", instance: admitted.name(), kind: Kind::Daemon };
    let _telemetry = telemetry::init(service, format, options.log_filter())?;
    if !nix::unistd::geteuid().is_root() {
        let user = nix::unistd::geteuid().as_raw();
        tracing::warn!(user, "not root: this node runs jobs of this user alone");
    }
    let daemon = admitted.daemon(&options, Supervision::Program(program))?;
    daemon.run(stop()?).await;
    // The next daemon would take it for one that somebody listens on.
    let _ = std::fs::remove_file(&options.socket);
    tracing::info!("stopped; the jobs go on");
    Ok(())
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
