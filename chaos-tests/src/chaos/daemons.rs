//! The daemons of a run, as `cargo xtask cluster` lays them out: how they are started, and ended.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use trust::site::Site;

use super::{
    hosts::{Hosts, Role, is_zombie},
    shell::done,
};

/// Far longer than the kernel takes to end a process.
const GONE: Duration = Duration::from_secs(30);

/// The port of each controller.
pub(super) const PORT: u16 = 6817;

#[derive(Debug)]
pub(super) struct Daemons {
    root: PathBuf,
    hosts: Arc<Hosts>,
}

impl Daemons {
    pub(super) fn new(root: &Path, hosts: Arc<Hosts>) -> Self {
        Self { root: root.to_owned(), hosts }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A command that talks to this cluster, called on a host. What it remembers of the cluster
    /// stays on that host.
    pub(super) fn command(&self, host: &str, name: &str) -> Command {
        let mut command = self.hosts.command(host, self.root.join("bin").join(name));
        command
            .env("RAFTER_DIR", self.site(host))
            .env("SLURM_CONF", self.root.join("slurm.conf"))
            .env("XDG_RUNTIME_DIR", self.remembered(host))
            .env_remove("RAFTER_REQUEST_ID")
            .current_dir(self.root.join("jobs"))
            .stdin(Stdio::null());
        command
    }

    /// What a host knows of the cluster. All hosts share a file system, so each must be told apart:
    /// a node has a `rafterd` of its own to ask, and no other host has any.
    fn site(&self, host: &str) -> PathBuf {
        let (shared, own) = (self.root.join("site"), self.root.join("sites").join(host));
        let Ok(site) = Site::read(&shared) else { return shared };
        let socket = self.root.join("run").join(format!("{host}.sock"));
        let node = self.hosts.names(Role::Node).iter().any(|name| name == host);
        let site = Site { socket: node.then_some(socket), ..site };
        if Site::read(&own).ok().as_ref() != Some(&site) {
            fs::create_dir_all(&own).expect("a run's folder takes folders");
            site.write(&own).expect("a run's folder takes files");
        }
        own
    }

    fn remembered(&self, host: &str) -> PathBuf {
        self.root.join("remembered").join(host)
    }

    /// Makes the folders where commands remember.
    ///
    /// # Errors
    /// Where the disk fails.
    pub(super) fn prepare(&self) -> Result<()> {
        for host in self.hosts.list() {
            fs::create_dir_all(self.remembered(&host.name))?;
        }
        Ok(())
    }

    /// What a command prints that is called on the driver's host.
    ///
    /// # Errors
    /// Where it fails.
    pub(super) fn ask(&self, name: &str, words: &[&str]) -> Result<String> {
        done(self.command(super::hosts::WATCH, name).args(words))
    }

    /// A daemon's process, if it lives.
    pub(super) fn process(&self, name: &str) -> Option<Pid> {
        let read =
            |what: &str| fs::read_to_string(self.root.join(format!("run/{name}.{what}"))).ok();
        let pid: i32 = read("pid")?.trim().parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The 22nd word of proc(5); the program's name stands in parentheses.
        let began = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.to_owned();
        let is_it = began == read("ticks")?.trim() && !is_zombie(Pid::from_raw(pid));
        is_it.then_some(Pid::from_raw(pid))
    }

    /// Starts a daemon as it was started first, with more words.
    ///
    /// # Errors
    /// Where it runs, or can't be started.
    pub(super) fn start(&self, name: &str, more: &[&str]) -> Result<()> {
        let mut start = Command::new(self.root.join("bin/start"));
        done(start.arg(name).args(more)).map(drop)
    }

    /// Starts a daemon unless it lives.
    ///
    /// # Errors
    /// Where it can't be started.
    pub(super) fn see_running(&self, name: &str) -> Result<()> {
        if self.process(name).is_some() { Ok(()) } else { self.start(name, &[]) }
    }

    /// Sends a signal to a daemon, if it lives.
    ///
    /// # Errors
    /// Where that is not allowed.
    pub(super) fn signal(&self, name: &str, signal: Signal) -> Result<()> {
        match self.process(name) {
            Some(pid) => kill(pid, signal).with_context(|| format!("{signal} to {name}")),
            None => Ok(()),
        }
    }

    /// Sends a signal that ends a daemon, and waits until it is gone.
    ///
    /// # Errors
    /// Where it does not go.
    pub(super) fn end(&self, name: &str, signal: Signal) -> Result<()> {
        self.signal(name, signal)?;
        let began = Instant::now();
        while self.process(name).is_some() {
            if began.elapsed() > GONE {
                bail!("{name} does not end by {signal}");
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// The last lines of a daemon's log.
    pub(super) fn last_lines(&self, name: &str, count: usize) -> String {
        let log = fs::read_to_string(self.root.join(format!("log/{name}.log")));
        let log = log.unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}
