//! What a driver leaves that was itself killed is taken away by the next one.
//!
//! Each run has a mark in [`MARKS`]: a file with the run's prefix for its name, which holds the
//! folder of its disks. A run whose driver is gone is over.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use nix::{
    mount::{MntFlags, umount2},
    unistd::Pid,
};

use super::{
    hosts::{Hosts, is_zombie},
    memory::Memory,
};

const MARKS: &str = "/run/rafter-chaos";

/// A run's mark; taken away when this is dropped.
#[derive(Debug)]
pub(super) struct Mark(PathBuf);

impl Mark {
    /// # Errors
    /// Where it can't be written.
    pub(super) fn set(prefix: &str, disks: &Path) -> Result<Self> {
        fs::create_dir_all(MARKS).context(MARKS)?;
        let path = Path::new(MARKS).join(prefix);
        fs::write(&path, disks.to_string_lossy().as_bytes())?;
        Ok(Self(path))
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The prefix of the calling process's run.
pub(super) fn prefix() -> String {
    format!("rc{}", std::process::id())
}

/// Takes away what runs have left whose drivers are gone.
pub(super) fn sweep() {
    let marks = fs::read_dir(MARKS).into_iter().flatten().flatten();
    for mark in marks {
        let name = mark.file_name().to_string_lossy().into_owned();
        let driver = name.strip_prefix("rc").and_then(|driver| driver.parse().ok());
        if driver.is_none_or(|driver| !is_zombie(Pid::from_raw(driver))) {
            continue;
        }
        // Its processes end, and its namespaces go, as it is dropped.
        drop(Hosts::left(&name));
        Memory::forget(&name);
        let disks = fs::read_to_string(mark.path()).unwrap_or_default();
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let mounted = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for path in mounted.filter(|path| !disks.is_empty() && path.starts_with(&disks)) {
            let _ = umount2(path, MntFlags::MNT_DETACH);
        }
        let _ = fs::remove_dir_all(Path::new(&disks).join("image"));
        let _ = fs::remove_file(mark.path());
    }
}
