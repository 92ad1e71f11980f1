//! `rafter-fleet`: one process that poses as many nodes of a cluster. `cargo xtask soak` starts it.
//!
//! Each node is a whole `rafterd`: with its own certificate, connections, stream to the leader,
//! agent and spool, as the real one has them. Only what would run the scripts is played: see
//! [`played`].

mod played;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use node::{
    admit::Admitted,
    options::{LogFormat, Options as NodeOptions},
    supervisor::Supervision,
};
use telemetry::{Format, Kind, Service};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};
use trust::token::Token;

use self::played::Stage;

/// As the controllers have it: they are what is measured, and the nodes share their processors.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many threads wait for the spools' disk.
const DISK_THREADS: usize = 32;

/// Poses as many nodes, whose jobs run nothing.
#[derive(Parser)]
struct Options {
    /// A node that has joined before
    #[arg(long = "node", value_name = "NAME", required_unless_present = "join")]
    nodes: Vec<String>,
    /// Join the cluster as the node that this token is for; repeat it for each
    #[arg(long, value_name = "TOKEN")]
    join: Vec<Token>,
    /// A controller's address, to join by
    #[arg(long = "controller", value_name = "HOST:PORT")]
    controllers: Vec<String>,
    #[arg(long, value_name = "FILE")]
    conf: PathBuf,
    /// Each node's spool is DIR/NAME
    #[arg(long, value_name = "DIR")]
    spools: PathBuf,
    /// Each node's socket is DIR/NAME.sock
    #[arg(long, value_name = "DIR")]
    sockets: PathBuf,
    #[arg(long, value_name = "DIR")]
    site_dir: PathBuf,
    /// How many CPUs each node poses as
    #[arg(long, value_name = "N")]
    cpus: u32,
    /// How long each job lasts
    #[arg(long, value_name = "MS", default_value_t = 0)]
    lasts: u64,
}

impl Options {
    /// What each node's own daemon would be told.
    fn nodes(&self) -> Vec<NodeOptions> {
        let known = self.nodes.iter().map(|name| (name.clone(), None));
        let fresh = self.join.iter().map(|token| (token.name().to_owned(), Some(token.clone())));
        let of = |(name, join): (String, Option<Token>)| NodeOptions {
            conf: Some(self.conf.clone()),
            spool_dir: Some(self.spools.join(&name)),
            socket: self.sockets.join(format!("{name}.sock")),
            site_dir: Some(self.site_dir.clone()),
            join,
            controllers: self.controllers.clone(),
            cpus: Some(self.cpus),
            log_format: LogFormat::Human,
            verbose: 0,
            name: Some(name),
        };
        known.chain(fresh).map(of).collect()
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // By itself hundreds, each with memory of its own: more than all the nodes.
    let runtime = runtime.max_blocking_threads(DISK_THREADS).enable_all().build();
    let done = runtime.context("can't start").and_then(|runtime| {
        let done = runtime.block_on(run(&options));
        runtime.shutdown_timeout(Duration::from_secs(1));
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rafter-fleet: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    // Each node has a connection to each controller.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let service = Service { name: "rafter-fleet", instance: "fleet", kind: Kind::Daemon };
    // A line for each run of each node would be most of what there is to do.
    let _telemetry = telemetry::init(service, Format::Human, "warn")?;
    let stage = Stage::new(Duration::from_millis(options.lasts))?;
    let supervision = Supervision::Played(Arc::new(move |part| stage.play(part)));
    let (stop, stopping) = watch::channel(false);
    let mut daemons = JoinSet::new();
    for node in options.nodes() {
        let admitted = Admitted::new(&node).await;
        let admitted = admitted.with_context(|| format!("{:?}", node.spool_dir))?;
        let daemon = admitted.daemon(&node, supervision.clone())?;
        let mut stopping = stopping.clone();
        daemons.spawn(daemon.run(async move {
            // Where who would say it is gone, there is nothing to go on for either.
            let _ = stopping.wait_for(|stop| *stop).await;
        }));
    }
    eprintln!("rafter-fleet: {} nodes", daemons.len());
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.send_replace(true);
    daemons.join_all().await;
    Ok(())
}
