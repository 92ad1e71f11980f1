//! What the daemon goes by: its options, with the configuration file's defaults filled in.
//!
//! The file is read for what must be known before a controller can be asked, and for nothing else.
//! What the cluster's configuration is, the leader says.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use common::config::{self, Config, ConfigError, NodeConf};
use trust::{
    controllers::Address,
    site::{DEFAULT_FOLDER, FOLDER_VARIABLE},
};

use crate::{
    environment::Host,
    options::{DEFAULT_CONF, Options},
};

/// Why the options come to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("can't read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Conf(#[from] ConfigError),
    #[error(
        "no rafterstepd beside {} nor on the PATH: without it no job can be started",
        .0.display()
    )]
    NoSupervisor(PathBuf),
}

/// What the daemon goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// None: what the token or the certificate says.
    pub name: Option<String>,
    pub spool: PathBuf,
    pub site: PathBuf,
    /// What jobs are told of the host, but for the node's name.
    pub host: Host,
    /// `HOST:PORT` of controllers to join by.
    pub controllers: Vec<String>,
    /// The controllers that the configuration file names.
    pub configured: Vec<Address>,
}

impl Settings {
    /// # Errors
    /// Where the configuration file was named and can't be read, or is wrong.
    pub fn new(options: &Options) -> Result<Self, SettingsError> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let named = options.conf.clone().or_else(|| variable("SLURM_CONF").map(PathBuf::from));
        let path = named.clone().unwrap_or_else(|| DEFAULT_CONF.into());
        let conf = match (named, path.exists()) {
            (None, false) => None,
            (Some(_), _) | (None, true) => Some(read(&path)?),
        };
        let site = options.site_dir.clone().or_else(|| variable(FOLDER_VARIABLE).map(Into::into));
        let hostname = nix::unistd::gethostname().unwrap_or_default();
        let mut settings = Self::from(options, conf.as_ref(), &hostname.to_string_lossy());
        settings.host.conf = conf.is_some().then(|| path.to_string_lossy().into_owned());
        settings.host.site = site.as_ref().map(|site| site.to_string_lossy().into_owned());
        settings.site = site.unwrap_or_else(|| DEFAULT_FOLDER.into());
        Ok(settings)
    }

    fn from(options: &Options, conf: Option<&Config>, hostname: &str) -> Self {
        let joining = options.join.as_ref().map(|token| token.name().to_owned());
        let named = options.name.clone().or(joining);
        let node = conf.and_then(|conf| match &named {
            Some(name) => conf.node(name),
            None => of_host(conf, hostname),
        });
        let spool = conf.map_or_else(
            || Config::defaults("").slurmd_spool_dir,
            |conf| match node {
                Some(node) => conf.spool_dir(node),
                None => {
                    let name = named.as_deref().unwrap_or(hostname);
                    conf.spool_dir(&NodeConf::defaults(name))
                }
            },
        );
        let configured: Vec<Address> = conf
            .iter()
            .flat_map(|conf| &conf.controllers)
            .map(|it| Address { name: it.name.clone(), address: host_port(&it.address, it.port) })
            .collect();
        let mut controllers = options.controllers.clone();
        if controllers.is_empty() {
            controllers.extend(configured.iter().map(|it| it.address.clone()));
        }
        Self {
            name: options.name.clone(),
            spool: options.spool_dir.clone().unwrap_or_else(|| spool.into()),
            site: PathBuf::new(),
            host: Host { node: String::new(), conf: None, site: None },
            controllers,
            configured,
        }
    }
}

fn read(path: &Path) -> Result<Config, SettingsError> {
    // What the file includes may be missing; that it is itself is worth its own words.
    if let Err(source) = fs::File::open(path) {
        return Err(SettingsError::Read { path: path.to_owned(), source });
    }
    Ok(config::parse(path, |path| fs::read_to_string(path))?)
}

/// The one node that is configured for this host.
fn of_host<'a>(conf: &'a Config, hostname: &str) -> Option<&'a NodeConf> {
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let mut nodes = conf.nodes.iter().filter(|node| short(&node.hostname) == short(hostname));
    nodes.next().filter(|_| nodes.next().is_none())
}

/// An IPv6 address goes in brackets.
fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The supervisor's program: beside this one, else on the PATH.
///
/// # Errors
/// Where it is in neither place.
pub fn supervisor() -> Result<Arc<Path>, SettingsError> {
    const NAME: &str = "rafterstepd";
    let own = env::current_exe().unwrap_or_default();
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = own.parent().map(Path::to_owned).into_iter().chain(env::split_paths(&path));
    let found = folders.map(|folder| folder.join(NAME)).find(|program| program.is_file());
    found.map(Into::into).ok_or(SettingsError::NoSupervisor(own))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use common::config::ControllerConf;

    use super::*;

    fn settings(words: &[&str], conf: Option<&Config>) -> Settings {
        let words = ["rafterd"].iter().chain(words);
        let options = Options::try_parse_from(words).expect("options");
        Settings::from(&options, conf, "box7.example.com")
    }

    fn conf() -> Config {
        let node = |name: &str, host: &str| NodeConf {
            hostname: host.to_owned(),
            ..NodeConf::defaults(name)
        };
        let controller = |address: &str| ControllerConf {
            name: format!("ctl-{address}"),
            address: address.to_owned(),
            port: 6817,
        };
        Config {
            slurmd_spool_dir: "/spool/%n".to_owned(),
            nodes: vec![node("n1", "box1"), node("n7", "box7")],
            controllers: vec![controller("10.0.0.1"), controller("::1")],
            ..Config::defaults("test")
        }
    }

    #[test]
    fn options_go_before_the_file() {
        let conf = conf();
        let typed = ["-N", "n1", "--spool-dir", "/mine", "--controller", "a:1"];
        let settings = settings(&typed, Some(&conf));
        assert_eq!(settings.spool, PathBuf::from("/mine"));
        assert_eq!(settings.controllers, ["a:1"]);
    }

    #[test]
    fn the_file_fills_in_what_is_not_said() {
        let conf = conf();
        let found = settings(&[], Some(&conf));
        assert_eq!(found.spool, PathBuf::from("/spool/n7"), "by the host's name");
        assert_eq!(found.controllers, ["10.0.0.1:6817", "[::1]:6817"]);
        assert_eq!(settings(&["-N", "n1"], Some(&conf)).spool, PathBuf::from("/spool/n1"));
        assert_eq!(settings(&["-N", "n2"], Some(&conf)).spool, PathBuf::from("/spool/n2"));
    }

    #[test]
    fn without_a_file_slurms_defaults_hold() {
        let settings = settings(&[], None);
        assert_eq!(settings.spool, PathBuf::from("/var/spool/slurmd"));
        assert_eq!(settings.controllers, Vec::<String>::new());
    }
}
