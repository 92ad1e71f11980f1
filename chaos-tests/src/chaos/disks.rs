//! The hosts' disks: each an ext4 file system in a file of its own, mounted over a loop device.
//!
//! ```text
//! image/NAME       the disk of a controller or a node
//! mnt/NAME/        where it is mounted: kept/ is what the daemon keeps, witness/ what jobs write
//! state/NAME, spool/NAME    links to kept/, as `cargo xtask cluster` wants them
//! ```
//!
//! One can be full, and it can lose its power: what was not synced is gone after the next mount.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    errno::Errno,
    fcntl::posix_fallocate,
    mount::{MntFlags, umount2},
};

use super::shell::run;

/// Sparse: what is not used takes no room.
const CONTROLLER_MIB: u64 = 2_048;
const NODE_MIB: u64 = 512;

/// More than the kernel takes to close the files of who is dead.
const CLOSED: Duration = Duration::from_secs(10);

/// The file that fills a disk.
const FILLER: &str = "filler";

#[derive(Debug)]
pub(super) struct Disks {
    root: PathBuf,
    /// The program that cuts the power.
    powercut: PathBuf,
    names: Vec<String>,
}

impl Disks {
    /// # Errors
    /// Where no loop device can be mounted here.
    pub(super) fn raise(
        root: &Path,
        powercut: &Path,
        controllers: &[String],
        nodes: &[String],
    ) -> Result<Self> {
        for part in ["image", "mnt", "state", "spool"] {
            fs::create_dir_all(root.join(part))?;
        }
        let mut disks =
            Self { root: root.to_owned(), powercut: powercut.to_owned(), names: Vec::new() };
        for (names, kind, mib) in
            [(controllers, "state", CONTROLLER_MIB), (nodes, "spool", NODE_MIB)]
        {
            for name in names {
                disks.add(name, kind, mib)?;
            }
        }
        Ok(disks)
    }

    fn add(&mut self, name: &str, kind: &str, mib: u64) -> Result<()> {
        let (image, mounted) = (self.image(name), self.mounted(name));
        fs::create_dir_all(&mounted)?;
        fs::File::create(&image)?.set_len(mib << 20)?;
        let shown = image.to_string_lossy();
        let quick = ["-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1"];
        run("mkfs.ext4", quick.into_iter().chain([&*shown]))?;
        self.names.push(name.to_owned());
        self.mount(name)?;
        for (folder, mode) in [("kept", 0o755), ("witness", 0o1777)] {
            fs::create_dir_all(mounted.join(folder))?;
            fs::set_permissions(mounted.join(folder), fs::Permissions::from_mode(mode))?;
        }
        symlink(mounted.join("kept"), self.root.join(kind).join(name))?;
        run("sync", ["-f", &*mounted.to_string_lossy()])?;
        Ok(())
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn image(&self, name: &str) -> PathBuf {
        self.root.join("image").join(name)
    }

    fn mounted(&self, name: &str) -> PathBuf {
        self.root.join("mnt").join(name)
    }

    /// What the daemon keeps.
    pub(super) fn kept(&self, name: &str) -> PathBuf {
        self.mounted(name).join("kept")
    }

    /// Where jobs write their witnesses.
    pub(super) fn witness(&self, node: &str) -> PathBuf {
        self.mounted(node).join("witness")
    }

    fn mount(&self, name: &str) -> Result<()> {
        let (image, mounted) = (self.image(name), self.mounted(name));
        run("mount", ["-o", "loop", &*image.to_string_lossy(), &*mounted.to_string_lossy()])
            .map(drop)
    }

    /// The disk takes nothing more, and what was not synced is lost.
    ///
    /// # Errors
    /// Where the kernel does not let it.
    pub(super) fn cut_power(&self, name: &str) -> Result<()> {
        let powercut = self.powercut.to_string_lossy();
        run(&powercut, [&*self.mounted(name).to_string_lossy()]).map(drop)
    }

    /// Mounts a disk that lost its power again. Nobody may use it.
    ///
    /// # Errors
    /// Where somebody does, or its journal can't be replayed.
    pub(super) fn mount_again(&self, name: &str) -> Result<()> {
        let mounted = self.mounted(name);
        let began = Instant::now();
        // The kernel may close the files of a process a moment after its end.
        while let Err(error) = umount2(&mounted, MntFlags::empty()) {
            if error != Errno::EBUSY || began.elapsed() > CLOSED {
                bail!("{} can't be unmounted: {error}", mounted.display());
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.mount(name)
    }

    /// Takes all that is left of a disk.
    ///
    /// # Errors
    /// Where that can't be done.
    pub(super) fn fill(&self, name: &str) -> Result<()> {
        let file = fs::File::create(self.mounted(name).join(FILLER))?;
        let (mut at, mut piece) = (0_i64, 256_i64 << 20);
        while piece >= 4096 {
            match posix_fallocate(&file, at, piece) {
                Ok(()) => at += piece,
                Err(_) => piece /= 2,
            }
        }
        Ok(())
    }

    /// # Errors
    /// Where the file can't be removed.
    pub(super) fn make_room(&self, name: &str) -> Result<()> {
        fs::remove_file(self.mounted(name).join(FILLER)).context("the filler")
    }

    /// Forgets all that a daemon kept.
    ///
    /// # Errors
    /// Where it can't be removed.
    pub(super) fn wipe(&self, name: &str) -> Result<()> {
        for entry in fs::read_dir(self.kept(name))? {
            let path = entry?.path();
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }?;
        }
        Ok(())
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        for name in &self.names {
            // Lazily: nothing may keep a disk after the run.
            let _ = umount2(&self.mounted(name), MntFlags::MNT_DETACH);
        }
        let _ = fs::remove_dir_all(self.root.join("image"));
    }
}
