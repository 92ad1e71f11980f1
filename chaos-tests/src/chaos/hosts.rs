//! The hosts of a run: a network namespace each, on a bridge in a namespace of its own.
//!
//! ```text
//! PREFIX-fabric   br0: the bridge, a port for each host; the rules for what it drops
//! PREFIX-ctl1     veth0 10.77.0.1     a controller, and so on
//! PREFIX-n1       veth0 10.77.0.21    a node
//! PREFIX-cl1      veth0 10.77.0.41    who only calls commands
//! PREFIX-watch    veth0 10.77.0.61    the driver itself, which nothing is done to
//! ```
//!
//! No address of the machine itself is touched, and each run has a fabric of its own. All processes
//! of a host are in its namespace, so a host that loses power loses all of them.

use std::{fs, net::Ipv4Addr, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::shell::run;

/// The driver's own host.
pub(super) const WATCH: &str = "watch";

const FABRIC: &str = "fabric";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Controller,
    Node,
    Client,
    Watch,
}

#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) address: Ipv4Addr,
}

/// Removed, with all that runs in them, when this is dropped.
#[derive(Debug)]
pub(super) struct Hosts {
    prefix: String,
    list: Vec<Host>,
}

impl Hosts {
    /// # Errors
    /// Where namespaces can't be made; those that were made are removed.
    pub(super) fn raise(prefix: &str, counts: [u8; 3]) -> Result<Self> {
        let mut hosts = Self { prefix: prefix.to_owned(), list: Vec::new() };
        hosts.namespace_for(FABRIC)?;
        hosts.ip(FABRIC, "link add br0 type bridge")?;
        hosts.ip(FABRIC, "link set br0 up")?;
        let kinds = [(Role::Controller, "ctl", 0), (Role::Node, "n", 20), (Role::Client, "cl", 40)];
        for ((role, stem, base), count) in kinds.into_iter().zip(counts) {
            for number in 1..=count {
                hosts.add(format!("{stem}{number}"), role, base + number)?;
            }
        }
        hosts.add(WATCH.to_owned(), Role::Watch, 61)?;
        Ok(hosts)
    }

    /// Those of a run that is over, so far as they are left.
    pub(super) fn left(prefix: &str) -> Self {
        let names = fs::read_dir("/run/netns").into_iter().flatten().flatten();
        let hosts = names.filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            let name = file.strip_prefix(prefix)?.strip_prefix('-')?.to_owned();
            (name != FABRIC).then_some(Host {
                name,
                role: Role::Node,
                address: Ipv4Addr::UNSPECIFIED,
            })
        });
        Self { prefix: prefix.to_owned(), list: hosts.collect() }
    }

    fn add(&mut self, name: String, role: Role, last: u8) -> Result<()> {
        let address = Ipv4Addr::new(10, 77, 0, last);
        self.list.push(Host { name: name.clone(), role, address });
        self.namespace_for(&name)?;
        let (own, fabric) = (self.namespace(&name), self.namespace(FABRIC));
        let port = port(last);
        let pair = format!("link add veth0 netns {own} type veth peer name {port} netns {fabric}");
        run("ip", pair.split(' '))?;
        self.ip(FABRIC, &format!("link set {port} master br0 up"))?;
        self.ip(&name, "link set lo up")?;
        self.ip(&name, &format!("addr add {address}/24 dev veth0"))?;
        self.ip(&name, "link set veth0 up")
    }

    fn namespace_for(&self, name: &str) -> Result<()> {
        run("ip", ["netns", "add", &self.namespace(name)]).map(drop)
    }

    fn ip(&self, host: &str, words: &str) -> Result<()> {
        let namespace = self.namespace(host);
        let words = ["-n", &namespace].into_iter().chain(words.split(' '));
        run("ip", words).map(drop)
    }

    fn namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }

    fn path(&self, host: &str) -> PathBuf {
        PathBuf::from("/run/netns").join(self.namespace(host))
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn list(&self) -> &[Host] {
        &self.list
    }

    /// The names of the hosts of a role.
    pub(super) fn names(&self, role: Role) -> Vec<String> {
        let of = self.list.iter().filter(|host| host.role == role);
        of.map(|host| host.name.clone()).collect()
    }

    pub(super) fn host(&self, name: &str) -> Option<&Host> {
        self.list.iter().find(|host| host.name == name)
    }

    /// A program on a host.
    pub(super) fn command(&self, host: &str, program: impl Into<PathBuf>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path(host).display())).arg("--").arg(program.into());
        command
    }

    /// A program in the fabric.
    pub(super) fn in_fabric(&self, program: &str) -> Command {
        self.command(FABRIC, program)
    }

    /// What the port of a host is called in the fabric.
    pub(super) fn port(&self, host: &str) -> Result<String> {
        let host = self.host(host).with_context(|| format!("no host {host}"))?;
        Ok(port(host.address.octets()[3]))
    }

    /// Puts the calling thread, and those that it starts later, onto the driver's host.
    ///
    /// # Errors
    /// Where the namespace is gone.
    pub(super) fn enter(&self) -> Result<()> {
        let file = fs::File::open(self.path(WATCH))?;
        setns(file, CloneFlags::CLONE_NEWNET).context("the driver's own namespace")
    }

    /// All processes on a host.
    pub(super) fn processes(&self, host: &str) -> Vec<Pid> {
        let Ok(found) = inode(&self.path(host)) else { return Vec::new() };
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let there = pids.filter(|pid: &i32| {
            inode(&PathBuf::from(format!("/proc/{pid}/ns/net"))).is_ok_and(|own| own == found)
        });
        there.map(Pid::from_raw).collect()
    }

    /// Kills all processes on a host. A process that one of them started meanwhile dies, too.
    pub(super) fn kill_all(&self, host: &str) {
        let own = Pid::this();
        loop {
            let processes = self.processes(host);
            let living: Vec<Pid> = processes.into_iter().filter(|pid| *pid != own).collect();
            let living: Vec<&Pid> = living.iter().filter(|pid| !is_zombie(**pid)).collect();
            if living.is_empty() {
                return;
            }
            for pid in living {
                // It may be gone by itself.
                let _ = kill(*pid, Signal::SIGKILL);
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in &self.list {
            if host.role != Role::Watch {
                self.kill_all(&host.name);
            }
        }
        let names = self.list.iter().map(|host| host.name.as_str()).chain([FABRIC]);
        for name in names {
            // Nothing can be done where that fails.
            let _ = run("ip", ["netns", "delete", &self.namespace(name)]);
        }
    }
}

/// The name that `/proc/PID/ns/net` and the file that a namespace is mounted on share.
fn inode(path: &std::path::Path) -> std::io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let found = fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

fn port(last: u8) -> String {
    format!("p{last}")
}

/// Whether a process is dead, and only waits for who started it to hear of it.
pub(super) fn is_zombie(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    // Its first thread may have ended before the others, which hold its files yet.
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    state.is_none_or(|state| matches!(state, 'Z' | 'X') && threads() <= 1)
}
