//! What a job needs of each node, and on which nodes it finds that.

use std::cmp::Reverse;

use common::{
    config::{Config, MemoryPer, PartitionConf},
    job::{Job, MemoryRequest, Place},
    resources::Resources,
};

use crate::books::{Books, Share};

/// What a job needs, with the cluster's and the partition's defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    pub nodes_min: u32,
    pub nodes_max: u32,
    pub tasks: u32,
    pub cpus_per_task: u32,
    pub tasks_per_node: Option<u32>,
    /// At least as many CPUs on each node.
    pub cpus_min: u32,
    pub memory: Memory,
    /// Whole nodes.
    pub exclusive: bool,
}

/// How much memory a job takes of each node, in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Not counted on this cluster.
    Free,
    /// All that the node has: what Slurm gives where nothing is asked and nothing is configured.
    /// No more than the limit of memory allows.
    All(MemoryPer),
    PerNode(u64),
    PerCpu(u64),
}

/// What `job` needs in `partition`.
#[must_use]
pub fn need(config: &Config, partition: &PartitionConf, job: &Job) -> Need {
    let layout = &job.spec.layout;
    // All the nodes that a job names are its own, even if its tasks would need fewer.
    let named = u32::try_from(job.spec.required_nodes.len()).unwrap_or(u32::MAX);
    let nodes_min = layout.min_nodes.max(named).max(1);
    let nodes_max = layout.max_nodes.unwrap_or(if layout.nodes_given {
        nodes_min
    } else {
        // Without `--nodes`, the tasks spread over as many nodes as they need.
        u32::MAX
    });
    let nodes_max = nodes_max.max(named).min(partition.max_nodes.unwrap_or(u32::MAX));
    Need {
        nodes_min,
        nodes_max,
        tasks: layout.tasks.max(nodes_min),
        cpus_per_task: layout.cpus_per_task.unwrap_or(1).max(1),
        tasks_per_node: layout.tasks_per_node,
        cpus_min: layout.min_cpus_per_node.unwrap_or(1).max(1),
        memory: memory(config, partition, job.spec.memory),
        exclusive: job.spec.exclusive || partition.exclusive,
    }
}

fn memory(config: &Config, partition: &PartitionConf, asked: MemoryRequest) -> Memory {
    if !config.select_memory {
        return Memory::Free;
    }
    let all = Memory::All(partition.max_memory.unwrap_or(config.max_memory));
    match asked {
        MemoryRequest::PerNode(0) => all,
        MemoryRequest::PerNode(mib) => Memory::PerNode(mib),
        MemoryRequest::PerCpu(mib) => Memory::PerCpu(mib),
        MemoryRequest::Default => match partition.def_memory.unwrap_or(config.def_memory) {
            MemoryPer::Unlimited => all,
            MemoryPer::Node(mib) => Memory::PerNode(mib),
            MemoryPer::Cpu(mib) => Memory::PerCpu(mib),
        },
    }
}

impl Need {
    /// How many tasks fit on a node that has `free` of its `total`; none where not even one does.
    fn tasks_on(&self, share: &Share) -> u32 {
        if self.exclusive && share.free != share.total {
            return 0;
        }
        let most =
            self.tasks_per_node.unwrap_or(u32::MAX).min(share.free.cpus / self.cpus_per_task);
        let fitting = match self.memory {
            Memory::Free | Memory::All(_) | Memory::PerNode(_) => most,
            Memory::PerCpu(0) => most,
            Memory::PerCpu(mib) => {
                let cpus = share.free.memory_mib / mib;
                most.min(u32::try_from(cpus).unwrap_or(u32::MAX) / self.cpus_per_task)
            }
        };
        if fitting > 0 && self.held(share.total, fitting).fits_in(share.free) { fitting } else { 0 }
    }

    /// What `tasks` tasks hold of a node that has `total` in all.
    #[must_use]
    pub fn held(&self, total: Resources, tasks: u32) -> Resources {
        // A whole node is all of its CPUs, and as much memory as is asked for (sbatch(1)).
        let cpus = if self.exclusive {
            total.cpus
        } else {
            tasks.saturating_mul(self.cpus_per_task).max(self.cpus_min)
        };
        let memory_mib = match self.memory {
            Memory::Free => 0,
            Memory::All(MemoryPer::Unlimited) => total.memory_mib,
            Memory::All(MemoryPer::Node(most)) => total.memory_mib.min(most),
            Memory::All(MemoryPer::Cpu(most)) => {
                total.memory_mib.min(most.saturating_mul(u64::from(cpus)))
            }
            Memory::PerNode(mib) => mib,
            // The CPUs that an exclusive job did not ask for bring no more than there is.
            Memory::PerCpu(mib) if self.exclusive => {
                total.memory_mib.min(mib.saturating_mul(u64::from(cpus)))
            }
            Memory::PerCpu(mib) => mib.saturating_mul(u64::from(cpus)),
        };
        Resources { cpus, memory_mib }
    }

    /// The nodes of `candidates` that the job would run on now, in the order of its ranks; none
    /// where they do not suffice. `required` must be among them.
    ///
    /// First fit: required nodes first, then the lighter weights, then the configuration's order.
    /// Each node takes as many tasks as fit, and leaves one for each node that must follow. Where
    /// the job may not have as many nodes as that takes, those come first that take most.
    pub(crate) fn place(
        &self,
        books: &Books,
        candidates: &[usize],
        required: &[usize],
    ) -> Option<Vec<Place>> {
        let mut order: Vec<(usize, u32)> = candidates
            .iter()
            .map(|at| (*at, self.tasks_on(books.share(*at))))
            .filter(|(_, tasks)| *tasks > 0)
            .collect();
        if !required.iter().all(|at| order.iter().any(|(usable, _)| usable == at)) {
            return None;
        }
        order.sort_by_key(|(at, _)| (!required.contains(at), books.share(*at).weight));
        let chosen = self.spread(&order).or_else(|| {
            let cut = order.len() > self.nodes_max as usize;
            order.sort_by_key(|(at, fitting)| (!required.contains(at), Reverse(*fitting)));
            cut.then(|| self.spread(&order)).flatten()
        });
        chosen.map(|mut chosen| {
            // Ranks follow the configuration's order, as Slurm's node lists do.
            chosen.sort_by_key(|(at, _)| *at);
            let place = |(at, tasks)| {
                let share = books.share(at);
                Place { node: share.name.clone(), held: self.held(share.total, tasks), tasks }
            };
            chosen.into_iter().map(place).collect()
        })
    }

    /// How many tasks each of the first nodes takes, where they take all together.
    fn spread(&self, order: &[(usize, u32)]) -> Option<Vec<(usize, u32)>> {
        let mut left = self.tasks;
        let mut chosen = Vec::new();
        let nodes_min = self.nodes_min as usize;
        for &(at, fitting) in order {
            let placed = chosen.len();
            if left == 0 || placed >= self.nodes_max as usize {
                break;
            }
            let must_follow = nodes_min.saturating_sub(placed + 1);
            let spare = left.saturating_sub(u32::try_from(must_follow).unwrap_or(u32::MAX)).max(1);
            let tasks = fitting.min(spare);
            left -= tasks.min(left);
            chosen.push((at, tasks));
        }
        (left == 0 && chosen.len() >= nodes_min).then_some(chosen)
    }
}
