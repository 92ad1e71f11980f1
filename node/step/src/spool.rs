//! The run's folder, `SPOOL/jobs/JOB.ATTEMPT`, and what it tells.
//!
//! ```text
//!   daemon:      slurm_script  environment  manifest.json     (prepare)
//!   supervisor:  lock  control  begun.json  started.json  ended.json  log
//!
//!   Unprepared ──▶ NotStarted ──▶ Running ──▶ Ended
//!                                    └──────▶ Orphaned: the supervisor died, or the host did
//! ```
//!
//! **Invariant:** the script is started at most once for each folder. The supervisor holds the
//! lock while it lives, and leaves `begun.json` before it starts the script; where that file is,
//! no supervisor starts again. A manifest of an earlier boot is not started either, so neither
//! file need outlive the kernel, and neither is fsynced. `ended.json` is, before anybody hears of
//! it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::{
        fd::AsFd as _,
        unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::fcntl::{FcntlArg, fcntl};
use serde::{Deserialize, Serialize};

use self::told::record;
use crate::manifest::{self, Manifest, Unusable, VERSION};

mod told;

pub use told::{Files, told};

/// What a folder's name ends in while it is being removed.
const GONE: &str = ".gone";

/// A node's spool directory, as `SlurmdSpoolDir=` has it.
#[derive(Clone, Debug)]
pub struct Spool {
    jobs: PathBuf,
}

/// One run's folder. It need not be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Folder {
    path: PathBuf,
    pub job: u32,
    pub attempt: u32,
}

/// What a folder tells about its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The daemon died while it wrote the folder. The script has never been started.
    Unprepared,
    /// The supervisor has not begun, and may be started.
    NotStarted,
    /// A supervisor lives. `started.json` is there once the script has been started.
    Running(Option<Started>),
    Ended(Ended),
    /// No supervisor lives, and none may be started again: it was killed, or the host went down.
    /// [`crate::orphans::reap`] removes what it may have left running.
    Orphaned,
}

/// `begun.json`: written before the script is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    pub boot: String,
    /// The cgroups that hold the job's processes.
    pub cgroups: Vec<PathBuf>,
}

/// `started.json`: the script has been executed. True of this boot only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    /// The batch script's process, and the leader of its session and process group.
    pub pid: i32,
    /// Its start, in clock ticks since the boot (proc(5), field 22 of `stat`): tells it from a
    /// later process of the same number.
    pub start_ticks: u64,
    pub tracking: Tracking,
    /// Whether the kernel holds the job to its memory limit.
    pub memory_limited: bool,
}

/// What kills the job's processes, all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tracking {
    /// A freezer cgroup.
    Cgroup1,
    Cgroup2,
    /// No cgroup could be had: the supervisor adopts all descendants and walks them.
    Subreaper,
}

/// `ended.json`: the script has ended and none of its descendants is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    pub exit_code: u8,
    /// The signal that killed the script, or one of Slurm's own numbers: 53 where its files could
    /// not be opened, 125 where it ran out of memory.
    pub signal: u8,
    pub out_of_memory: bool,
    /// The script was not started at all.
    pub launch_failure: Option<LaunchFailure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchFailure {
    pub message: String,
    /// It would fail on this node whatever the job is.
    pub node_fault: bool,
}

/// A file of the spool that can't be read, written or understood.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("can't {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is not what Rafter writes there", path.display())]
    Broken { path: PathBuf, source: serde_json::Error },
    #[error("{} is of version {version}, and this release knows {VERSION}", path.display())]
    Version { path: PathBuf, version: u32 },
}

