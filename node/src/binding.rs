//! Which of this machine's CPUs the ids of a job's CPUs mean.
//!
//! Ids count through the configured node's sockets, cores and threads. The machine's CPUs in the
//! same order, whatever the kernel's numbers are, are what they mean.

use std::{collections::BTreeMap, fs, path::Path};

use common::{
    config::NodeConf,
    cpus::{CpuLayout, CpuSet},
};

use crate::inventory::usable_cpus;

/// The machine's cores, socket by socket: the kernel's numbers of each one's CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    cores: Vec<Vec<u32>>,
}

impl Machine {
    /// This machine, as far as this process may use it. None where it does not tell.
    #[must_use]
    pub fn read() -> Option<Self> {
        Self::of(Path::new("/sys/devices/system/cpu"), usable_cpus())
    }

    /// From `/sys/devices/system/cpu`.
    fn of(folder: &Path, usable: impl IntoIterator<Item = usize>) -> Option<Self> {
        let mut cores: BTreeMap<(i64, i64), Vec<u32>> = BTreeMap::new();
        for cpu in usable {
            let number = |name: &str| {
                let path = folder.join(format!("cpu{cpu}/topology/{name}"));
                fs::read_to_string(path).ok()?.trim().parse::<i64>().ok()
            };
            let core = (number("physical_package_id")?, number("core_id")?);
            cores.entry(core).or_default().push(u32::try_from(cpu).ok()?);
        }
        Some(Self { cores: cores.into_values().collect() })
    }

    /// The kernel's numbers of what a job holds of the node; none where the machine has fewer CPUs
    /// than the node is configured with: it stands for a larger one.
    #[must_use]
    pub fn cpus(&self, conf: &NodeConf, held: &CpuSet) -> Vec<u32> {
        let layout = CpuLayout::of(conf);
        let configured = layout.cpus() as usize;
        // Where `CPUs` counts cores, an id means all threads of one.
        let of_cores = layout.threads < conf.threads_per_core || configured == self.cores.len();
        let size = if of_cores { usize::MAX } else { 1 };
        let units: Vec<&[u32]> = self.cores.iter().flat_map(|core| core.chunks(size)).collect();
        if configured > units.len() {
            return vec![];
        }
        let meant = held.iter().filter_map(|id| units.get(id as usize));
        let mut cpus: Vec<u32> = meant.flat_map(|unit| unit.iter().copied()).collect();
        cpus.sort_unstable();
        cpus
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sockets of two cores of two threads, of which the kernel counts the second ones last.
    fn machine() -> Machine {
        let folder = tempfile::tempdir().expect("a folder");
        for cpu in 0..8 {
            let topology = folder.path().join(format!("cpu{cpu}/topology"));
            fs::create_dir_all(&topology).expect("made");
            let (socket, core) = (cpu % 2, cpu / 2 % 2);
            fs::write(topology.join("physical_package_id"), format!("{socket}\n")).expect("made");
            fs::write(topology.join("core_id"), format!("{core}\n")).expect("made");
        }
        Machine::of(folder.path(), 0..8).expect("it tells")
    }

    fn node(cpus: u32, cores: u32, threads: u32) -> NodeConf {
        let sockets = 2;
        NodeConf {
            cpus,
            sockets,
            cores_per_socket: cores,
            threads_per_core: threads,
            ..NodeConf::defaults("n1")
        }
    }

    #[test]
    fn ids_mean_cpus_core_by_core() {
        let machine = machine();
        assert_eq!(machine.cores, [[0, 4], [2, 6], [1, 5], [3, 7]]);
        let cpus = |conf: &NodeConf, ids: &[u32]| {
            machine.cpus(conf, &ids.iter().copied().collect::<CpuSet>())
        };
        assert_eq!(cpus(&node(8, 2, 2), &[0, 1]), [0, 4], "a core");
        assert_eq!(cpus(&node(8, 2, 2), &[2, 3, 4, 5]), [1, 2, 5, 6]);
        assert_eq!(cpus(&node(4, 2, 2), &[1]), [2, 6], "a CPU is a core");
        assert_eq!(cpus(&node(4, 2, 1), &[1]), [2, 6], "there are as many cores");
        assert_eq!(cpus(&node(16, 4, 2), &[0]), [0_u32; 0], "a larger node than the machine");
        assert_eq!(cpus(&node(8, 2, 2), &[]), [0_u32; 0]);
    }
}
