//! The command line of `rafterctld`, and what it comes to together with the configuration.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Parser, ValueEnum};
use common::config::Config;
use trust::{identity::check_name, site};

use ctl::conf;

/// Where Slurm's configuration is looked for.
const DEFAULT_CONF: &str = "/etc/slurm/slurm.conf";

/// A controller of a Rafter cluster.
#[derive(Clone, Debug, Parser)]
#[command(name = "rafterctld", version, about, max_term_width = 100)]
pub(crate) struct Options {
    /// The cluster's configuration (slurm.conf).
    #[arg(short, long, value_name = "FILE", env = "SLURM_CONF", default_value = DEFAULT_CONF)]
    pub(crate) conf: PathBuf,
    /// Which controller this is: a SlurmctldHost of the configuration. By itself the one with this
    /// host's name, or the only one.
    #[arg(short, long)]
    pub(crate) name: Option<String>,
    /// This controller's own directory, shared with no other. By itself StateSaveLocation.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Where client.conf is, by which commands on this host find the cluster.
    #[arg(long, value_name = "DIR")]
    #[arg(env = site::FOLDER_VARIABLE, default_value = site::DEFAULT_FOLDER)]
    pub(crate) site_dir: PathBuf,
    /// Where it listens, and where others reach it. By itself the port of the configuration.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Makes a new cluster with this controller as its first, and exits.
    #[arg(long, conflicts_with = "join")]
    pub(crate) init: bool,
    /// With --init: the user who may do everything, beside root. By itself SlurmUser, or whoever
    /// runs this.
    #[arg(long, value_name = "UID", requires = "init")]
    pub(crate) operator: Option<u32>,
    /// Joins a cluster with a token of `rafter controller token`, and serves.
    #[arg(long, value_name = "TOKEN", requires = "controller")]
    pub(crate) join: Option<String>,
    /// With --join: where a controller of the cluster listens. May be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) controller: Vec<String>,
    /// Makes a new cluster from a backup (`rafter backup`), with this controller as its first, and
    /// exits. Nodes and further controllers join it by tokens.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["init", "join", "recover"])]
    pub(crate) restore: Option<PathBuf>,
    /// When all other controllers are lost: makes this one the cluster, and exits. What they
    /// acknowledged without it is lost. By itself it only says what that would be.
    #[arg(long, conflicts_with_all = ["init", "join"])]
    pub(crate) recover: bool,
    /// With --recover: do it.
    #[arg(long, requires = "recover")]
    pub(crate) accept_loss: bool,
    /// With --restore or --recover: nothing was submitted, started or ended after the copy, as
    /// where the cluster was stopped for it. Jobs that wait are not held, then.
    #[arg(long)]
    pub(crate) nothing_since: bool,
    /// With --restore or --recover: how many ids of jobs are passed over, which may have been given
    /// after the copy.
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    pub(crate) pass_over_ids: u32,
    /// How lines on stderr look.
    #[arg(long, value_enum, default_value_t = LogFormat::Human)]
    pub(crate) log_format: LogFormat,
    /// Says more: once for what it does, twice for everything. RUST_LOG takes its place.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Human,
    Json,
}

/// What the options and the configuration come to.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) conf: PathBuf,
    pub(crate) config: Config,
    pub(crate) name: String,
    pub(crate) state_dir: PathBuf,
    pub(crate) site_dir: PathBuf,
    /// Where the port is opened.
    pub(crate) bind: String,
    /// Where others reach it.
    pub(crate) address: String,
}

impl Settings {
    /// How long this controller's certificate counts, before the log can be asked.
    pub(crate) fn lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.config.certificate_lifetime_s))
    }
}

