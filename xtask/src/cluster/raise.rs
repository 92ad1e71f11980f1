//! Raises a cluster: the authority, the controllers one after the other, the nodes.

use std::{
    fs,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{
    Controller, conf,
    folder::{Daemon, Folder},
};
use crate::{
    wait::Interrupt,
    workspace::{output, shown},
};

/// Far more than any step takes, even where other work keeps the machine busy.
const STEP: Duration = Duration::from_secs(120);

/// What a cluster is to have.
#[derive(Clone, Default)]
pub(crate) struct Plan {
    pub(crate) controllers: usize,
    /// None: two, or as many as the configuration names if that is fewer.
    pub(crate) nodes: Option<usize>,
    /// How many CPUs each node poses as; none: as many as there are.
    pub(crate) cpus: Option<u32>,
    pub(crate) conf: Option<PathBuf>,
    /// More lines for a configuration that is written.
    pub(crate) settings: Vec<String>,
    /// Where the controllers listen; none: on free ports of loopback.
    pub(crate) addresses: Vec<String>,
    /// What starts each daemon: it gets the daemon's name and its command line.
    pub(crate) within: Option<PathBuf>,
    /// One process that poses as all nodes; none: each is a `rafterd`.
    pub(crate) fleet: Option<Fleet>,
}

/// `rafter-fleet`, which runs no job.
#[derive(Clone)]
pub(crate) struct Fleet {
    pub(crate) program: PathBuf,
    /// Where the nodes' spools are.
    pub(crate) spools: PathBuf,
    /// How long each job lasts, in milliseconds.
    pub(crate) lasts: u64,
}

/// What the process of the fleet is called.
const FLEET: &str = "fleet";

/// A cluster that runs.
pub(crate) struct Cluster {
    pub(crate) folder: Folder,
    controllers: Vec<Controller>,
    nodes: Vec<String>,
    /// Whether one process is all of them.
    fleet: bool,
    interrupt: Interrupt,
}

impl Cluster {
    /// Raises one in `folder`, and waits until all of its nodes are idle.
    ///
    /// # Errors
    /// Where that fails; what was started until then has been stopped.
    pub(crate) fn raise(folder: Folder, plan: &Plan, interrupt: &Interrupt) -> Result<Self> {
        let controllers = match plan.addresses.as_slice() {
            [] => controllers(plan.controllers)?,
            given => named(plan.controllers, given)?,
        };
        let nodes = configure(&folder, plan, &controllers)?;
        let (fleet, interrupt) = (plan.fleet.is_some(), interrupt.clone());
        let cluster = Self { folder, controllers, nodes, fleet, interrupt };
        cluster.folder.write_env()?;
        cluster.folder.write_start(&cluster.daemons(plan))?;
        let raised = cluster.raise_daemons();
        if let Err(error) = raised {
            super::stop(&cluster.folder)?;
            return Err(error);
        }
        Ok(cluster)
    }

    fn daemons(&self, plan: &Plan) -> Vec<Daemon> {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let conf = text(self.folder.path("slurm.conf"));
        let site = text(self.folder.path("site"));
        let mut daemons = Vec::new();
        for Controller { name, address } in &self.controllers {
            let program = text(self.folder.program("rafterctld"));
            let state = text(self.folder.path("state").join(name));
            let words = [
                &program,
                "--conf",
                &conf,
                "--name",
                name,
                "--state-dir",
                &state,
                "--site-dir",
                &site,
                "--listen",
                address,
            ];
            let words = words.map(str::to_owned).to_vec();
            daemons.push(Daemon { name: name.clone(), words });
        }
        daemons.extend(match &plan.fleet {
            Some(fleet) => vec![self.fleet(fleet, plan)],
            None => self.nodes.iter().map(|name| self.node(name, plan)).collect(),
        });
        if let Some(within) = &plan.within {
            for Daemon { name, words } in &mut daemons {
                words.splice(0..0, [text(within.clone()), name.clone()]);
            }
        }
        daemons
    }

    fn node(&self, name: &str, plan: &Plan) -> Daemon {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let program = text(self.folder.program("rafterd"));
        let conf = text(self.folder.path("slurm.conf"));
        let spool = text(self.folder.path("spool").join(name));
        // The path of a socket may have no more than 107 bytes.
        let socket = text(self.folder.path("run").join(format!("{name}.sock")));
        let site = text(self.folder.path("site"));
        let words = [
            &program,
            "--conf",
            &conf,
            "--name",
            name,
            "--spool-dir",
            &spool,
            "--socket",
            &socket,
            "--site-dir",
            &site,
        ];
        let mut words = words.map(str::to_owned).to_vec();
        words.extend(plan.cpus.iter().flat_map(|it| ["--cpus".to_owned(), it.to_string()]));
        Daemon { name: name.to_owned(), words }
    }

    fn fleet(&self, fleet: &Fleet, plan: &Plan) -> Daemon {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let words = [
            text(&fleet.program),
            "--conf".to_owned(),
            text(&self.folder.path("slurm.conf")),
            "--spools".to_owned(),
            text(&fleet.spools),
            "--sockets".to_owned(),
            text(&self.folder.path("run")),
            "--site-dir".to_owned(),
            text(&self.folder.path("site")),
            "--lasts".to_owned(),
            fleet.lasts.to_string(),
            "--cpus".to_owned(),
            plan.cpus.unwrap_or(1).to_string(),
        ];
        Daemon { name: FLEET.to_owned(), words: words.to_vec() }
    }

    fn raise_daemons(&self) -> Result<()> {
        let (first, others) = self.controllers.split_first().context("no controller")?;
        self.init(first)?;
        self.folder.start(&first.name, &[])?;
        self.until(&format!("{} to lead", first.name), &[&first.name], |status| {
            status["leader"] == first.name.as_str()
        })?;
        eprintln!("{} leads at {}", first.name, first.address);
        for other in others {
            self.join(&other.name, &["controller", "token", &other.name], &first.address)?;
            self.until(&format!("{} to follow", other.name), &[&other.name], |status| {
                is_there(&status["controllers"], &other.name, "role", &["follower", "leader"])
            })?;
            eprintln!("{} follows at {}", other.name, other.address);
        }
        self.start_nodes(first)?;
        let nodes: Vec<&str> = self.nodes.iter().map(String::as_str).collect();
        let daemons = if self.fleet { vec![FLEET] } else { nodes.clone() };
        self.interrupt.until("waiting for sinfo to show the nodes idle", STEP, || {
            for name in &daemons {
                self.folder.must_live(name)?;
            }
            let shown = self.ask("sinfo", &["-h", "-N", "-o", "%N %t"])?;
            let idle = |name: &&str| shown.lines().any(|line| line == format!("{name} idle"));
            Ok(nodes.iter().all(idle).then_some(()))
        })?;
        match self.fleet {
            true => eprintln!("{} nodes idle", nodes.len()),
            false => eprintln!("{} idle", nodes.join(", ")),
        }
        Ok(())
    }

    fn start_nodes(&self, first: &Controller) -> Result<()> {
        if !self.fleet {
            let join = |name| self.join(name, &["node", "token", name], &first.address);
            return self.nodes.iter().try_for_each(|name| join(name));
        }
        let mut words = vec!["--controller".to_owned(), first.address.clone()];
        for name in &self.nodes {
            self.interrupt.check()?;
            let token = self.ask("rafter", &["node", "token", name])?;
            words.extend(["--join".to_owned(), token.trim().to_owned()]);
        }
        self.folder.start(FLEET, &words)
    }

    /// Makes the authority, the cluster's id, and the first controller's store.
    fn init(&self, first: &Controller) -> Result<()> {
        let mut init = Command::new(self.folder.program("rafterctld"));
        init.arg("--init").arg("--conf").arg(self.folder.path("slurm.conf"));
        init.args(["--name", &first.name, "--listen", &first.address]);
        init.arg("--state-dir").arg(self.folder.path("state").join(&first.name));
        init.arg("--site-dir").arg(self.folder.path("site"));
        let said = output(&mut init)?;
        eprintln!("cluster {}", said.lines().next_back().unwrap_or_default());
        Ok(())
    }

    /// Starts a daemon that joins by a token.
    fn join(&self, name: &str, token: &[&str], controller: &str) -> Result<()> {
        self.interrupt.check()?;
        let token = self.ask("rafter", token)?;
        let words = ["--join", token.trim(), "--controller", controller];
        self.folder.start(name, &words.map(str::to_owned))
    }

    /// Waits until the cluster's status is as `right` wants it, while the `living` live.
    fn until(&self, what: &str, living: &[&str], right: impl Fn(&Value) -> bool) -> Result<()> {
        self.interrupt.until(format_args!("waiting for {what}"), STEP, || {
            for name in living {
                self.folder.must_live(name)?;
            }
            // Before there is a leader there is no answer.
            let answer = self.try_to_ask("rafter", &["status", "--json"])?;
            let status = serde_json::from_slice::<Value>(&answer.stdout);
            Ok(status.is_ok_and(|status| right(&status)).then_some(()))
        })
    }

    /// What a command prints.
    ///
    /// # Errors
    /// Where it fails.
    pub(crate) fn ask(&self, command: &str, arguments: &[&str]) -> Result<String> {
        output(self.folder.command(command).args(arguments))
    }

    fn try_to_ask(&self, command: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = self.folder.command(command);
        command.args(arguments);
        let shown = shown(&command);
        command.output().with_context(|| format!("`{shown}` can't be started"))
    }

    /// How many controllers it has.
    pub(crate) fn controllers(&self) -> usize {
        self.controllers.len()
    }

    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }
}

