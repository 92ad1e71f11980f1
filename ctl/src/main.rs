//! `rafterctld`: a controller of a Rafter cluster.

mod init;
mod join;
mod options;
mod restore;
mod site;
mod start;

use std::{process::ExitCode, time::Duration};

use clap::Parser as _;
use ctl::home::Home;
use telemetry::{Format, Kind, Service};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

use crate::{
    init::init,
    join::join,
    options::{LogFormat, Options, Settings},
    restore::Terms,
    start::{Started, start},
};

/// How long tasks may take to end that were told to. A disk that hangs is not waited for.
const LAST_TASKS: Duration = Duration::from_secs(3);

/// A tenth of a loaded controller's time went into glibc's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::parse();
    #[cfg(feature = "planted")]
    if let Ok(bug) = std::env::var("RAFTER_PLANTED") {
        common::planted::plant_named(&bug, ctl::clock::now);
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rafterctld: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let settings = options.settle().map_err(anyhow::Error::msg)?;
    let service = Service { name: "rafterctld", instance: &settings.name, kind: Kind::Daemon };
    let format = match options.log_format {
        LogFormat::Human => Format::Human,
        LogFormat::Json => Format::Json,
    };
    let _guard = telemetry::init(service, format, options.filter())?;
    if options.init {
        println!("{}", init(&settings, options.operator)?);
        return Ok(());
    }
    let terms = Terms { job_ids: options.pass_over_ids, nothing_since: options.nothing_since };
    if let Some(file) = &options.restore {
        println!("{}", restore::restore(&settings, file, terms)?);
        return Ok(());
    }
    if options.recover {
        println!("{}", restore::recover(&settings, options.accept_loss, terms)?);
        return Ok(());
    }
    if options.nothing_since {
        anyhow::bail!("--nothing-since goes with --restore or --recover");
    }
    let runtime = Runtime::new()?;
    let outcome = runtime.block_on(serve(options, &settings));
    // What still runs is of no use any more, whatever came of it. It is waited for, since a task
    // that closes the store while the process ends does so in the middle of RocksDB's own end.
    runtime.shutdown_timeout(LAST_TASKS);
    outcome
}

async fn serve(options: &Options, settings: &Settings) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let home = Home::take(&settings.state_dir, &settings.name)?;
    if let Some(token) = &options.join {
        join(settings, &home, token, &options.controller).await?;
    }
    let Started { mut controller, home } = start(settings, home).await?;
    let ended = tokio::select! {
        reason = controller.ended() => Some(reason),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    match ended {
        Some(reason) => anyhow::bail!("{reason}"),
        None => {
            tracing::info!("stopping");
            controller.stop().await;
            drop(home);
            Ok(())
        }
    }
}