impl Options {
    /// Which lines are written where `RUST_LOG` says nothing.
    #[must_use]
    pub(crate) fn filter(&self) -> &'static str {
        match self.verbose {
            0 => "info,openraft=error,h2=warn,hyper=warn,tonic=warn",
            1 => "debug,openraft=warn,h2=warn,hyper=warn,hyper_util=warn,tonic=info,rustls=warn",
            _ => "trace",
        }
    }

    /// Reads the configuration, and fills in what the options leave open.
    ///
    /// # Errors
    /// Where the configuration is wrong, or something can't be told from it.
    pub(crate) fn settle(&self) -> Result<Settings, String> {
        let config = conf::read(&self.conf)?;
        let own = conf::own(&config, self.name.as_deref())?;
        let name = match (&self.name, own) {
            (Some(name), _) => name.clone(),
            (None, Some(own)) => own.name.clone(),
            (None, None) => return Err("no SlurmctldHost is configured: say --name".to_owned()),
        };
        check_name(&name).map_err(|error| format!("controller {name}: {error}"))?;
        let (bind, address) = match (&self.listen, own) {
            (Some(listen), own) => {
                let (host, port) = host_port(listen)?;
                let public = match own {
                    Some(own) if is_any(host) => with_port(&own.address, port),
                    Some(_) | None => listen.clone(),
                };
                (listen.clone(), public)
            }
            (None, Some(own)) => {
                // Behind translated addresses the configured one need not be this host's own; on
                // loopback it is, and nothing else should be opened.
                let host = if is_loopback(&own.address) { &own.address } else { "0.0.0.0" };
                (with_port(host, own.port), with_port(&own.address, own.port))
            }
            (None, None) => {
                return Err(format!(
                    "{name} is no SlurmctldHost of {}: say with --listen where it listens",
                    self.conf.display()
                ));
            }
        };
        let state_dir = self.state_dir.clone();
        let state_dir = state_dir.unwrap_or_else(|| PathBuf::from(&config.state_save_location));
        if !state_dir.is_absolute() {
            return Err(format!("{} is not an absolute path", state_dir.display()));
        }
        let (conf, site_dir) = (absolute(&self.conf), absolute(&self.site_dir));
        Ok(Settings { conf, config, name, state_dir, site_dir, bind, address })
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The two parts of `HOST:PORT`.
fn host_port(text: &str) -> Result<(&str, u16), String> {
    let wrong = || format!("{text:?} is not HOST:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    if host.is_empty() { Err(wrong()) } else { Ok((host, port)) }
}

fn with_port(host: &str, port: u16) -> String {
    // An address of IPv6 has colons of its own.
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

fn is_any(host: &str) -> bool {
    matches!(host, "0.0.0.0" | "[::]" | "*")
}

fn is_loopback(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn settle(conf: &str, more: &[&str]) -> Result<Settings, String> {
        let scratch = tempfile::tempdir().expect("a folder");
        let path = scratch.path().join("slurm.conf");
        fs::write(&path, conf).expect("written");
        let path = path.to_str().expect("a text");
        let line = ["rafterctld", "--conf", path].into_iter().chain(more.iter().copied());
        Options::try_parse_from(line).map_err(|error| error.to_string())?.settle()
    }

    const CONF: &str = "ClusterName=test\nStateSaveLocation=/var/lib/rafter\n\
        SlurmctldHost=ctl1(127.0.0.1)\nSlurmctldHost=ctl2(10.0.0.2)\nSlurmctldPort=7001\n\
        NodeName=n1 CPUs=1\nPartitionName=cpu Nodes=n1 Default=YES\n";

    #[test]
    fn the_configuration_fills_in_what_options_leave_open() {
        let one = settle(CONF, &["--name", "ctl1"]).expect("settled");
        assert_eq!((one.bind.as_str(), one.address.as_str()), ("127.0.0.1:7001", "127.0.0.1:7001"));
        assert_eq!(one.state_dir, Path::new("/var/lib/rafter"));
        let two = settle(CONF, &["--name", "ctl2"]).expect("settled");
        assert_eq!((two.bind.as_str(), two.address.as_str()), ("0.0.0.0:7001", "10.0.0.2:7001"));
        let two = settle(CONF, &["--name", "ctl2", "--listen", "0.0.0.0:9"]).expect("settled");
        assert_eq!((two.bind.as_str(), two.address.as_str()), ("0.0.0.0:9", "10.0.0.2:9"));
        let new = ["--name", "ctl9", "--listen", "127.0.0.1:9", "--state-dir", "/x"];
        let new = settle(CONF, &new).expect("settled");
        assert_eq!((new.bind.as_str(), new.state_dir.as_path()), ("127.0.0.1:9", Path::new("/x")));
    }

    #[test]
    fn what_can_t_be_told_is_asked_for() {
        for (more, named) in [
            (&["--name", "ctl9"][..], "--listen"),
            (&["--name", "a/b", "--listen", "x:1"], "a/b"),
            (&["--name", "ctl1", "--listen", "x"], "HOST:PORT"),
            (&["--name", "ctl1", "--state-dir", "x"], "absolute"),
            (&["--init", "--join", "x"], "cannot be used with"),
            (&["--join", "x"], "--controller"),
        ] {
            let refused = settle(CONF, more).expect_err(named);
            assert!(refused.contains(named), "{refused}");
        }
        let refused = settle("Nonsense=1\n", &[]).expect_err("no configuration");
        assert!(refused.contains("slurm.conf:1"), "{refused}");
    }
}
