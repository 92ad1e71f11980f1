//! A limit on the memory of a controller: a cgroup for each, of either version.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

#[derive(Debug)]
pub(super) struct Memory {
    base: PathBuf,
    limit: &'static str,
    usage: &'static str,
    unlimited: &'static str,
}

impl Memory {
    /// None where there is no controller of memory, and why.
    pub(super) fn raise(prefix: &str, hosts: &[String]) -> Result<Self, String> {
        let root = Path::new("/sys/fs/cgroup");
        let memory = if root.join("memory/memory.limit_in_bytes").exists() {
            Self {
                base: root.join("memory").join(prefix),
                limit: "memory.limit_in_bytes",
                usage: "memory.usage_in_bytes",
                unlimited: "-1",
            }
        } else {
            let listed = fs::read_to_string(root.join("cgroup.subtree_control"));
            if !listed.is_ok_and(|listed| listed.split_whitespace().any(|it| it == "memory")) {
                return Err("no memory controller in /sys/fs/cgroup".to_owned());
            }
            Self {
                base: root.join(prefix),
                limit: "memory.max",
                usage: "memory.current",
                unlimited: "max",
            }
        };
        memory.make(hosts).map_err(|error| format!("{error:#}"))?;
        Ok(memory)
    }

    fn make(&self, hosts: &[String]) -> Result<()> {
        fs::create_dir_all(&self.base)?;
        if self.limit == "memory.max" {
            fs::write(self.base.join("cgroup.subtree_control"), "+memory")?;
        }
        for host in hosts {
            fs::create_dir_all(self.base.join(host))?;
        }
        Ok(())
    }

    /// The file by which a process enters.
    pub(super) fn door(&self, host: &str) -> PathBuf {
        self.base.join(host).join("cgroup.procs")
    }

    /// Leaves a host a little more than the processes on it need: caches go, and who allocates is
    /// killed.
    ///
    /// # Errors
    /// Where the kernel does not let it.
    pub(super) fn press(&self, host: &str) -> Result<()> {
        let folder = self.base.join(host);
        let used = fs::read_to_string(folder.join(self.usage))?;
        let mut limit: u64 = used.trim().parse().context("a number of bytes")?;
        // As far as caches can be given up.
        for _ in 0..20 {
            let less = limit / 10 * 9;
            if fs::write(folder.join(self.limit), less.to_string()).is_err() {
                break;
            }
            limit = less;
        }
        Ok(())
    }

    /// # Errors
    /// Where the kernel does not let it.
    pub(super) fn relieve(&self, host: &str) -> Result<()> {
        Ok(fs::write(self.base.join(host).join(self.limit), self.unlimited)?)
    }

    /// Removes the cgroups that a run has left.
    pub(super) fn forget(prefix: &str) {
        for root in ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"] {
            remove(&Path::new(root).join(prefix));
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        remove(&self.base);
    }
}

fn remove(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            let _ = fs::remove_dir(entry.path());
        }
    }
    let _ = fs::remove_dir(base);
}