/// Held by the supervisor while it lives, and by nobody else.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Spool {
    /// The spool in `root`, made where it is not there.
    ///
    /// # Errors
    /// Where it can't be made.
    pub fn open(root: &Path) -> Result<Self, SpoolError> {
        let jobs = root.join("jobs");
        // Users pass through to their scripts, and list nothing.
        let made = DirBuilder::new().recursive(true).mode(0o711).create(&jobs);
        made.map_err(failed("make", &jobs))?;
        Ok(Self { jobs })
    }

    #[must_use]
    pub fn folder(&self, job: u32, attempt: u32) -> Folder {
        Folder { path: self.jobs.join(format!("{job}.{attempt}")), job, attempt }
    }

    /// Removes what a crash in the middle of [`Folder::remove`] left.
    ///
    /// # Errors
    /// Where the spool can't be read, or something can't be removed.
    pub fn sweep(&self) -> Result<(), SpoolError> {
        for entry in fs::read_dir(&self.jobs).map_err(failed("read", &self.jobs))? {
            let path = entry.map_err(failed("read", &self.jobs))?.path();
            if path.to_string_lossy().ends_with(GONE) {
                fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }

    /// The folders of all runs, in no particular order.
    ///
    /// # Errors
    /// Where the spool can't be read.
    pub fn folders(&self) -> Result<Vec<Folder>, SpoolError> {
        let mut folders = Vec::new();
        for entry in fs::read_dir(&self.jobs).map_err(failed("read", &self.jobs))? {
            let entry = entry.map_err(failed("read", &self.jobs))?;
            folders.extend(Folder::at(&entry.path()));
        }
        Ok(folders)
    }
}

impl Folder {
    /// The run that `path` is named after; none where its name is not `JOB.ATTEMPT`.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        let (job, attempt) = path.file_name()?.to_str()?.split_once('.')?;
        let number = |text: &str| {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| plain)
        };
        Some(Self { path: path.to_owned(), job: number(job)?, attempt: number(attempt)? })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The batch script's copy, which the job's owner executes.
    #[must_use]
    pub fn script(&self) -> PathBuf {
        self.path.join("slurm_script")
    }

    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.path.join("control")
    }

    /// Writes the folder: once this returns, a daemon that dies and comes back knows of the order.
    /// `environment` is whole but for `SLURM_TASK_PID`: `NAME=value` texts, each followed by a NUL.
    ///
    /// Not fsynced: the start of a script would wait for the disk, and for nothing. A host that
    /// goes down and comes up is in another life, by which the cluster knows that none of what it
    /// was ordered before may begin, whatever of it the disk still holds.
    ///
    /// # Errors
    /// Where it can't be written, or is there already. What was written stays: see
    /// [`Folder::remove`].
    pub fn prepare(
        &self,
        manifest: &Manifest,
        script: &[u8],
        environment: &[u8],
    ) -> Result<(), SpoolError> {
        let made = DirBuilder::new().mode(0o711).create(&self.path);
        made.map_err(failed("make", &self.path))?;
        write(&self.script(), script, 0o700)?;
        write(&self.path.join("environment"), environment, 0o600)?;
        self.record("manifest.json", manifest, Durable::No)
    }

    /// Removes the folder and all in it, if it is there. A crash in the middle leaves nothing that
    /// could be taken for a run: one whose end went before its manifest would be started again.
    ///
    /// # Errors
    /// Where it is there and can't be removed.
    pub fn remove(&self) -> Result<(), SpoolError> {
        let gone = self.path.with_file_name(format!("{}.{}{GONE}", self.job, self.attempt));
        match fs::rename(&self.path, &gone) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("rename", &self.path)(error)),
            Ok(()) => {}
        }
        fs::remove_dir_all(&gone).map_err(failed("remove", &gone))
    }

    /// The command that starts the supervisor `program` on this folder. It returns at once, with
    /// success as soon as the supervisor lives on its own: the lock is held, and `control` accepts
    /// connections. Otherwise its standard error says why not.
    #[must_use]
    pub fn supervisor(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.arg(&self.path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// What became of the run.
    ///
    /// # Errors
    /// Where the folder can't be read.
    pub fn found(&self) -> Result<Found, SpoolError> {
        told(self)
    }

    /// # Errors
    /// Where it can't be read, is not there, or is of another version.
    pub fn manifest(&self) -> Result<Manifest, SpoolError> {
        let path = self.path.join("manifest.json");
        let content = fs::read(&path).map_err(failed("read", &path))?;
        manifest::read(&content).map_err(|unusable| match unusable {
            Unusable::Broken(source) => SpoolError::Broken { path, source },
            Unusable::Version(version) => SpoolError::Version { path, version },
        })
    }

    /// The environment's texts; what is not `NAME=value` is left out.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn environment(&self) -> Result<Vec<Vec<u8>>, SpoolError> {
        let path = self.path.join("environment");
        let content = fs::read(&path).map_err(failed("read", &path))?;
        Ok(texts(&content))
    }

    /// None until it is there. Half of one, as a full disk or a power cut leaves it, is none.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn ended(&self) -> Result<Option<Ended>, SpoolError> {
        record(self, "ended.json")
    }

    /// # Errors
    /// Where it can't be read.
    pub fn started(&self) -> Result<Option<Started>, SpoolError> {
        record(self, "started.json")
    }

    /// # Errors
    /// Where it can't be read.
    pub fn begun(&self) -> Result<Option<Begun>, SpoolError> {
        record(self, "begun.json")
    }

    /// Whether a supervisor has begun, ever: an empty or torn `begun.json` says so, too.
    ///
    /// # Errors
    /// Where the folder can't be read.
    pub fn has_begun(&self) -> Result<bool, SpoolError> {
        let path = self.path.join("begun.json");
        path.try_exists().map_err(failed("look for", &path))
    }

    /// # Errors
    /// Where it can't be written.
    pub fn write_begun(&self, begun: &Begun) -> Result<(), SpoolError> {
        self.record("begun.json", begun, Durable::No)
    }

    /// # Errors
    /// Where it can't be written.
    pub fn write_started(&self, started: &Started) -> Result<(), SpoolError> {
        self.record("started.json", started, Durable::No)
    }

    /// Durable, once this returns.
    ///
    /// # Errors
    /// Where it can't be written, as on a full disk. It may be tried again.
    pub fn write_ended(&self, ended: &Ended) -> Result<(), SpoolError> {
        self.record("ended.json", ended, Durable::Yes)
    }

    /// Takes the supervisor's lock; none where another process has it.
    ///
    /// # Errors
    /// Where the file can't be made or locked.
    pub fn lock(&self) -> Result<Option<Lock>, SpoolError> {
        let path = self.path.join("lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(&path).map_err(failed("open", &path))?;
        match fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&whole_file())) {
            Ok(_) => Ok(Some(Lock { _file: file })),
            Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(None),
            Err(error) => Err(failed("lock", &path)(error.into())),
        }
    }

    /// Puts a file in place at once: a reader sees all of it or none.
    fn record<T: Serialize>(
        &self,
        name: &str,
        value: &T,
        durable: Durable,
    ) -> Result<(), SpoolError> {
        let content = serde_json::to_vec(value).expect("records have only text keys");
        let (path, draft) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let file = write(&draft, &content, 0o600)?;
        // Renamed first: the one fsync then covers the name, too, on the usual file systems. Half
        // a file, as a power cut between the two leaves it, is read as none.
        fs::rename(&draft, &path).map_err(failed("rename", &draft))?;
        match durable {
            Durable::Yes => {
                file.sync_all().map_err(failed("fsync", &path))?;
                // The folder's own name is not durable until here. What the journal has committed
                // already costs next to nothing.
                sync(&self.path)?;
                sync(self.path.parent().unwrap_or(Path::new(".")))
            }
            Durable::No => Ok(()),
        }
    }
}

