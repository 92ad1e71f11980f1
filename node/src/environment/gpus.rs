//! What a script is told of its GPUs.

use common::{
    gres::{GPU, Gres, Wanted},
    job::{Job, Run},
};

use super::Variables;

/// What programs of each vendor go by: the GPUs that they may use, by their ids.
const VISIBLE: [&str; 4] =
    ["CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK"];

impl Variables {
    pub(super) fn of_gpus(&mut self, job: &Job, run: &Run) {
        let here = run.places.first().map_or(&[][..], |place| &place.gres);
        let gpus = || here.iter().filter(|gres| gres.name == GPU);
        let count: u64 = gpus().map(|gres| gres.count).sum();
        if count > 0 {
            self.set("SLURM_GPUS_ON_NODE", count);
        }
        let mut ids: Vec<u32> = gpus().flat_map(|gres: &Gres| &gres.ids).copied().collect();
        if !ids.is_empty() {
            ids.sort_unstable();
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            let ids = ids.join(",");
            self.set("SLURM_JOB_GPUS", &ids);
            for name in VISIBLE {
                self.set(name, &ids);
            }
        }
        let Some(request) = &job.spec.gres else { return };
        for (name, list) in [
            ("SLURM_GPUS", &request.gpus),
            ("SLURM_GPUS_PER_NODE", &request.gpus_per_node),
            ("SLURM_GPUS_PER_TASK", &request.gpus_per_task),
        ] {
            if !list.is_empty() {
                self.set(name, list.iter().map(amount).collect::<Vec<_>>().join(","));
            }
        }
        if let Some(cpus) = request.cpus_per_gpu {
            self.set("SLURM_CPUS_PER_GPU", cpus);
        }
        if let Some(mib) = request.memory_per_gpu {
            self.set("SLURM_MEM_PER_GPU", mib);
        }
    }
}

/// As the option had it: `2`, or `a100:2`.
fn amount(wanted: &Wanted) -> String {
    match &wanted.kind {
        Some(kind) => format!("{kind}:{}", wanted.count),
        None => wanted.count.to_string(),
    }
}

/// `SLURM_TRES_PER_TASK`: CPUs and GPUs of each task, where either was asked for.
pub(super) fn per_task(job: &Job) -> Option<String> {
    let cpus = job.spec.layout.cpus_per_task.map(|cpus| format!("cpu={cpus}"));
    let gpus = job.spec.gres.iter().flat_map(|request| &request.gpus_per_task);
    let gpus = gpus.map(|wanted| format!("gres/{}", wanted.text('=')));
    let all: Vec<String> = cpus.into_iter().chain(gpus).collect();
    (!all.is_empty()).then(|| all.join(","))
}
