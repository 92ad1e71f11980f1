//! A controller's own directory (`StateSaveLocation`): who it is, its keys, and its store.
//!
//! | file | what |
//! |---|---|
//! | `identity` | cluster, name, and number in Raft |
//! | `authority/` | the cluster's authority, with its key |
//! | `controller/pass` | this controller's certificate, and where the others are |
//! | `store/` | the log and its snapshots |
//! | `lock`, `owner` | who uses the directory |
//!
//! **Invariant:** one process uses a directory, and one controller ever. Slurm shares it between
//! controllers; here that would lose the log, so it is noticed and refused.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use common::id::{ClusterId, UserId};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use trust::{
    file::{self, FileError},
    identity::check_name,
};

const FIRST_LINE: &str = "rafter controller 1";

/// How long it waits for a process that has been killed to let the lock go.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error("can't {act} {}", path.display())]
    Io { act: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "{} is in use by {owner}. Each controller needs a StateSaveLocation (or --state-dir) of \
         its own: nothing is shared between them",
        folder.display()
    )]
    InUse { folder: PathBuf, owner: String },
    #[error(
        "{} belongs to {owner}, and this is {me}. Each controller needs a StateSaveLocation (or \
         --state-dir) of its own: nothing is shared between them. If that controller has become \
         this one, remove {}/owner",
        folder.display(),
        folder.display()
    )]
    Foreign { folder: PathBuf, owner: String, me: String },
    #[error("{} can't be read: line {line}", path.display())]
    Line { path: PathBuf, line: usize },
}

/// A controller's directory, locked.
#[derive(Debug)]
pub struct Home {
    folder: PathBuf,
    _lock: Flock<File>,
}

/// Who a controller is, for as long as its store lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub cluster: ClusterId,
    pub name: String,
    pub raft_id: u64,
    /// Who formed the cluster: only on its first controller.
    pub operator: Option<UserId>,
    /// Whether its store was made. If it is missing then, it was lost.
    pub stored: bool,
}

/// Who uses a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    host: String,
    boot: String,
    controller: String,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "controller {} on host {}", self.controller, self.host)
    }
}

fn during(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HomeError {
    let path = path.to_owned();
    move |source| HomeError::Io { act, path, source }
}

impl Home {
    /// Takes the directory for the controller of this name, and makes it if need be.
    ///
    /// # Errors
    /// Where another process or another controller has it, or others may write into it.
    pub fn take(folder: &Path, controller: &str) -> Result<Self, HomeError> {
        file::private_folder(folder)?;
        let lock = lock(folder)?;
        let home = Self { folder: folder.to_owned(), _lock: lock };
        let me = Owner { host: host_name(), boot: boot_id(), controller: controller.to_owned() };
        let owner = read_owner(folder)?;
        let foreign = |owner: &Owner| owner.host != me.host || owner.controller != me.controller;
        if let Some(owner) = owner.as_ref().filter(|owner| foreign(owner)) {
            let (owner, me) = (owner.to_string(), me.to_string());
            return Err(HomeError::Foreign { folder: folder.to_owned(), owner, me });
        }
        if owner.as_ref() != Some(&me) {
            let Owner { host, boot, controller } = &me;
            let text = format!("host {host}\nboot {boot}\ncontroller {controller}\n");
            file::write(&folder.join("owner"), &text, file::PUBLIC)?;
        }
        Ok(home)
    }

    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority")
    }

    #[must_use]
    pub fn pass(&self) -> PathBuf {
        self.folder.join("controller").join("pass")
    }

    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// Who this controller is; none where it is nobody yet.
    ///
    /// # Errors
    /// Where the file can't be read.
    pub fn standing(&self) -> Result<Option<Standing>, HomeError> {
        let path = self.folder.join("identity");
        match file::read_private(&path) {
            Ok(text) => Standing::parse(&text, &path).map(Some),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps who this controller is.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn set_standing(&self, standing: &Standing) -> Result<(), HomeError> {
        let path = self.folder.join("identity");
        Ok(file::write(&path, &standing.text(), file::PRIVATE)?)
    }
}

impl Standing {
    fn text(&self) -> String {
        let Self { cluster, name, raft_id, operator, stored } = self;
        let mut text = format!("{FIRST_LINE}\ncluster {cluster}\nname {name}\nraft_id {raft_id}\n");
        if let Some(operator) = operator {
            writeln!(text, "operator {operator}").expect("a String takes whatever is written");
        }
        text.push_str(if *stored { "store made\n" } else { "store to be made\n" });
        text
    }

    fn parse(text: &str, path: &Path) -> Result<Self, HomeError> {
        let wrong = |line| HomeError::Line { path: path.to_owned(), line };
        let mut lines = text.lines().enumerate();
        if lines.next().is_none_or(|(_, line)| line != FIRST_LINE) {
            return Err(wrong(1));
        }
        let (mut cluster, mut name, mut raft_id) = (None, None, None);
        let (mut operator, mut stored) = (None, None);
        for (at, line) in lines {
            let unreadable = || wrong(at + 1);
            let (key, value) = line.split_once(' ').ok_or_else(unreadable)?;
            match key {
                "cluster" => cluster = Some(value.parse().map_err(|_| unreadable())?),
                "name" if check_name(value).is_ok() => name = Some(value.to_owned()),
                "raft_id" => raft_id = Some(value.parse().map_err(|_| unreadable())?),
                "operator" => operator = Some(UserId(value.parse().map_err(|_| unreadable())?)),
                "store" if matches!(value, "made" | "to be made") => stored = Some(value == "made"),
                _ => return Err(unreadable()),
            }
        }
        let end = text.lines().count();
        let (Some(cluster), Some(name), Some(raft_id), Some(stored)) =
            (cluster, name, raft_id, stored)
        else {
            return Err(wrong(end));
        };
        Ok(Self { cluster, name, raft_id, operator, stored })
    }
}

fn lock(folder: &Path) -> Result<Flock<File>, HomeError> {
    let path = folder.join("lock");
    let mut options = OpenOptions::new();
    let open = || options.clone().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let mut file = open().map_err(during("open", &path))?;
    options.write(true);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, Errno::EWOULDBLOCK)) if Instant::now() < deadline => {
                file = back;
                thread::sleep(Duration::from_millis(50));
            }
            Err((_, Errno::EWOULDBLOCK)) => {
                let owner = read_owner(folder)?.map(|owner| owner.to_string());
                let owner = owner.unwrap_or_else(|| "another process".to_owned());
                return Err(HomeError::InUse { folder: folder.to_owned(), owner });
            }
            Err((_, errno)) => return Err(during("lock", &path)(errno.into())),
        }
    }
}

