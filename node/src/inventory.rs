//! What this machine has: CPUs as the kernel lays them out, memory, disk, and its system.
//!
//! Measured once, when the daemon starts. What can't be found out is what the plainest machine
//! has, so that a container with half a `/sys` still registers.

use std::{collections::BTreeSet, fs, path::Path};

use common::{
    config::NodeConf,
    id::Incarnation,
    node::{GresFound, Inventory},
    time::Timestamp,
};
use nix::{
    sched::{CpuSet, sched_getaffinity},
    sys::{statvfs::statvfs, utsname::uname},
    unistd::Pid,
};

const MIB: u64 = 1 << 20;

/// How the CPUs are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Topology {
    cpus: u32,
    sockets: u32,
    cores_per_socket: u32,
    threads_per_core: u32,
}

impl Topology {
    /// Each CPU a core of its own on one socket.
    fn flat(cpus: u32) -> Self {
        Self { cpus, sockets: 1, cores_per_socket: cpus, threads_per_core: 1 }
    }

    /// From `/sys/devices/system/cpu`, of the CPUs in `usable`.
    fn read(folder: &Path, usable: &BTreeSet<usize>) -> Self {
        let count = u32::try_from(usable.len()).unwrap_or(u32::MAX).max(1);
        let mut sockets = BTreeSet::new();
        let mut cores = BTreeSet::new();
        for cpu in usable {
            let number = |name: &str| {
                let path = folder.join(format!("cpu{cpu}/topology/{name}"));
                fs::read_to_string(path).ok()?.trim().parse::<i64>().ok()
            };
            let (Some(socket), Some(core)) = (number("physical_package_id"), number("core_id"))
            else {
                return Self::flat(count);
            };
            sockets.insert(socket);
            cores.insert((socket, core));
        }
        let sockets = u32::try_from(sockets.len()).unwrap_or(1).max(1);
        let cores = u32::try_from(cores.len()).unwrap_or(1).max(1);
        // A lopsided machine, as affinity makes it, has no such numbers.
        if count % cores != 0 || cores % sockets != 0 {
            return Self::flat(count);
        }
        Self {
            cpus: count,
            sockets,
            cores_per_socket: cores / sockets,
            threads_per_core: count / cores,
        }
    }
}

/// Measures the machine. With `pose`, it claims to have that many CPUs.
#[must_use]
pub fn measure(pose: Option<u32>, incarnation: Incarnation, now: Timestamp) -> Inventory {
    let topology = match pose {
        Some(cpus) => Topology::flat(cpus),
        None => Topology::read(Path::new("/sys/devices/system/cpu"), &usable_cpus()),
    };
    let (architecture, operating_system) = system();
    Inventory {
        cpus: topology.cpus,
        boards: 1,
        sockets: topology.sockets,
        cores_per_socket: topology.cores_per_socket,
        threads_per_core: topology.threads_per_core,
        memory_mib: meminfo("MemTotal").unwrap_or(1),
        tmp_disk_mib: tmp_disk_mib(),
        architecture,
        operating_system,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        booted: booted().unwrap_or(now),
        daemon_started: now,
        incarnation,
        gres: None,
    }
}

/// What is there of the generic resources that the configuration gives the node: devices by their
/// files, and what has none as it is counted. None where it gives none.
#[must_use]
pub fn gres_found(conf: &NodeConf) -> Option<Vec<GresFound>> {
    let mut found: Vec<GresFound> = vec![];
    for gres in &conf.gres {
        let files = gres.files.iter().filter(|file| Path::new(file).exists()).count();
        let count = if gres.files.is_empty() { gres.count } else { files as u64 };
        match found.iter_mut().find(|known| known.name == gres.name) {
            Some(known) => known.count = known.count.saturating_add(count),
            None => found.push(GresFound { name: gres.name.clone(), count }),
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Whether the machine itself has become another one, as by a CPU taken offline. A kernel moves its
/// total of memory by a few MiB, which is no change.
#[must_use]
pub fn has_changed(before: &Inventory, now: &Inventory) -> bool {
    let layout = |it: &Inventory| (it.cpus, it.sockets, it.cores_per_socket, it.threads_per_core);
    let moved = before.memory_mib.abs_diff(now.memory_mib);
    let gres = before.gres != now.gres;
    layout(before) != layout(now) || moved > before.memory_mib / 50 || gres
}

/// The CPUs that this process, and so its jobs, may use.
pub(crate) fn usable_cpus() -> BTreeSet<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        return (0..count).collect();
    };
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect()
}

/// `Arch=`, and `OS=` as Slurm has it: system, release and version.
fn system() -> (String, String) {
    let unknown = || ("unknown".to_owned(), "Linux".to_owned());
    let Ok(name) = uname() else { return unknown() };
    let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
    let system = [name.sysname(), name.release(), name.version()].map(text).join(" ");
    (text(name.machine()), system)
}

/// A line of `/proc/meminfo`, in MiB.
fn meminfo(key: &str) -> Option<u64> {
    parse_meminfo(&fs::read_to_string("/proc/meminfo").ok()?, key)
}

fn parse_meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

fn tmp_disk_mib() -> u64 {
    statvfs("/tmp").map_or(0, |disk| disk.blocks().saturating_mul(disk.fragment_size()) / MIB)
}

fn booted() -> Option<Timestamp> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(Timestamp::from_seconds(line.trim().parse().ok()?))
}

