//! The job's cgroups, where some can be had.
//!
//! Two things are asked of the kernel: to kill all of the job's processes at once, and to hold
//! them to their memory. Each comes from the unified hierarchy where it offers it, else from a
//! hierarchy of version 1 (freezer, memory), else not at all; on hosts with both, such as those
//! with `systemd.unified_cgroup_hierarchy=0`, from one of each. In the unified hierarchy the job
//! also gets its weight on the CPUs.
//!
//! The files are written directly. cgroups-rs speaks D-Bus and brings 75 crates; a supervisor
//! writes six small files.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    processes::{self, Process},
    spool::Tracking,
};

/// All cgroups of Rafter are in this one, in each hierarchy.
const PARENT: &str = "rafter";

/// How long the kernel gets to notice that a cgroup is empty.
const REMOVAL: Duration = Duration::from_millis(500);

/// The cgroups of one job.
#[derive(Debug, Default)]
pub struct Groups {
    /// Kills all of its members.
    killing: Option<PathBuf>,
    /// Holds its members to their memory.
    memory: Option<PathBuf>,
}

/// Where the hierarchies are mounted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mounts {
    unified: Option<PathBuf>,
    freezer: Option<PathBuf>,
    memory: Option<PathBuf>,
}

impl Groups {
    /// Makes what can be had for the job `name`. Never fails: what can't be had is left out.
    #[must_use]
    pub fn make(name: &str, cpus: u32, memory_mib: Option<u64>) -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        Mounts::parse(&mounts).make(name, cpus, memory_mib)
    }

    /// Those that an earlier supervisor made.
    #[must_use]
    pub fn of_paths(paths: &[PathBuf]) -> Vec<Self> {
        let one = |path: &PathBuf| Self { killing: Some(path.clone()), memory: None };
        paths.iter().map(one).collect()
    }

    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        let mut paths: Vec<_> = self.killing.iter().chain(&self.memory).cloned().collect();
        paths.dedup();
        paths
    }

    /// Moves the calling process in. What it can't enter is of no use, and is given up.
    pub fn enter(&mut self) {
        let enter = |path: &PathBuf| fs::write(path.join("cgroup.procs"), "0").is_ok();
        let shared = self.killing == self.memory;
        self.killing.take_if(|path| !enter(path));
        if shared {
            self.memory.clone_from(&self.killing);
        } else {
            self.memory.take_if(|path| !enter(path));
        }
    }

    #[must_use]
    pub fn limits_memory(&self) -> bool {
        self.memory.is_some()
    }

    #[must_use]
    pub fn tracking(&self) -> Tracking {
        match &self.killing {
            None => Tracking::Subreaper,
            Some(path) if path.join("freezer.state").exists() => Tracking::Cgroup1,
            Some(_) => Tracking::Cgroup2,
        }
    }

    /// Gives up what [`Groups::enter`] gave up in the process that entered.
    pub fn keep(&mut self, paths: &[PathBuf]) {
        for group in [&mut self.killing, &mut self.memory] {
            if let Some(path) = group.take_if(|path| !paths.contains(path)) {
                let _ = fs::remove_dir(path);
            }
        }
    }

    /// The living members.
    #[must_use]
    pub fn members(&self) -> Vec<Process> {
        let Some(path) = &self.killing else { return Vec::new() };
        let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| processes::process(line.parse().ok()?)).collect()
    }

    /// Kills all members at once. Where that can't be done, nothing is: the caller walks its
    /// descendants in any case.
    pub fn kill(&self) {
        let Some(path) = &self.killing else { return };
        if fs::write(path.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        // Before Linux 5.14, and in version 1. Frozen processes fork no more, and take the signal
        // when they thaw.
        let (file, freeze, thaw) = match path.join("freezer.state") {
            file if file.exists() => (file, "FROZEN", "THAWED"),
            _ => (path.join("cgroup.freeze"), "1", "0"),
        };
        let _ = fs::write(&file, freeze);
        for process in self.members() {
            processes::signal(process, Signal::KILL);
        }
        let _ = fs::write(&file, thaw);
    }

    /// How many processes the kernel has killed because the job used up its memory.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        let Some(path) = &self.memory else { return 0 };
        let events = fs::read_to_string(path.join("memory.events"));
        let events = events.or_else(|_| fs::read_to_string(path.join("memory.oom_control")));
        oom_kills(&events.unwrap_or_default())
    }

    /// Removes them. They have no members any more.
    pub fn remove(&self) {
        let patience = Instant::now() + REMOVAL;
        for path in self.paths() {
            // A member that has been reaped may count for a moment longer.
            while let Err(error) = fs::remove_dir(&path)
                && error.kind() == ErrorKind::ResourceBusy
                && Instant::now() < patience
            {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

impl Mounts {
    /// From `/proc/self/mounts`: device, folder, type, options.
    fn parse(text: &str) -> Self {
        let mut mounts = Self::default();
        for line in text.lines() {
            let mut words = line.split(' ').skip(1);
            let (Some(folder), Some(kind), Some(options)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let slot = match kind {
                "cgroup2" => &mut mounts.unified,
                "cgroup" if options.split(',').any(|option| option == "freezer") => {
                    &mut mounts.freezer
                }
                "cgroup" if options.split(',').any(|option| option == "memory") => {
                    &mut mounts.memory
                }
                _ => continue,
            };
            slot.get_or_insert_with(|| PathBuf::from(folder));
        }
        mounts
    }

    fn make(&self, name: &str, cpus: u32, memory_mib: Option<u64>) -> Groups {
        let unified = self.unified.as_deref().and_then(|root| make_unified(root, name).ok());
        let mut groups = Groups::default();
        if let Some(path) = &unified {
            // A thousand CPUs are the most that a weight can tell from others.
            let weight = cpus.saturating_mul(10).clamp(1, 10_000);
            let _ = fs::write(path.join("cpu.weight"), weight.to_string());
        }
        groups.killing = unified.clone().or_else(|| make_in(self.freezer.as_deref()?, name).ok());
        let Some(bytes) = memory_mib.map(|mib| mib.saturating_mul(1 << 20)) else { return groups };
        let limited = |path: &PathBuf, file| fs::write(path.join(file), bytes.to_string()).is_ok();
        groups.memory = unified.filter(|path| limited(path, "memory.max")).or_else(|| {
            let path = make_in(self.memory.as_deref()?, name).ok()?;
            if limited(&path, "memory.limit_in_bytes") {
                return Some(path);
            }
            let _ = fs::remove_dir(path);
            None
        });
        groups
    }
}

/// In the unified hierarchy: below its root for root, else below the cgroup that this process is
/// in, if that was delegated to its user.
fn make_unified(mount: &Path, name: &str) -> io::Result<PathBuf> {
    let mut within = mount.to_owned();
    if !nix::unistd::geteuid().is_root() {
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
        within.push(own.ok_or(ErrorKind::NotFound)?);
    }
    let parent = within.join(PARENT);
    make_folder(&parent)?;
    for folder in [&within, &parent] {
        let file = folder.join("cgroup.subtree_control");
        let enabled = fs::read_to_string(&file).unwrap_or_default();
        for controller in ["memory", "cpu"] {
            if !enabled.split_whitespace().any(|word| word == controller) {
                // It may be in use by a hierarchy of version 1, or not delegated.
                let _ = fs::write(&file, format!("+{controller}"));
            }
        }
    }
    let path = parent.join(name);
    make_folder(&path)?;
    Ok(path)
}

fn make_in(mount: &Path, name: &str) -> io::Result<PathBuf> {
    let parent = mount.join(PARENT);
    make_folder(&parent)?;
    let path = parent.join(name);
    make_folder(&path)?;
    Ok(path)
}

fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// From `memory.events`, or `memory.oom_control` of version 1.
fn oom_kills(text: &str) -> u64 {
    let count = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
    text.lines().find_map(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_where_they_are_mounted() {
        let hybrid = "tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0\n\
                      cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0\n\
                      cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n\
                      cgroup /sys/fs/cgroup/freezer cgroup rw,freezer 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";
        let expected = Mounts {
            unified: Some("/sys/fs/cgroup/unified".into()),
            freezer: Some("/sys/fs/cgroup/freezer".into()),
            memory: Some("/sys/fs/cgroup/memory".into()),
        };
        assert_eq!(Mounts::parse(hybrid), expected);

        let unified = "cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n";
        let expected = Mounts { unified: Some("/sys/fs/cgroup".into()), ..Mounts::default() };
        assert_eq!(Mounts::parse(unified), expected);
    }

    #[test]
    fn oom_kills_of_both_versions_are_counted() {
        assert_eq!(oom_kills("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"), 2);
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"), 1);
        assert_eq!(oom_kills(""), 0);
    }

    /// What the hierarchies would hold is made in folders of an ordinary file system.
    #[test]
    fn each_is_taken_from_where_it_can_be_had() {
        let root = tempfile::tempdir().unwrap();
        let mount = |name: &str| {
            let path = root.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let (freezer, memory) = (mount("freezer"), mount("memory"));
        let mounts = Mounts {
            unified: Some(root.path().join("absent")),
            freezer: Some(freezer.clone()),
            memory: Some(memory.clone()),
        };

        let groups = mounts.make("job_7.1", 2, None);
        assert_eq!(groups.paths(), [freezer.join("rafter/job_7.1")]);
        assert!(!groups.limits_memory());

        let groups = mounts.make("job_8.1", 2, Some(3));
        let memory = memory.join("rafter/job_8.1");
        assert_eq!(groups.paths(), [freezer.join("rafter/job_8.1"), memory.clone()]);
        assert_eq!(fs::read_to_string(memory.join("memory.limit_in_bytes")).unwrap(), "3145728");

        assert_eq!(Mounts::default().make("job_9.1", 2, Some(3)).paths(), [] as [PathBuf; 0]);
    }
}
