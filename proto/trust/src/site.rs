//! What a host knows of its cluster, for the commands that people type on it: `client.conf`.
//!
//! It holds no secret, and everybody may read it; it must belong to root or to who reads it.
//! `rafter init`, `rafterd --join` and `rafterctld --join` write it into `/etc/rafter`; the
//! environment's `RAFTER_DIR` names another folder.
//!
//! ```text
//! rafter client 1
//! cluster ref 00112233445566778899aabbccddeeff
//! controller ctl1 10.0.0.1:6817
//! controller ctl2 10.0.0.2:6817
//! # Where rafterd listens on this host, if it runs here.
//! socket /run/rafter/rafterd.sock
//! # Where the authority's key is, on a controller: who may read it needs no rafterd.
//! authority /var/lib/rafter/authority
//! # How long a command waits for an answer, in seconds (MessageTimeout).
//! message_timeout 10
//! ```

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    controllers::Address,
    file::{self, FileError},
    identity::{ClusterId, check_name},
};

/// The file's name within its folder.
pub const SITE_FILE: &str = "client.conf";

/// The folder of [`SITE_FILE`], unless the environment names another one.
pub const DEFAULT_FOLDER: &str = "/etc/rafter";

/// The environment's variable that names another folder.
pub const FOLDER_VARIABLE: &str = "RAFTER_DIR";

/// Slurm's default of `MessageTimeout`.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

const FIRST_LINE: &str = "rafter client 1";

/// Why a file says nothing of a cluster.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{path} does not begin with \"{FIRST_LINE}\"")]
    Version { path: PathBuf },
    #[error("line {line} of {path} can't be read")]
    Line { path: PathBuf, line: usize },
    #[error("{path} names no {what}")]
    Missing { path: PathBuf, what: &'static str },
}

/// A cluster, as a host knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name, as `ClusterName` has it.
    pub cluster: String,
    pub id: ClusterId,
    pub controllers: Vec<Address>,
    pub socket: Option<PathBuf>,
    pub authority: Option<PathBuf>,
    pub message_timeout: Duration,
}

impl Site {
    /// Reads [`SITE_FILE`] in `folder`.
    ///
    /// # Errors
    /// Where there is none, or it can't be understood.
    pub fn read(folder: &Path) -> Result<Self, SiteError> {
        let path = folder.join(SITE_FILE);
        Self::parse(&file::read_shared(&path)?, &path)
    }

    /// Writes [`SITE_FILE`] into `folder`, which must exist. The old content is replaced whole.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn write(&self, folder: &Path) -> Result<(), SiteError> {
        Ok(file::write(&folder.join(SITE_FILE), &self.text(), file::PUBLIC)?)
    }

    fn text(&self) -> String {
        let Self { cluster, id, controllers, socket, authority, message_timeout } = self;
        let mut text = format!("{FIRST_LINE}\ncluster {cluster} {id}\n");
        let mut line = |key: &str, value: &dyn std::fmt::Display| {
            writeln!(text, "{key} {value}").expect("a String takes whatever is written");
        };
        for Address { name, address } in controllers {
            line("controller", &format_args!("{name} {address}"));
        }
        if let Some(socket) = socket {
            line("socket", &socket.display());
        }
        if let Some(authority) = authority {
            line("authority", &authority.display());
        }
        line("message_timeout", &message_timeout.as_secs());
        text
    }

    fn parse(text: &str, path: &Path) -> Result<Self, SiteError> {
        let mut lines = text.lines().enumerate();
        if lines.next().is_none_or(|(_, line)| line.trim_end() != FIRST_LINE) {
            return Err(SiteError::Version { path: path.to_owned() });
        }
        let (mut cluster, mut controllers) = (None, Vec::new());
        let (mut socket, mut authority, mut timeout) = (None, None, None);
        for (at, line) in lines {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let unreadable = || SiteError::Line { path: path.to_owned(), line: at + 1 };
            let (key, value) = line.split_once(' ').ok_or_else(unreadable)?;
            let value = value.trim_start();
            match key {
                "cluster" if cluster.is_none() => {
                    let (name, id) = value.split_once(' ').ok_or_else(unreadable)?;
                    let id = id.trim_start().parse::<ClusterId>().map_err(|_| unreadable())?;
                    cluster = Some((name.to_owned(), id));
                }
                "controller" => {
                    let (name, address) = value.split_once(' ').ok_or_else(unreadable)?;
                    check_name(name).map_err(|_| unreadable())?;
                    let address = address.trim_start().to_owned();
                    controllers.push(Address { name: name.to_owned(), address });
                }
                "socket" if socket.is_none() => socket = Some(PathBuf::from(value)),
                "authority" if authority.is_none() => authority = Some(PathBuf::from(value)),
                "message_timeout" if timeout.is_none() => {
                    let seconds = value.parse().map_err(|_| unreadable())?;
                    timeout = Some(Duration::from_secs(seconds));
                }
                _ => return Err(unreadable()),
            }
        }
        let missing = |what| SiteError::Missing { path: path.to_owned(), what };
        let (cluster, id) = cluster.ok_or_else(|| missing("cluster"))?;
        if controllers.is_empty() {
            return Err(missing("controller"));
        }
        let message_timeout = timeout.unwrap_or(MESSAGE_TIMEOUT);
        Ok(Self { cluster, id, controllers, socket, authority, message_timeout })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        let at = |name: &str, address: &str| Address { name: name.into(), address: address.into() };
        Site {
            cluster: "ref".to_owned(),
            id: ClusterId([7; 16]),
            controllers: vec![at("ctl1", "127.0.0.1:6817"), at("ctl2", "[::1]:6817")],
            socket: Some("/run/rafter/a socket".into()),
            authority: None,
            message_timeout: Duration::from_secs(30),
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let scratch = tempfile::tempdir().expect("a folder");
        let bare = Site { socket: None, authority: Some("/a".into()), ..site() };
        for site in [site(), bare] {
            site.write(scratch.path()).expect("written");
            assert_eq!(Site::read(scratch.path()).expect("read"), site);
        }
    }

    #[test]
    fn comments_and_defaults() {
        let text = "rafter client 1\n\n # yes\ncluster c  07070707070707070707070707070707\n\
                    controller a  h:1\n";
        let site = Site::parse(text, Path::new("x")).expect("a site");
        assert_eq!(site.message_timeout, MESSAGE_TIMEOUT);
        assert_eq!(site.controllers[0].address, "h:1");
        assert_eq!((site.cluster.as_str(), site.socket), ("c", None));
    }

    #[test]
    fn damaged_files_are_refused() {
        let text = site().text();
        let cases = [
            text.replace("client 1", "client 2"),
            text.replace("cluster ref", "cluster"),
            text.replace("0707", "07"),
            text.replace("controller", "controllers"),
            text.replace("ctl1 ", "c/tl1 "),
            text.replace("message_timeout 30", "message_timeout x"),
            format!("{text}message_timeout 30\n"),
            format!("{text}sokcet /x\n"),
            "rafter client 1\ncluster c 07070707070707070707070707070707\n".to_owned(),
            String::new(),
        ];
        for (at, damaged) in cases.iter().enumerate() {
            assert!(Site::parse(damaged, Path::new("x")).is_err(), "case {at} was accepted");
        }
    }
}
