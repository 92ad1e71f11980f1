//! `cargo xtask cluster`: a whole cluster on this machine, and its first job.

mod conf;
mod folder;
mod hello;
mod process;
mod raise;
mod stop;

use std::{path::PathBuf, thread, time::Duration};

use anyhow::{Context as _, Result};

pub(crate) use self::{
    folder::Folder,
    raise::{Cluster, Fleet, Plan},
    stop::stop,
};
use crate::{
    packages, rocksdb,
    wait::Interrupt,
    workspace::{self, run},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many controllers: ctl1, ctl2, ...
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u8).range(1..=9))]
    controllers: u8,
    /// How many nodes: n1, n2, ... or the first that FILE names [default: 2]
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// Let each node pose as one with N CPUs, whatever the machine has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cpus: Option<u32>,
    /// Use this slurm.conf; only its controllers are replaced by those on loopback
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,
    /// Keep the cluster in DIR and go on in the background; source DIR/env to use it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Use the programs in this folder and build none: for tests, which have theirs
    #[arg(long, value_name = "FOLDER", hide = true)]
    programs: Option<PathBuf>,
    /// One line more for the slurm.conf that is written
    #[arg(long, value_name = "KEY=VALUE", hide = true, conflicts_with = "conf")]
    set: Vec<String>,
    /// Where the controllers listen, each HOST:PORT; by itself on free ports of loopback
    #[arg(long, value_name = "LIST", hide = true, value_delimiter = ',')]
    addresses: Vec<String>,
    /// Start each daemon by this program, which gets its name and its command line
    #[arg(long, value_name = "PROGRAM", hide = true)]
    within: Option<PathBuf>,
    /// A folder with `state/NAME` for controllers and `spool/NAME` for nodes: disks of their own
    #[arg(long, value_name = "DIR", hide = true)]
    disks: Option<PathBuf>,
    /// Run no first job
    #[arg(long, hide = true, requires = "dir", conflicts_with = "once")]
    no_job: bool,
    /// Stop everything once the first job is over
    #[arg(long)]
    once: bool,
    /// Stop the cluster in DIR
    #[arg(long, requires = "dir",
          conflicts_with_all = ["controllers", "nodes", "cpus", "conf", "once"])]
    stop: bool,
}

/// A controller of a cluster on loopback.
#[derive(Clone, Debug)]
struct Controller {
    name: String,
    /// `HOST:PORT`
    address: String,
}

/// `cargo xtask cluster`.
///
/// # Errors
/// Where the cluster can't be raised, or its first job does not end well. Nothing is left running.
pub(crate) fn run_one(options: &Options) -> Result<()> {
    if options.stop {
        let dir = options.dir.as_ref().context("clap: --stop requires --dir")?;
        let stopped = stop(&Folder::open(dir)?)?;
        eprintln!("stopped {stopped} daemons of {}", dir.display());
        return Ok(());
    }
    let built = match &options.programs {
        Some(folder) => std::path::absolute(folder)?,
        None => build(&["ctl", "node", "step", "cli"])?,
    };
    let interrupt = Interrupt::listen()?;
    let temporary = tempfile::Builder::new().prefix("rafter-").tempdir()?;
    let root = options.dir.as_deref().unwrap_or(temporary.path());
    let folder = Folder::create(root, &built, options.disks.as_deref())?;
    eprintln!("cluster in {}", folder.root().display());
    let plan = Plan {
        controllers: usize::from(options.controllers),
        nodes: options.nodes,
        cpus: options.cpus,
        conf: options.conf.clone(),
        settings: options.set.clone(),
        addresses: options.addresses.clone(),
        within: options.within.clone(),
        fleet: None,
    };
    let done = Cluster::raise(folder, &plan, &interrupt).and_then(|it| use_one(it, options));
    if done.is_err() && options.dir.is_none() && !interrupt.came() {
        eprintln!("what its daemons said is kept in {}/log", temporary.keep().display());
    }
    done
}

/// Runs the first job, and goes on as the options say.
fn use_one(cluster: Cluster, options: &Options) -> Result<()> {
    if options.no_job {
        return Ok(());
    }
    let done = hello::hello(&cluster).and_then(|()| {
        if options.once {
            return Ok(());
        }
        say_how_to_use(&cluster, options);
        if options.dir.is_none() { watch(&cluster) } else { Ok(()) }
    });
    if done.is_err() || options.once || options.dir.is_none() {
        eprintln!("stopping");
        stop(&cluster.folder)?;
    }
    done
}

fn say_how_to_use(cluster: &Cluster, options: &Options) {
    let root = cluster.folder.root().display();
    eprintln!("\nThe cluster is ready. To use it from a shell:");
    eprintln!("  source {root}/env");
    eprintln!("  sinfo; sbatch --wrap hostname; squeue");
    eprintln!("To see it survive the death of a controller, and to start that again:");
    eprintln!("  kill -9 $(cat {root}/run/ctl1.pid); sbatch --wrap hostname");
    eprintln!("  {root}/bin/start ctl1");
    match options.dir {
        Some(_) => eprintln!("To stop it:\n  cargo xtask cluster --stop --dir {root}"),
        None => eprintln!("Ctrl-C stops it."),
    }
}

/// Stays until a signal comes, and says which daemons come and go.
fn watch(cluster: &Cluster) -> Result<()> {
    let mut names = cluster.folder.daemons()?;
    names.sort_by_key(|name| !name.starts_with("ctl"));
    let mut seen = vec![true; names.len()];
    while !cluster.interrupt().came() {
        for (name, lived) in names.iter().zip(&mut seen) {
            let lives = cluster.folder.process(name).is_some();
            if lives != *lived {
                eprintln!("{name} {}", if lives { "is back" } else { "is gone" });
                *lived = lives;
            }
        }
        thread::sleep(Duration::from_millis(200));
    }
    eprintln!();
    Ok(())
}

/// Builds the programs of `packages`, optimised, and says where they are.
pub(crate) fn build(packages: &[&str]) -> Result<PathBuf> {
    packages::for_building()?;
    let prebuilt = rocksdb::prebuilt()?;
    let mut build = workspace::cargo(&["build", "--release", "--locked", "--bins"]);
    for package in packages {
        build.args(["--package", package]);
    }
    run(prebuilt.apply(&mut build))?;
    Ok(workspace::target()?.join("release"))
}
