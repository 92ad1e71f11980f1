//! What a job needs of each node.

use std::sync::Arc;

use common::{
    config::{Config, MemoryPer, PartitionConf},
    cpus::{CpuLayout, Grain, Steps},
    gres::{Units, Wanted},
    job::{CoreAsk, Job, JobSpec, MemoryRequest},
    resources::Resources,
};

use crate::{
    gres::Kinds,
    timeline::{Amounts, InSteps, KINDS, Portion},
};

/// What a job needs, with the cluster's and the partition's defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    pub nodes_min: u32,
    pub nodes_max: u32,
    /// Tasks, or what else is placed in one piece (see [`Units`]).
    pub tasks: u32,
    pub cpus_per_task: u32,
    /// [`Units::tasks_each`]
    pub tasks_each: u32,
    pub tasks_per_node: Option<u32>,
    /// At least as many CPUs on each node.
    pub cpus_min: u32,
    pub memory: Memory,
    /// What CPUs are given out in.
    pub grain: Grain,
    /// And what of them is used.
    pub cores: CoreAsk,
    /// Whole nodes.
    pub exclusive: bool,
    /// None where no generic resources are asked for.
    pub gres: Option<Arc<GresNeed>>,
}

/// What a job needs of generic resources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GresNeed {
    pub of_node: Vec<Wanted>,
    pub units: Units,
}

impl GresNeed {
    fn of(spec: &JobSpec, units: &Units) -> Option<Arc<Self>> {
        let request = spec.gres.as_deref()?;
        let of_node: Vec<Wanted> = request.of_node().cloned().collect();
        let any = !of_node.is_empty() || !units.gpus.is_empty();
        any.then(|| Arc::new(Self { of_node, units: units.clone() }))
    }

    /// What so many tasks on a node are given.
    pub(crate) fn on_node(&self, tasks: u32) -> Vec<Wanted> {
        let many = |wanted: &Wanted| {
            let count = wanted.count.saturating_mul(u64::from(tasks));
            Wanted { count, ..wanted.clone() }
        };
        self.of_node.iter().cloned().chain(self.units.gpus.iter().map(many)).collect()
    }

    /// The GPUs among that.
    fn gpus(&self, tasks: u32) -> u64 {
        let on_node = self.on_node(tasks);
        let gpus = on_node.iter().filter(|wanted| wanted.name == common::gres::GPU);
        gpus.fold(0, |sum, wanted| sum.saturating_add(wanted.count))
    }
}

/// All of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole {
    pub(crate) total: Resources,
    pub(crate) layout: CpuLayout,
}

/// How much memory a job takes of each node, in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Memory {
    /// Not counted on this cluster.
    Free,
    /// All that the node has: what Slurm gives where nothing is asked and nothing is configured.
    /// No more than the limit of memory allows.
    All(MemoryPer),
    PerNode(u64),
    PerCpu(u64),
    PerGpu(u64),
}

