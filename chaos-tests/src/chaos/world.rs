//! All that a run consists of: hosts, disks, daemons, who watches, and what is written down.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use trust::{controllers::Address, site::Site};

use super::{
    daemons::{Daemons, PORT},
    disks::Disks,
    hosts::{Hosts, Role, WATCH},
    memory::Memory,
    monitor::Monitor,
    network::Network,
    notes::Notes,
    options::Options,
    shell::there,
    shim::Shim,
    sweep::{self, Mark},
};

/// What a run can't do without.
const NEEDED: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("mount", "mount"),
    ("mkfs.ext4", "e2fsprogs"),
    ("cc", "gcc"),
];

/// The daemons of Rafter, and what raises a cluster of them.
const PROGRAMS: &[&str] = &["rafterctld", "rafterd", "rafterstepd", "rafter", "rafter-witness"];

pub(super) struct World {
    pub(super) controllers: Vec<String>,
    pub(super) nodes: Vec<String>,
    pub(super) monitor: Monitor,
    pub(super) daemons: Daemons,
    /// None where nftables are missing: then nothing can be cut.
    pub(super) network: Option<Network>,
    pub(super) memory: Result<Memory, String>,
    pub(super) shim: Shim,
    pub(super) notes: Notes,
    pub(super) interrupt: Arc<AtomicBool>,
    /// The hosts whose processes or disk a fault has in its hands.
    held: Mutex<BTreeSet<String>>,
    /// When a fault let go of a host last.
    let_go: Mutex<BTreeMap<String, Instant>>,
    pub(super) hosts: Arc<Hosts>,
    pub(super) disks: Disks,
    _mark: Mark,
}

impl World {
    /// Raises the hosts and the cluster.
    ///
    /// # Errors
    /// Where something is missing here, or the cluster does not come up. Nothing is left.
    pub(super) fn raise(options: &Options, out: &Path, interrupt: Arc<AtomicBool>) -> Result<Self> {
        check_machine(options)?;
        let out = std::path::absolute(out)?;
        sweep::sweep();
        let prefix = sweep::prefix();
        let mark = Mark::set(&prefix, &out.join("disks"))?;
        let shim = Shim::build(&out.join("shim"))?;
        let clients = options.clients;
        let hosts = Hosts::raise(&prefix, [options.controllers, options.nodes, clients])?;
        let (controllers, nodes) = (hosts.names(Role::Controller), hosts.names(Role::Node));
        for host in controllers.iter().chain(&nodes) {
            shim.prepare(host)?;
        }
        let disks = Disks::raise(&out.join("disks"), &shim.powercut(), &controllers, &nodes)?;
        let memory = Memory::raise(&prefix, &controllers);
        let hosts = Arc::new(hosts);
        hosts.enter()?;
        let network = if there("nft") { Some(Network::new(Arc::clone(&hosts))?) } else { None };
        let daemons = Daemons::new(&out.join("cluster"), Arc::clone(&hosts));
        let within = within(&out, &hosts, &shim, memory.as_ref().ok())?;
        let addresses: Vec<Address> = hosts
            .list()
            .iter()
            .filter(|host| host.role == Role::Controller)
            .map(|host| {
                let address = format!("{}:{PORT}", host.address);
                Address { name: host.name.clone(), address }
            })
            .collect();
        // From here on, whatever fails: what runs on the hosts ends with them.
        raise_cluster(options, &within, &disks, &daemons, &addresses)?;
        daemons.prepare()?;
        let witness = options.programs.join("rafter-witness");
        fs::copy(&witness, daemons.root().join("bin/rafter-witness"))?;
        let site = Site::read(&daemons.root().join("site"))?;
        let monitor = Monitor::start(&site, addresses)?;
        Ok(Self {
            controllers,
            nodes,
            monitor,
            daemons,
            network,
            memory,
            shim,
            notes: Notes::create(&out)?,
            interrupt,
            held: Mutex::default(),
            let_go: Mutex::default(),
            hosts,
            disks,
            _mark: mark,
        })
    }

