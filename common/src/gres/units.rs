//! What is placed on nodes in one piece: a task with its CPUs and GPUs, or a GPU with what tasks
//! go with it.

use super::{GresRequest, Wanted};
use crate::job::JobSpec;

/// How a job's tasks, CPUs and GPUs go together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Units {
    /// How many there are; each node gets one at least.
    pub count: u32,
    /// CPUs of each.
    pub cpus: u32,
    /// CPUs that each node has to give at least.
    pub cpus_min: u32,
    /// GPUs of each.
    pub gpus: Vec<Wanted>,
    /// The most of them on one node.
    pub most_on_node: Option<u32>,
    /// How many tasks all of them are together, where a unit is not a task.
    pub tasks: Option<u32>,
    /// How many of those come with each, at most; 0 where it is each node that has one.
    pub tasks_each: u32,
}

impl JobSpec {
    /// What is placed, if the job has so many nodes at least.
    #[must_use]
    pub fn units(&self, nodes_min: u32) -> Units {
        let layout = &self.layout;
        let cpus = layout.cpus_per_task.unwrap_or(1).max(1);
        let plain = Units {
            count: layout.tasks.max(nodes_min),
            cpus,
            cpus_min: layout.min_cpus_per_node.unwrap_or(1).max(1),
            gpus: vec![],
            most_on_node: layout.tasks_per_node,
            tasks: None,
            tasks_each: 1,
        };
        let Some(request) = self.gres.as_deref() else { return plain };
        let with = |gpus: u64| request.cpus_with(gpus);
        if request.node_gpus() > 0 {
            let cpus_min = plain.cpus_min.max(with(request.node_gpus()));
            return Units { cpus_min, ..plain };
        }
        if request.task_gpus() > 0 {
            let (cpus, gpus) = (cpus.max(with(request.task_gpus())), request.gpus_per_task.clone());
            return Units { cpus, gpus, ..plain };
        }
        match request.gpus.first() {
            Some(gpus) => self.shared_out(request, gpus, plain),
            None => plain,
        }
    }

    /// What it asks for of generic resources on all its nodes together, if it has so many.
    #[must_use]
    pub fn gres_in_all(&self, nodes_min: u32) -> Vec<Wanted> {
        let Some(request) = self.gres.as_deref() else { return vec![] };
        let units = self.units(nodes_min);
        let many = |times: u32| {
            move |wanted: &Wanted| {
                let count = wanted.count.saturating_mul(u64::from(times));
                Wanted { count, ..wanted.clone() }
            }
        };
        let of_nodes = request.of_node().map(many(nodes_min));
        of_nodes.chain(units.gpus.iter().map(many(units.count))).collect()
    }

    /// GPUs that are asked for on all nodes together: as many with each task, or on each node,
    /// where that comes out even; else each by itself.
    fn shared_out(&self, request: &GresRequest, all: &Wanted, plain: Units) -> Units {
        let layout = &self.layout;
        let count = u32::try_from(all.count).unwrap_or(u32::MAX);
        let tasks = plain.count;
        let same_nodes = layout.nodes_given && layout.max_nodes == Some(layout.min_nodes);
        let each = |gpus: u64| vec![Wanted { count: gpus, ..all.clone() }];
        if (layout.tasks_given || same_nodes) && count % tasks == 0 {
            let gpus = u64::from(count / tasks);
            let cpus = plain.cpus.max(request.cpus_with(gpus));
            return Units { cpus, gpus: each(gpus), ..plain };
        }
        let share = |of: u32| of.saturating_mul(count).div_ceil(tasks);
        let of_tasks = plain.cpus.saturating_mul(tasks).div_ceil(count);
        let cpus = if layout.tasks_given { of_tasks } else { 0 };
        Units {
            count,
            cpus: cpus.max(request.cpus_with(1)),
            cpus_min: plain.cpus_min.max(plain.cpus),
            gpus: each(1),
            most_on_node: plain.most_on_node.filter(|_| layout.tasks_given).map(share),
            tasks: Some(tasks),
            tasks_each: if layout.tasks_given { tasks.div_ceil(count) } else { 0 },
        }
    }
}

impl GresRequest {
    /// The CPUs that go with so many GPUs.
    fn cpus_with(&self, gpus: u64) -> u32 {
        let cpus = u64::from(self.cpus_per_gpu.unwrap_or(0)).saturating_mul(gpus);
        u32::try_from(cpus).unwrap_or(u32::MAX)
    }
}

impl Units {
    /// The tasks on each node, of which each has so many units.
    #[must_use]
    pub fn tasks_on(&self, units: &[u32]) -> Vec<u32> {
        let Some(tasks) = self.tasks else { return units.to_vec() };
        let (tasks, count) = (u64::from(tasks), u64::from(self.count.max(1)));
        let (mut seen, mut given) = (0, 0);
        let share = |units: &u32| {
            seen += u64::from(*units);
            // Whoever has a share of the job has a task of it.
            let until = (tasks * seen / count).max(given + 1);
            let share = until - given;
            given = until;
            u32::try_from(share).unwrap_or(u32::MAX)
        };
        units.iter().map(share).collect()
    }
}