fn is_there(list: &Value, name: &str, key: &str, right: &[&str]) -> bool {
    let mut items = list.as_array().into_iter().flatten();
    items.any(|item| {
        item["name"] == name && item[key].as_str().is_some_and(|value| right.contains(&value))
    })
}

/// Writes `slurm.conf`, and says which nodes are to be started.
fn configure(folder: &Folder, plan: &Plan, controllers: &[Controller]) -> Result<Vec<String>> {
    let path = folder.path("slurm.conf");
    let Some(given) = &plan.conf else {
        let count = plan.nodes.unwrap_or(2);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let cpus = plan.cpus.unwrap_or(u32::try_from(cores).unwrap_or(u32::MAX));
        let memory_mib = machine_memory_mib()? / u64::try_from(count.max(1))?;
        let text = conf::written(controllers, count, cpus, memory_mib, &plan.settings);
        fs::write(&path, text)?;
        return Ok((1..=count).map(|number| format!("n{number}")).collect());
    };
    let host = nix::unistd::gethostname()?.to_string_lossy().into_owned();
    let text = conf::adapted(given, controllers, &host)?;
    fs::write(&path, &text)?;
    conf::bring(given, folder.root())?;
    let mut named = Vec::new();
    for list in conf::node_lists(&text) {
        let mut expand = folder.command("scontrol");
        let shown = output(expand.args(["show", "hostnames", &list]))?;
        named.extend(shown.lines().map(str::to_owned));
    }
    let count = plan.nodes.unwrap_or(2.min(named.len()));
    if named.len() < count || named.is_empty() {
        bail!("{} names {} nodes; {count} are to be started", given.display(), named.len());
    }
    named.truncate(count);
    Ok(named)
}

