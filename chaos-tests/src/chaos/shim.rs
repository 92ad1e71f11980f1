//! The library that is loaded into each daemon: it moves the wall clock, and lets fsync fail or
//! take long. `host.c` is its source, and says how.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::{Context as _, Result};
use nix::errno::Errno;

use super::shell::run;

const HOST_C: &str = include_str!("host.c");
const POWERCUT_C: &str = include_str!("powercut.c");

/// What a host does to its daemons at present.
#[derive(Clone, Copy, Debug, Default)]
struct Control {
    clock_ns: i64,
    sync_errno: i32,
    sync_stall_ms: i32,
}

#[derive(Debug)]
pub(super) struct Shim {
    folder: PathBuf,
    controls: Mutex<BTreeMap<String, Control>>,
}

impl Shim {
    /// Compiles both programs into `folder`.
    ///
    /// # Errors
    /// Where there is no C compiler.
    pub(super) fn build(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let shim = Self { folder: folder.to_owned(), controls: Mutex::default() };
        let library = ["-O2", "-shared", "-fPIC"].as_slice();
        let compile = |source: &str, name: &str, words: &[&str], built: &Path| {
            let path = folder.join(name);
            fs::write(&path, source)?;
            let files = [path.to_string_lossy(), "-o".into(), built.to_string_lossy()];
            let files: Vec<&str> = files.iter().map(|word| &**word).collect();
            run("cc", words.iter().chain(&files)).context("a C compiler is needed").map(drop)
        };
        compile(HOST_C, "host.c", library, &shim.library())?;
        compile(POWERCUT_C, "powercut.c", &["-O2"], &shim.powercut())?;
        Ok(shim)
    }

    /// What LD_PRELOAD is to name.
    pub(super) fn library(&self) -> PathBuf {
        self.folder.join("host.so")
    }

    pub(super) fn powercut(&self) -> PathBuf {
        self.folder.join("powercut")
    }

    /// What RAFTER_CHAOS_CONTROL is to name.
    pub(super) fn control(&self, host: &str) -> PathBuf {
        self.folder.join(format!("{host}.control"))
    }

    /// Makes the file that a host's daemons look at.
    ///
    /// # Errors
    /// Where the disk fails.
    pub(super) fn prepare(&self, host: &str) -> Result<()> {
        fs::write(self.control(host), [0; 16])?;
        Ok(())
    }

    /// # Errors
    /// Where the disk fails.
    pub(super) fn move_clock(&self, host: &str, seconds: i64) -> Result<()> {
        self.set(host, |control| control.clock_ns += seconds * 1_000_000_000)
    }

    /// # Errors
    /// Where the disk fails.
    pub(super) fn fail_sync(&self, host: &str, fails: bool) -> Result<()> {
        let errno = if fails { Errno::EIO as i32 } else { 0 };
        self.set(host, |control| control.sync_errno = errno)
    }

    /// # Errors
    /// Where the disk fails.
    pub(super) fn stall_sync(&self, host: &str, millis: i32) -> Result<()> {
        self.set(host, |control| control.sync_stall_ms = millis)
    }

    fn set(&self, host: &str, change: impl FnOnce(&mut Control)) -> Result<()> {
        let mut controls = self.controls.lock().expect("no holder panics");
        let control = controls.entry(host.to_owned()).or_default();
        change(control);
        let Control { clock_ns, sync_errno, sync_stall_ms } = *control;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&clock_ns.to_ne_bytes());
        bytes[8..12].copy_from_slice(&sync_errno.to_ne_bytes());
        bytes[12..].copy_from_slice(&sync_stall_ms.to_ne_bytes());
        // In its place: it is mapped.
        let file = fs::OpenOptions::new().write(true).open(self.control(host))?;
        Ok(file.write_all_at(&bytes, 0)?)
    }
}