/// What a heartbeat tells: the load of the last minute in hundredths, and free memory in MiB.
#[must_use]
pub fn load() -> (u64, u64) {
    let average = fs::read_to_string("/proc/loadavg").ok();
    let cpu_load = average.as_deref().and_then(parse_loadavg).unwrap_or(0);
    (cpu_load, meminfo("MemFree").unwrap_or(0))
}

fn parse_loadavg(text: &str) -> Option<u64> {
    let (whole, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    if hundredths.len() != 2 {
        return None;
    }
    Some(whole.parse::<u64>().ok()?.saturating_mul(100) + hundredths.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `/sys/devices/system/cpu` of `(socket, core)` pairs.
    fn machine(cpus: &[(u32, u32)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (cpu, (socket, core)) in cpus.iter().enumerate() {
            let topology = folder.path().join(format!("cpu{cpu}/topology"));
            fs::create_dir_all(&topology).expect("made");
            fs::write(topology.join("physical_package_id"), format!("{socket}\n")).expect("made");
            fs::write(topology.join("core_id"), format!("{core}\n")).expect("made");
        }
        folder
    }

    fn read(cpus: &[(u32, u32)], usable: &[usize]) -> Topology {
        Topology::read(machine(cpus).path(), &usable.iter().copied().collect())
    }

    #[test]
    fn threads_cores_and_sockets_are_told_apart() {
        let two_sockets: Vec<(u32, u32)> =
            [0, 1].iter().flat_map(|s| [0, 0, 1, 1, 4, 4].map(|core| (*s, core))).collect();
        let all: Vec<usize> = (0..12).collect();
        let expected = Topology { cpus: 12, sockets: 2, cores_per_socket: 3, threads_per_core: 2 };
        assert_eq!(read(&two_sockets, &all), expected);
        let one = Topology { cpus: 2, sockets: 1, cores_per_socket: 1, threads_per_core: 2 };
        assert_eq!(read(&two_sockets, &[0, 1]), one);
        assert_eq!(read(&two_sockets, &[0, 1, 2]), Topology::flat(3), "lopsided");
        assert_eq!(read(&two_sockets[..2], &[0, 7]), Topology::flat(2), "not in /sys");
        assert_eq!(read(&[], &[]), Topology::flat(1));
    }

    #[test]
    fn files_of_proc_are_understood() {
        let text = "MemTotal:       24689452 kB\nMemFreeX: 1 kB\nMemFree:  2048 kB\n";
        assert_eq!(parse_meminfo(text, "MemTotal"), Some(24110));
        assert_eq!(parse_meminfo(text, "MemFree"), Some(2));
        assert_eq!(parse_meminfo(text, "Swap"), None);
        assert_eq!(parse_loadavg("10.07 2.01 1.00 1/289 9\n"), Some(1007));
        assert_eq!(parse_loadavg("10"), None);
    }

    #[test]
    fn a_machine_changes_by_more_than_a_few_mebibytes() {
        let before = measure(Some(4), Incarnation(7), Timestamp(1));
        let later =
            Inventory { booted: Timestamp(5), daemon_started: Timestamp(9), ..before.clone() };
        assert!(!has_changed(&before, &later));
        let less = before.memory_mib - before.memory_mib / 10;
        assert!(has_changed(&before, &Inventory { memory_mib: less, ..before.clone() }));
        assert!(has_changed(&before, &measure(Some(3), Incarnation(7), Timestamp(1))));
    }

    #[test]
    fn this_machine_has_something() {
        let now = Timestamp::from_seconds(4_000_000_000);
        let inventory = measure(None, Incarnation(7), now);
        assert!(inventory.cpus >= 1 && inventory.memory_mib > 1, "{inventory:?}");
        assert!(inventory.operating_system.starts_with("Linux "), "{inventory:?}");
        assert!(inventory.booted < now && inventory.tmp_disk_mib > 0);
        let posing = measure(Some(64), Incarnation(7), now);
        assert_eq!((posing.cpus, posing.cores_per_socket, posing.threads_per_core), (64, 64, 1));
    }
}
