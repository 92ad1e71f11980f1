//! What a heterogeneous job's script is told of its components.

use common::{
    config::{Config, MemoryPer},
    hostlist::Hostlist,
    job::Job,
};

use super::{Variables, counts, memory};

impl Variables {
    /// `SLURM_JOB_ID_HET_GROUP_1` and so on, of each component, the leader's first.
    pub(super) fn of_components(&mut self, leader: &Job, led: &[Job], config: &Config) {
        self.set("SLURM_HET_SIZE", led.len() + 1);
        for (group, job) in std::iter::once(leader).chain(led).enumerate() {
            self.of_component(group, job, config);
        }
    }

    fn of_component(&mut self, group: usize, job: &Job, config: &Config) {
        let Some(run) = job.run() else { return };
        let (spec, layout, places) = (&job.spec, &job.spec.layout, &run.places);
        let nodes = Hostlist::from_names(places.iter().map(|place| place.node.as_str()));
        let mut of_group = |name: &str, value: &dyn std::fmt::Display| {
            self.set(&format!("{name}_HET_GROUP_{group}"), value);
        };
        of_group("SLURM_JOB_ID", &job.id);
        of_group("SLURM_JOB_NAME", &spec.name);
        of_group("SLURM_JOB_PARTITION", &job.partition);
        of_group("SLURM_JOB_NODELIST", &nodes);
        of_group("SLURM_JOB_NUM_NODES", &places.len());
        let cpus = places.iter().map(|place| place.held.cpus);
        of_group("SLURM_JOB_CPUS_PER_NODE", &counts(cpus));
        let tasks = places.iter().map(|place| place.tasks);
        of_group("SLURM_TASKS_PER_NODE", &counts(tasks));
        if let Some(account) = &spec.account {
            of_group("SLURM_JOB_ACCOUNT", account);
        }
        if let Some(qos) = &spec.qos {
            of_group("SLURM_JOB_QOS", qos);
        }
        if layout.tasks_given {
            of_group("SLURM_NTASKS", &layout.tasks);
            of_group("SLURM_NPROCS", &layout.tasks);
        }
        if let Some(cpus) = layout.cpus_per_task {
            of_group("SLURM_CPUS_PER_TASK", &cpus);
        }
        match memory(job, config) {
            MemoryPer::Unlimited => {}
            MemoryPer::Node(mib) => of_group("SLURM_MEM_PER_NODE", &mib),
            MemoryPer::Cpu(mib) => of_group("SLURM_MEM_PER_CPU", &mib),
        }
    }
}