/// What `job` needs in `partition`.
#[must_use]
pub fn need(config: &Config, partition: &PartitionConf, job: &Job) -> Need {
    let layout = &job.spec.layout;
    // All the nodes that a job names are its own, even if its tasks would need fewer.
    let named = u32::try_from(job.spec.required_nodes.len()).unwrap_or(u32::MAX);
    let asked = layout.min_nodes.max(named).max(1);
    let nodes_max = layout.max_nodes.unwrap_or(if layout.nodes_given {
        asked
    } else {
        // Without `--nodes`, the tasks spread over as many nodes as they need.
        u32::MAX
    });
    let nodes_min = asked.max(job.spec.constraint().least_nodes());
    let nodes_max = nodes_max.max(named).min(partition.max_nodes.unwrap_or(u32::MAX));
    let units = job.spec.units(nodes_min);
    let per_gpu = job.spec.gres.as_ref().and_then(|gres| gres.memory_per_gpu);
    Need {
        nodes_min,
        nodes_max,
        tasks: units.count,
        cpus_per_task: units.cpus,
        tasks_each: units.tasks_each,
        tasks_per_node: units.most_on_node,
        cpus_min: units.cpus_min,
        memory: match per_gpu {
            Some(mib) if config.select_memory => Memory::PerGpu(mib),
            Some(_) | None => memory(config, partition, job.spec.memory),
        },
        grain: config.grain,
        cores: job.spec.asks().cores,
        exclusive: job.spec.exclusive || partition.exclusive,
        gres: GresNeed::of(&job.spec, &units),
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
    /// The CPUs that it takes at least, on all nodes together.
    #[must_use]
    pub fn cpus(&self) -> u64 {
        let of_tasks = u64::from(self.tasks) * u64::from(self.cpus_per_task);
        of_tasks.max(u64::from(self.nodes_min) * u64::from(self.cpus_min))
    }

    /// What of it concerns one node alone.
    pub(crate) fn of_node(&self) -> Self {
        Self { nodes_min: 0, nodes_max: 0, tasks: 0, ..self.clone() }
    }

    /// What it takes of a node of that class.
    pub(crate) fn portion(&self, whole: Whole, kinds: &Kinds, all: Amounts) -> Portion {
        let mut portion = self.simple_portion(whole);
        if self.exclusive {
            // A whole node is all of its generic resources, too (sbatch(1)).
            portion.least = portion.least.max(all);
            portion.floor = portion.floor.max(all);
        }
        let Some(gres) = &self.gres else { return portion };
        match (kinds.asked(gres.of_node.iter()), kinds.asked(gres.units.gpus.iter())) {
            (Some(of_node), Some(of_task)) => {
                portion.floor = portion.floor.max(of_node);
                portion.per_task = portion.per_task.max(of_task);
            }
            // Nowhere is there as much.
            (None, _) | (_, None) => portion.least = Amounts([u64::MAX; KINDS]),
        }
        portion
    }

    /// The same without generic resources.
    fn simple_portion(&self, whole: Whole) -> Portion {
        let total = whole.total;
        let per_cpu = match self.memory {
            Memory::PerCpu(mib) => mib,
            // What the CPUs that an exclusive job did not ask for bring is in the floor.
            Memory::All(MemoryPer::Cpu(mib)) if !self.exclusive => mib,
            Memory::Free
            | Memory::PerNode(_)
            | Memory::PerGpu(_)
            | Memory::All(MemoryPer::Unlimited | MemoryPer::Node(_) | MemoryPer::Cpu(_)) => 0,
        };
        let cpus = u64::from(self.cpus_per_task);
        let memory_most = match self.memory {
            Memory::All(_) => total.memory_mib,
            Memory::Free | Memory::PerNode(_) | Memory::PerCpu(_) | Memory::PerGpu(_) => u64::MAX,
        };
        let mut most = [u64::MAX; KINDS];
        most[1] = memory_most;
        let mut per_task = [0; KINDS];
        (per_task[0], per_task[1]) = (cpus, cpus.saturating_mul(per_cpu));
        let steps = self.steps(whole.layout);
        let in_steps = (!steps.is_single() && steps.of_task > 0).then(|| {
            let (taken, used) = (u64::from(steps.taken), u64::from(steps.used));
            (per_task[0], per_task[1]) = (0, 0);
            InSteps { steps, each: Amounts::of([taken, used.saturating_mul(per_cpu)]) }
        });
        if let Memory::PerGpu(mib) = self.memory {
            per_task[1] = mib.saturating_mul(self.gpus(1) - self.gpus(0));
        }
        Portion {
            least: if self.exclusive { amounts(total) } else { Amounts::NONE },
            floor: amounts(self.held(whole, 0)),
            per_task: Amounts(per_task),
            in_steps,
            most: Amounts(most),
        }
    }

    fn gpus(&self, tasks: u32) -> u64 {
        self.gres.as_ref().map_or(0, |gres| gres.gpus(tasks))
    }

    fn steps(&self, layout: CpuLayout) -> Steps {
        Steps::of(layout, self.grain, (self.cpus_per_task, self.tasks_each), &self.cores)
    }

    /// What `tasks` tasks hold of a node.
    pub(crate) fn held(&self, whole: Whole, tasks: u32) -> Resources {
        let Whole { total, layout } = whole;
        let steps = self.steps(layout);
        let count = steps.count(tasks, self.cpus_min);
        // A whole node is all of its CPUs, and as much memory as is asked for (sbatch(1)).
        let taken = if self.exclusive { total.cpus } else { count.saturating_mul(steps.taken) };
        // Memory goes with these.
        let cpus = if self.exclusive { total.cpus } else { count.saturating_mul(steps.used) };
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
            Memory::PerGpu(mib) => mib.saturating_mul(self.gpus(tasks)),
        };
        Resources { cpus: taken, memory_mib }
    }
}

/// As the timeline counts them.
pub(crate) fn amounts(resources: Resources) -> Amounts {
    let mut amounts = [0; KINDS];
    amounts[0] = u64::from(resources.cpus);
    amounts[1] = resources.memory_mib;
    Amounts(amounts)
}
