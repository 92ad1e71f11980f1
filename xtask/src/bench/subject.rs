//! Who is measured: a cluster of ours, or the real Slurm, by the same commands.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::{
    cluster::Cluster,
    wait::Interrupt,
    workspace::{output, shown, succeeds},
};

/// Whose commands are called, and where.
pub(super) struct Subject {
    pub(super) name: &'static str,
    /// Before each command's name; empty for those on the PATH.
    bin: PathBuf,
    environment: Vec<(&'static str, PathBuf)>,
    /// Where commands are called, and jobs write.
    folder: TempDir,
}

impl Subject {
    /// A cluster of ours.
    pub(super) fn rafter(cluster: &Cluster) -> Result<Self> {
        let folder = &cluster.folder;
        let environment =
            vec![("RAFTER_DIR", folder.path("site")), ("SLURM_CONF", folder.path("slurm.conf"))];
        let jobs = TempDir::new_in(folder.path("jobs"))?;
        Ok(Self { name: "Rafter", bin: folder.path("bin"), environment, folder: jobs })
    }

    /// The same cluster on a host without a `rafterd`: commands connect to a controller themselves.
    pub(super) fn rafter_alone(cluster: &Cluster) -> Result<Self> {
        let mut subject = Self::rafter(cluster)?;
        let site = fs::read_to_string(cluster.folder.path("site/client.conf"))?;
        let lines = site.lines().filter(|line| !line.starts_with("socket "));
        let folder = subject.folder.path().to_owned();
        fs::write(folder.join("client.conf"), lines.collect::<Vec<_>>().join("\n"))?;
        subject.environment[0].1 = folder;
        Ok(subject)
    }

    /// Whether the host's `rafterd` makes the calls of its commands: they need no certificate then,
    /// and keep none.
    pub(super) fn is_served(&self, arguments: &[&str]) -> Result<bool> {
        let own = TempDir::new()?;
        output(self.command("sbatch").args(arguments).env("XDG_RUNTIME_DIR", own.path()))?;
        Ok(!own.path().join("rafter").exists())
    }

    /// The Slurm whose commands are on the PATH.
    ///
    /// # Errors
    /// Where there is none, or no node of it is idle.
    pub(super) fn slurm() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("rafter-bench-").tempdir()?;
        let environment = env::var_os("SLURM_CONF").map(|path| ("SLURM_CONF", path.into()));
        let environment = environment.into_iter().collect();
        let subject = Self { name: "Slurm", bin: PathBuf::new(), environment, folder };
        if !succeeds(subject.command("sbatch").arg("--version")) {
            bail!("--against slurm: there is no sbatch on the PATH");
        }
        let idle = subject.ask("sinfo", &["-h", "-t", "idle", "-o", "%D"])?;
        if idle.split_whitespace().all(|count| count == "0") {
            bail!("--against slurm: its sinfo shows no idle node");
        }
        Ok(subject)
    }

    pub(super) fn version(&self) -> Result<String> {
        Ok(self.ask("sbatch", &["--version"])?.trim().to_owned())
    }

    /// Where commands are called, and jobs write.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    pub(super) fn ask(&self, name: &str, arguments: &[&str]) -> Result<String> {
        output(self.command(name).args(arguments))
    }

    /// How long a whole process of the command takes. Its output goes nowhere.
    ///
    /// # Errors
    /// Where it fails.
    pub(super) fn time(&self, name: &str, arguments: &[&str]) -> Result<Duration> {
        let mut command = self.command(name);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
        let started = Instant::now();
        let child = command.spawn().with_context(|| shown(&command))?;
        let ended = child.wait_with_output()?;
        let took = started.elapsed();
        if !ended.status.success() {
            let said = String::from_utf8_lossy(&ended.stderr);
            bail!("`{}` failed: {}", shown(&command), said.trim_end());
        }
        Ok(took)
    }

    /// Submits a batch job that needs all nodes, and waits until it has them: what comes after it
    /// stays in the queue.
    pub(super) fn occupy(&self, nodes: usize, interrupt: &Interrupt) -> Result<()> {
        let nodes = nodes.to_string();
        let wide = ["--parsable", "-N", &nodes, "--exclusive", "-o", "/dev/null"];
        let said = self.ask("sbatch", &[&wide[..], &["--wrap", "sleep 86400"]].concat())?;
        let job = said.trim().split(';').next().unwrap_or_default().to_owned();
        let bound = Duration::from_secs(60);
        interrupt.until("waiting for the nodes to be occupied", bound, || {
            let state = self.ask("squeue", &["-h", "-j", &job, "-o", "%T"])?;
            Ok((state.trim() == "RUNNING").then_some(()))
        })
    }

    /// Cancels all jobs of the caller, and waits until the queue is empty.
    pub(super) fn clear(&self, interrupt: &Interrupt) -> Result<()> {
        let me = nix::unistd::geteuid().to_string();
        self.ask("scancel", &["-u", &me])?;
        self.drained(interrupt, Duration::from_secs(300))
    }

    /// Waits until no job waits or runs.
    pub(super) fn drained(&self, interrupt: &Interrupt, bound: Duration) -> Result<()> {
        interrupt.until("waiting for the queue to empty", bound, || {
            Ok(self.ask("squeue", &["-h", "-o", "%i"])?.trim().is_empty().then_some(()))
        })
    }
}