    /// # Errors
    /// Where a signal has come.
    pub(super) fn check(&self) -> Result<()> {
        if self.interrupt.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Lets time pass, unless a signal comes.
    pub(super) fn pass(&self, time: Duration) {
        self.until(time, || None::<()>);
    }

    /// Returns what `look` finds, once it finds something; none after `bound`, or a signal.
    pub(super) fn until<T>(
        &self,
        bound: Duration,
        mut look: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let began = Instant::now();
        while !self.interrupt.load(Ordering::Relaxed) {
            if let Some(found) = look() {
                return Some(found);
            }
            let left = bound.checked_sub(began.elapsed())?;
            thread::sleep(left.min(Duration::from_millis(10)));
        }
        None
    }

    pub(super) fn is_controller(&self, host: &str) -> bool {
        self.controllers.iter().any(|name| name == host)
    }

    /// Takes hosts for a fault on their processes or disks. False where another fault has one of
    /// them, or, unless all controllers are wanted, too few controllers would be left.
    pub(super) fn hold(&self, wanted: &[String]) -> bool {
        let mut held = self.held.lock().expect("no holder panics");
        let all = wanted.len() == self.controllers.len() && self.is_controller(&wanted[0]);
        let count = |names: &mut dyn Iterator<Item = &String>| {
            names.filter(|name| self.is_controller(name)).count()
        };
        let after = count(&mut held.iter()) + count(&mut wanted.iter());
        let too_many = after > (self.controllers.len() - 1) / 2 && count(&mut wanted.iter()) > 0;
        if wanted.iter().any(|name| held.contains(name)) || too_many && !all {
            return false;
        }
        held.extend(wanted.iter().cloned());
        true
    }

    pub(super) fn release(&self, hosts: &[String]) {
        let mut held = self.held.lock().expect("no holder panics");
        let mut let_go = self.let_go.lock().expect("no holder panics");
        for host in hosts {
            held.remove(host);
            let_go.insert(host.clone(), Instant::now());
        }
    }

    pub(super) fn is_held(&self, host: &str) -> bool {
        self.held.lock().expect("no holder panics").contains(host)
    }

    /// Whether a fault had the host within that time.
    pub(super) fn was_held(&self, host: &str, within: Duration) -> bool {
        let let_go = self.let_go.lock().expect("no holder panics");
        let_go.get(host).is_some_and(|moment| moment.elapsed() < within)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for host in self.controllers.iter().chain(&self.nodes) {
            self.hosts.kill_all(host);
        }
    }
}

fn check_machine(options: &Options) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("hosts are network namespaces with disks of their own: this needs root");
    }
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(it, _)| !there(it)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        bail!("missing here, as Debian calls it: {}", missing.join(" "));
    }
    for program in PROGRAMS {
        let path = options.programs.join(program);
        if !path.is_file() {
            bail!("{} is missing: `cargo xtask chaos` builds it", path.display());
        }
    }
    Ok(())
}

/// The program that starts each daemon on its host.
fn within(out: &Path, hosts: &Hosts, shim: &Shim, memory: Option<&Memory>) -> Result<PathBuf> {
    let path = out.join("shim/within");
    let mut text = String::from("#!/bin/sh\n# Starts a daemon on its host: within NAME WORD...\n");
    text.push_str("name=$1\nshift\n");
    if let Some(memory) = memory {
        let door = memory.door("$name");
        text.push_str(&format!("[ -e \"{0}\" ] && echo $$ >\"{0}\"\n", door.display()));
    }
    let (control, library) = (shim.control("$name"), shim.library());
    text.push_str(&format!(
        "exec nsenter --net=/run/netns/{}-\"$name\" -- env LD_PRELOAD={} \
         RAFTER_CHAOS_CONTROL={} \"$@\"\n",
        hosts.prefix(),
        library.display(),
        control.display()
    ));
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// `cargo xtask cluster` knows the daemons' options; here it is told on which hosts they are.
fn raise_cluster(
    options: &Options,
    within: &Path,
    disks: &Disks,
    daemons: &Daemons,
    addresses: &[Address],
) -> Result<()> {
    let mut raise = Command::new(options.xtask());
    raise.arg("cluster").arg("--no-job").arg("--dir").arg(daemons.root());
    raise.arg("--programs").arg(&options.programs);
    raise.args(["--controllers", &options.controllers.to_string()]);
    raise.args(["--nodes", &options.nodes.to_string(), "--cpus", &options.cpus.to_string()]);
    let listed: Vec<&str> = addresses.iter().map(|it| it.address.as_str()).collect();
    raise.args(["--addresses", &listed.join(",")]);
    raise.arg("--within").arg(within).arg("--disks").arg(disks.root());
    for setting in options.settings() {
        raise.args(["--set", &setting]);
    }
    let output = raise.stdin(Stdio::null()).output().context("xtask can't be started")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("the cluster could not be raised on {WATCH}:\n{}", said.trim_end());
    }
    Ok(())
}
