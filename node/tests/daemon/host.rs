//! A host with a daemon on it.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use trust::token::Token;

use crate::cluster::{Cluster, until};

pub(crate) struct Host {
    scratch: tempfile::TempDir,
    daemon: Option<Child>,
    addresses: Vec<String>,
}

impl Host {
    /// A host whose daemon has joined the cluster and runs.
    pub(crate) fn join(cluster: &Cluster) -> Self {
        let mut host = Self::new(cluster);
        host.start(Some(&cluster.token()));
        host
    }

    pub(crate) fn new(cluster: &Cluster) -> Self {
        let scratch = tempfile::tempdir().expect("a folder");
        let addresses = cluster.controllers.iter().map(|it| it.address.address.clone()).collect();
        Self { scratch, daemon: None, addresses }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub(crate) fn command(&self, token: Option<&Token>) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_rafterd"));
        let supervisor = program.with_file_name("rafterstepd");
        assert!(
            supervisor.is_file(),
            "{} is missing: build it with `cargo build -p step`, as `cargo xtask test` does",
            supervisor.display()
        );
        let mut command = Command::new(program);
        command.args(["--name", "n1", "--cpus", "3", "--spool-dir"]).arg(self.path("spool"));
        command.arg("--socket").arg(self.path("socket")).arg("--site-dir").arg(self.path("site"));
        command.env_remove("SLURM_CONF").env_remove("RUST_LOG").stdin(Stdio::null());
        if let Some(token) = token {
            command.args(["--join", token.text().reveal()]);
            command.args(self.addresses.iter().flat_map(|it| ["--controller", it]));
        }
        command
    }

    pub(crate) fn start(&mut self, token: Option<&Token>) {
        assert!(self.daemon.is_none(), "it runs");
        self.daemon = Some(self.command(token).spawn().expect("rafterd starts"));
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.kill().expect("killed");
        daemon.wait().expect("dead");
    }

    pub(crate) fn stop(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        let pid = Pid::from_raw(daemon.id().try_into().expect("a pid"));
        kill(pid, Signal::SIGTERM).expect("asked to stop");
        assert!(daemon.wait().expect("it ends").success());
    }

    /// The folders of runs in the spool.
    pub(crate) fn runs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("spool/jobs")).expect("a spool");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            // The test has failed or is over: whatever comes of it is of no interest.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        if !std::thread::panicking() {
            until("the supervisors are gone", || {
                let locked = |run: &String| {
                    let spool = step::spool::Spool::open(&self.path("spool")).expect("a spool");
                    let (job, attempt) = run.split_once('.').expect("a run");
                    let number = |text: &str| text.parse().expect("a number");
                    let found = spool.folder(number(job), number(attempt)).found();
                    matches!(found, Ok(step::spool::Found::Running(_)))
                };
                !self.path("spool/jobs").exists() || !self.runs().iter().any(locked)
            });
        }
    }
}