/// `MemTotal` of proc_meminfo(5).
fn machine_memory_mib() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    Ok(kib.context("/proc/meminfo has no MemTotal")? / 1024)
}

/// `ctl1`, `ctl2`, ... at the addresses that were given.
fn named(count: usize, addresses: &[String]) -> Result<Vec<Controller>> {
    if addresses.len() != count {
        bail!("{count} controllers and {} addresses", addresses.len());
    }
    let named = addresses.iter().enumerate().map(|(at, address)| Controller {
        name: format!("ctl{}", at + 1),
        address: address.clone(),
    });
    Ok(named.collect())
}

/// `ctl1`, `ctl2`, ... with a free port of loopback each.
fn controllers(count: usize) -> Result<Vec<Controller>> {
    // Held until each has its own.
    let mut listeners = Vec::new();
    for _ in 0..count {
        listeners.push(free_port()?);
    }
    let named = listeners.iter().enumerate().map(|(at, listener)| {
        let address = listener.local_addr()?.to_string();
        Ok(Controller { name: format!("ctl{}", at + 1), address })
    });
    named.collect()
}

/// A port that nobody listens on, below those that the kernel gives to outgoing connections: a
/// controller that is started again must find its own free.
fn free_port() -> Result<TcpListener> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let lowest = range.split_whitespace().next().and_then(|word| word.parse().ok());
    let top = lowest.filter(|top| *top > 12_000_u64).unwrap_or(32_768);
    for _ in 0..1_000 {
        let drawn = RandomState::new().build_hasher().finish();
        let port = u16::try_from(10_000 + drawn % (top - 10_000))?;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return Ok(listener);
        }
    }
    bail!("no free port between 10000 and {top}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_get_different_free_ports() {
        let controllers = controllers(5).expect("ports");
        let names: Vec<&str> = controllers.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["ctl1", "ctl2", "ctl3", "ctl4", "ctl5"]);
        let mut addresses: Vec<&str> = controllers.iter().map(|it| it.address.as_str()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 5, "{addresses:?}");
    }

    #[test]
    fn a_status_is_searched_by_name() {
        let list = serde_json::json!([{"name": "a", "role": "follower"}, {"name": "b"}]);
        assert!(is_there(&list, "a", "role", &["leader", "follower"]));
        assert!(!is_there(&list, "a", "role", &["leader"]));
        assert!(!is_there(&list, "b", "role", &["leader"]));
        assert!(!is_there(&Value::Null, "a", "role", &["leader"]));
    }
}
