//! `cargo xtask soak`: many jobs through a cluster of real controllers, whose nodes are one process
//! that runs nothing, to see whether the controllers' memory or disk grows.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use tempfile::TempDir;

use crate::{
    bench::machine,
    cluster::{self, Cluster, Fleet, Folder, Plan, stop},
    wait::Interrupt,
    workspace::{run, target},
};

/// A file system in memory, on Linux.
const MEMORY: &str = "/dev/shm";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many jobs
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    jobs: u64,
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 64)]
    nodes: usize,
    /// How many CPUs each node poses as: each job holds one
    #[arg(long, value_name = "N", default_value_t = 16)]
    cpus: u32,
    /// How long each job lasts
    #[arg(long, value_name = "MS", default_value_t = 0)]
    lasts: u64,
    /// A line of slurm.conf; repeat it for more
    #[arg(long, value_name = "KEY=VALUE", default_value = "MinJobAge=30")]
    set: Vec<String>,
    /// Leave what was measured here [default: the target folder's soak]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Put the controllers' disks here [default: the target folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Put the nodes' spools here [default: memory, if there is /dev/shm: nodes have disks of
    /// their own]
    #[arg(long, value_name = "DIR")]
    spools: Option<PathBuf>,
    /// Use the programs in this folder and build none
    #[arg(long, value_name = "FOLDER", hide = true)]
    programs: Option<PathBuf>,
    /// For rafter-soak, after `--`: --connections N, --window N, --rate N, --every SECONDS,
    /// --growth PERCENT, --json
    #[arg(last = true)]
    words: Vec<String>,
}

/// Builds what is needed, raises a cluster, and runs the jobs through it.
///
/// # Errors
/// Where that can't be done, something grows, or a job has not ended once.
pub(crate) fn run_one(options: &Options) -> Result<()> {
    let built = match &options.programs {
        Some(folder) => std::path::absolute(folder)?,
        None => cluster::build(&["ctl", "node", "step", "cli", "chaos-tests"])?,
    };
    let interrupt = Interrupt::listen()?;
    let folder = |given: &Option<PathBuf>, name: &str| match given {
        Some(given) => Ok(std::path::absolute(given)?),
        None => anyhow::Ok(target()?.join(name)),
    };
    let (out, disks) = (folder(&options.out, "soak")?, folder(&options.dir, "bench")?);
    std::fs::create_dir_all(&disks)?;
    machine::print(&disks, None);
    let spools = match &options.spools {
        Some(given) => TempDir::with_prefix_in("rafter-soak-", given)?,
        None if Path::new(MEMORY).is_dir() => TempDir::with_prefix_in("rafter-soak-", MEMORY)?,
        None => TempDir::with_prefix_in("spools-", &disks)?,
    };
    let kept = TempDir::with_prefix_in("cluster-", &disks)?;
    let plan = Plan {
        controllers: 3,
        nodes: Some(options.nodes),
        cpus: Some(options.cpus),
        settings: options.set.clone(),
        fleet: Some(Fleet {
            program: built.join("rafter-fleet"),
            spools: spools.path().to_owned(),
            lasts: options.lasts,
        }),
        ..Plan::default()
    };
    let laid = Folder::create(kept.path(), &built, None)?;
    let done = Cluster::raise(laid, &plan, &interrupt).and_then(|cluster| {
        let mut soak = Command::new(built.join("rafter-soak"));
        soak.env("RAFTER_DIR", cluster.folder.path("site"));
        soak.arg("--cluster").arg(cluster.folder.root()).arg("--out").arg(&out);
        soak.args(["--jobs", &options.jobs.to_string()]).args(&options.words);
        let done = run(&mut soak);
        stop(&cluster.folder)?;
        done
    });
    if done.is_err() && !interrupt.came() {
        eprintln!("what the daemons said is kept in {}/log", kept.keep().display());
    }
    done
}
