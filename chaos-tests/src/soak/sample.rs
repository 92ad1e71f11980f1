//! What is measured, and how: the kernel's word on each controller's memory, and the sizes of the
//! files of its store.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// One moment of the run: a line of `samples.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds since the first submission.
    pub at_s: f64,
    /// How many jobs had been acknowledged, and how many had a recorded end.
    pub acknowledged: u64,
    pub ended: u64,
    /// How many were in the live state: ended ones stay for `MinJobAge`.
    pub live: u64,
    /// Since the sample before.
    pub submissions_per_s: f64,
    pub ends_per_s: f64,
    /// By controller.
    pub controllers: BTreeMap<String, Usage>,
    /// `VmRSS` of the process that is all nodes, if there is one.
    pub fleet_rss_kib: Option<u64>,
}

/// What a controller uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// `VmRSS`, `VmHWM` and `RssAnon` of proc_pid_status(5).
    pub rss_kib: u64,
    pub peak_kib: u64,
    pub anonymous_kib: u64,
    /// On the disk, as du(1) counts it.
    pub log_kib: u64,
    pub snapshots_kib: u64,
    pub history_kib: u64,
}

/// What the process is called that is all nodes.
pub(super) const FLEET: &str = "fleet";

/// The folder of a cluster that `cargo xtask cluster` raised.
#[derive(Clone, Debug)]
pub struct Premises {
    root: PathBuf,
    pub controllers: Vec<String>,
}

impl Premises {
    /// # Errors
    /// Where there is no cluster.
    pub fn open(root: &Path) -> Result<Self> {
        let state = root.join("state");
        let entries = fs::read_dir(&state).with_context(|| state.display().to_string())?;
        let mut controllers = Vec::new();
        for entry in entries {
            controllers.push(entry?.file_name().to_string_lossy().into_owned());
        }
        controllers.sort();
        Ok(Self { root: root.to_owned(), controllers })
    }

    /// A command that talks to the cluster.
    #[must_use]
    pub fn command(&self, name: &str) -> std::process::Command {
        let mut command = std::process::Command::new(self.root.join("bin").join(name));
        command.env("RAFTER_DIR", self.root.join("site"));
        command.env("SLURM_CONF", self.root.join("slurm.conf"));
        command.stdin(std::process::Stdio::null());
        command
    }

    /// # Errors
    /// Where a controller does not run.
    pub fn usage(&self) -> Result<BTreeMap<String, Usage>> {
        let of = |name: &String| Ok((name.clone(), self.usage_of(name)?));
        self.controllers.iter().map(of).collect()
    }

    /// # Errors
    /// Where there was one and it runs no more.
    pub fn fleet_rss_kib(&self) -> Result<Option<u64>> {
        if !self.pid_file(FLEET).exists() {
            return Ok(None);
        }
        Ok(kib_of(&self.status(FLEET)?, "VmRSS"))
    }

    fn pid_file(&self, name: &str) -> PathBuf {
        self.root.join(format!("run/{name}.pid"))
    }

    fn status(&self, name: &str) -> Result<String> {
        let pid = fs::read_to_string(self.pid_file(name))?;
        let status = fs::read_to_string(format!("/proc/{}/status", pid.trim()));
        status.with_context(|| format!("{name} does not run"))
    }

    fn usage_of(&self, name: &str) -> Result<Usage> {
        let status = self.status(name)?;
        let kib = |key| kib_of(&status, key).with_context(|| format!("{name} has no {key}"));
        let store = self.root.join("state").join(name).join("store");
        Ok(Usage {
            rss_kib: kib("VmRSS")?,
            peak_kib: kib("VmHWM")?,
            anonymous_kib: kib("RssAnon")?,
            log_kib: size_kib(&store.join("log"))?,
            snapshots_kib: size_kib(&store.join("snapshots"))?,
            history_kib: size_kib(&store.join("history"))?,
        })
    }
}

fn kib_of(status: &str, key: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    value.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// What a folder takes of its disk. Files come and go meanwhile.
fn size_kib(path: &Path) -> io::Result<u64> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if gone(&error) => return Ok(0),
        Err(error) => return Err(error),
    };
    // Blocks of 512 bytes, whatever the file system's own are (stat(2)).
    let mut kib = metadata.blocks() / 2;
    if metadata.is_dir() {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if gone(&error) => return Ok(kib),
            Err(error) => return Err(error),
        };
        for entry in entries {
            kib += size_kib(&entry?.path())?;
        }
    }
    Ok(kib)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        let status = "Name:\tx\nVmHWM:\t  180012 kB\nVmRSS:\t  163840 kB\nRssAnon:\t      12 kB\n";
        let all = ["VmRSS", "VmHWM", "RssAnon", "VmR"].map(|key| kib_of(status, key));
        assert_eq!(all, [Some(163_840), Some(180_012), Some(12), None]);
        let own = fs::read_to_string("/proc/self/status").expect("every process has one");
        assert!(kib_of(&own, "VmRSS").is_some_and(|kib| kib > 100));
    }

    #[test]
    fn a_folder_is_as_large_as_what_is_in_it() {
        let scratch = tempfile::tempdir().expect("a folder");
        let empty = size_kib(scratch.path()).expect("read");
        fs::create_dir(scratch.path().join("a")).expect("made");
        fs::write(scratch.path().join("a/b"), vec![1; 300 << 10]).expect("written");
        let file = File::open(scratch.path().join("a/b")).expect("opened");
        // Until then some file systems have not given it its blocks.
        file.sync_all().expect("synced");
        let full = size_kib(scratch.path()).expect("read");
        assert!((300..400).contains(&(full - empty)), "{empty} {full}");
        assert_eq!(size_kib(&scratch.path().join("c")).expect("nothing"), 0);
    }
}
