//! Reading the configuration file, and what a controller takes from it for itself.

use std::{fs, path::Path, sync::Arc};

use common::config::{Config, ControllerConf};

use crate::{home::host_name, shared::ReadConfig};

/// Reads the file at `path` and what it includes.
///
/// # Errors
/// All that is wrong with it, as text for people, with file and line.
pub fn read(path: &Path) -> Result<Config, String> {
    common::config::parse(path, |path: &Path| fs::read_to_string(path))
        .map_err(|error| error.to_string())
}

/// Reads the same file each time.
#[must_use]
pub fn reader(path: &Path) -> ReadConfig {
    let path = path.to_owned();
    Arc::new(move || read(&path))
}

/// Which of the configured controllers this one is: the one of that `name`, or else the one that
/// has this host's name, or the only one.
///
/// # Errors
/// Where that can't be told.
pub fn own<'a>(
    config: &'a Config,
    name: Option<&str>,
) -> Result<Option<&'a ControllerConf>, String> {
    if let Some(name) = name {
        return Ok(config.controllers.iter().find(|conf| conf.name == name));
    }
    let host = host_name();
    let short = host.split('.').next().unwrap_or(&host);
    let here = |conf: &&ControllerConf| conf.name == host || conf.name == short;
    match (config.controllers.iter().find(here), config.controllers.as_slice()) {
        (Some(conf), _) | (None, [conf]) => Ok(Some(conf)),
        (None, several) => {
            let names: Vec<_> = several.iter().map(|conf| conf.name.as_str()).collect();
            let names = names.join(", ");
            Err(format!("this host is called {host}; say with --name which of {names} this is"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(names: &[&str]) -> Config {
        let controller = |name: &&str| ControllerConf {
            name: (*name).to_owned(),
            address: "127.0.0.1".to_owned(),
            port: 6817,
        };
        Config { controllers: names.iter().map(controller).collect(), ..Config::defaults("test") }
    }

    #[test]
    fn a_controller_knows_itself() {
        let host = host_name();
        let short = host.split('.').next().expect("the first part");
        let name =
            |config: &Config, given| own(config, given).map(|own| own.map(|own| own.name.clone()));
        let named = config(&["elsewhere", short]);
        assert_eq!(name(&named, None), Ok(Some(short.to_owned())));
        assert_eq!(name(&config(&["only"]), None), Ok(Some("only".to_owned())));
        assert_eq!(name(&named, Some("elsewhere")), Ok(Some("elsewhere".to_owned())));
        assert_eq!(name(&named, Some("ctl9")), Ok(None));
        let unknown = name(&config(&["elsewhere", "afar"]), None).expect_err("which one?");
        assert!(unknown.contains("--name which of elsewhere, afar"), "{unknown}");
    }
}