impl Files for Folder {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, SpoolError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Only asks: a lock taken for a moment would turn away the supervisor that begins just then.
    fn is_locked(&self) -> Result<bool, SpoolError> {
        let path = self.path.join("lock");
        let file = match OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed("open", &path)(error)),
        };
        let mut lock = whole_file();
        let asked = fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut lock));
        asked.map_err(|error| failed("ask for the lock of", &path)(error.into()))?;
        Ok(i32::from(lock.l_type) != nix::libc::F_UNLCK)
    }

    fn boot(&self) -> Result<String, SpoolError> {
        boot_id()
    }
}

#[derive(Clone, Copy)]
enum Durable {
    Yes,
    No,
}

/// The kernel's life: drawn at random when it boots.
///
/// # Errors
/// Where `/proc` does not tell.
pub fn boot_id() -> Result<String, SpoolError> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let text = fs::read_to_string(path).map_err(failed("read", path))?;
    Ok(text.trim_end().to_owned())
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<File, SpoolError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(mode);
    let mut file = options.open(path).map_err(failed("open", path))?;
    file.write_all(content).map_err(failed("write", path))?;
    Ok(file)
}

fn texts(content: &[u8]) -> Vec<Vec<u8>> {
    let named = |text: &&[u8]| text.iter().skip(1).any(|byte| *byte == b'=');
    content.split(|byte| *byte == 0).filter(named).map(<[u8]>::to_vec).collect()
}

fn sync(folder: &Path) -> Result<(), SpoolError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("fsync", folder))
}

fn whole_file() -> nix::libc::flock {
    nix::libc::flock {
        l_type: i16::try_from(nix::libc::F_WRLCK).expect("a small constant"),
        l_whence: i16::try_from(nix::libc::SEEK_SET).expect("a small constant"),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    move |source| SpoolError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