fn read_owner(folder: &Path) -> Result<Option<Owner>, HomeError> {
    let path = folder.join("owner");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(during("read", &path)(error)),
    };
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        line.map(str::to_owned)
    };
    Ok(match (value("host"), value("boot"), value("controller")) {
        (Some(host), Some(boot), Some(controller)) => Some(Owner { host, boot, controller }),
        _ => None,
    })
}

/// What this machine calls itself.
#[must_use]
pub fn host_name() -> String {
    let name = nix::unistd::gethostname();
    name.map_or_else(|_| "localhost".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Which run of which kernel: it tells two hosts of the same name apart.
fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map_or_else(|_| "unknown".to_owned(), |id| id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    #[test]
    fn who_it_is_is_kept() {
        let scratch = scratch();
        let home = Home::take(&scratch.path().join("state"), "ctl1").expect("a fresh one");
        assert_eq!(home.standing().expect("readable"), None);
        let mut standing = Standing {
            cluster: ClusterId([7; 16]),
            name: "ctl1".to_owned(),
            raft_id: 1 << 63 | 5,
            operator: Some(UserId(1000)),
            stored: false,
        };
        for operator in [Some(UserId(1000)), None] {
            standing = Standing { operator, stored: operator.is_none(), ..standing };
            home.set_standing(&standing).expect("written");
            assert_eq!(home.standing().expect("readable"), Some(standing.clone()));
        }
    }

    #[test]
    fn damaged_identities_are_refused() {
        let path = Path::new("identity");
        let good = Standing {
            cluster: ClusterId([7; 16]),
            name: "ctl1".to_owned(),
            raft_id: 1,
            operator: Some(UserId(0)),
            stored: true,
        };
        let text = good.text();
        assert_eq!(Standing::parse(&text, path).expect("good"), good);
        let damaged = [
            String::new(),
            text.replace("controller 1", "controller 2"),
            text.replace("07", "0g"),
            text.replace("name ctl1", "name c/1"),
            text.replace("name ctl1\n", ""),
            text.replace("store made", "store"),
            text.replace("raft_id 1", "raft_id x"),
            format!("{text}more 1\n"),
        ];
        for damaged in damaged {
            assert!(Standing::parse(&damaged, path).is_err(), "{damaged:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_text_panics(text in "(rafter controller 1\n)?([a-z_]{0,8} ?\\PC{0,12}\n){0,6}") {
            let _ = Standing::parse(&text, Path::new("identity"));
        }

        #[test]
        fn what_is_written_reads_back(
            cluster in any::<[u8; 16]>(),
            name in "[A-Za-z0-9_-]{1,20}",
            raft_id in any::<u64>(),
            operator in any::<Option<u32>>(),
            stored in any::<bool>(),
        ) {
            let (cluster, operator) = (ClusterId(cluster), operator.map(UserId));
            let standing = Standing { cluster, name, raft_id, operator, stored };
            let read = Standing::parse(&standing.text(), Path::new("identity"));
            prop_assert_eq!(read.ok(), Some(standing));
        }
    }

    #[test]
    fn a_directory_is_one_controller_s() {
        let scratch = scratch();
        let folder = scratch.path().join("state");
        let home = Home::take(&folder, "ctl1").expect("a fresh one");
        let second = Home::take(&folder, "ctl1").expect_err("in use");
        assert!(matches!(&second, HomeError::InUse { owner, .. } if owner.contains("ctl1")));
        drop(home);
        let other = Home::take(&folder, "ctl2").expect_err("another controller");
        assert!(matches!(other, HomeError::Foreign { .. }), "{other:?}");
        drop(Home::take(&folder, "ctl1").expect("its own, again"));

        let owner = fs::read_to_string(folder.join("owner")).expect("written");
        let moved = owner.replace(&host_name(), "elsewhere");
        fs::write(folder.join("owner"), moved).expect("written");
        let shared = Home::take(&folder, "ctl1").expect_err("another host");
        assert!(shared.to_string().contains("on host elsewhere"), "{shared}");
        // After a reboot it is the same host with another boot id.
        let rebooted = owner.replace(&boot_id(), "another");
        fs::write(folder.join("owner"), rebooted).expect("written");
        Home::take(&folder, "ctl1").expect("rebooted");
    }
}
