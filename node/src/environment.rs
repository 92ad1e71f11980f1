//! The environment of a batch script: what the user submitted, and over it what Slurm sets.
//!
//! The variables and their forms are those of Slurm 26.05's batch jobs. `SLURM_TASK_PID` is added
//! by the supervisor, who alone knows it.

mod gpus;
mod het;

use std::{collections::BTreeMap, fmt::Display};

use common::{
    config::{Config, MemoryPer},
    hostlist::Hostlist,
    job::{ArrayPart, Job, MemoryRequest, Run},
    time::Span,
};

use crate::account::Account;

/// Of a job without a time limit Slurm says that it ends in a year.
const UNLIMITED: Span = Span::from_seconds(365 * 24 * 3600);

/// Where the script runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The node's name.
    pub node: String,
    /// `SLURM_CONF`, where the host has one.
    pub conf: Option<String>,
    /// `RAFTER_DIR`, where commands don't find the cluster without it.
    pub site: Option<String>,
}

/// Variables of other jobs that a submission from within a job brings along: what is said of this
/// job is said anew, or not at all.
const OF_ONE_JOB: [&str; 22] = [
    "SLURM_ARRAY_",
    "SLURM_CPUS_PER_GPU",
    "SLURM_CPUS_PER_TASK",
    "SLURM_GPUS",
    "SLURM_GTIDS",
    "SLURM_HET_",
    "SLURM_JOB_",
    "SLURM_LAUNCH_NODE_IPADDR",
    "SLURM_LOCALID",
    "SLURM_MEM_PER_",
    "SLURM_NODEID",
    "SLURM_NPROCS",
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_RESTART_COUNT",
    "SLURM_SRUN_COMM_",
    "SLURM_STEP",
    "SLURM_TASKS_PER_NODE_HET_GROUP_",
    "SLURM_TASK_PID",
    "SLURM_THREADS_PER_CORE",
    "SLURM_TRES_PER_TASK",
    "SLURM_EXPORT_ENV",
];

/// The environment of `job`'s script: `NAME=value` texts, each followed by a NUL. `submitted` is
/// what came with the job, in the same form. `components` are the others of a heterogeneous job.
#[must_use]
pub fn of_batch(
    (job, components): (&Job, &[Job]),
    run: &Run,
    config: &Config,
    account: &Account,
    host: &Host,
    submitted: &[u8],
) -> Vec<u8> {
    let mut variables = Variables::default();
    variables.submitted(submitted);
    variables.of_user(account);
    variables.of_job(job, account);
    variables.of_array(job);
    variables.of_resources(job, run, config);
    variables.of_gpus(job, run);
    if let Some(asks) = job.spec.asks.as_ref().filter(|asks| !asks.licenses.is_empty()) {
        variables.set("SLURM_JOB_LICENSES", &asks.licenses.text);
    }
    if job.het().is_some() {
        variables.of_components(job, components, config);
    }
    variables.of_host(job, config, host);
    variables.encoded()
}

#[derive(Default)]
struct Variables(BTreeMap<Vec<u8>, Vec<u8>>);

impl Variables {
    fn set(&mut self, name: &str, value: impl Display) {
        // What ends a text can't stand in it.
        let value = value.to_string().replace('\0', "");
        self.0.insert(name.into(), value.into());
    }

    fn fill(&mut self, name: &str, value: impl Display) {
        if !self.0.contains_key(name.as_bytes()) {
            self.set(name, value);
        }
    }

    fn submitted(&mut self, texts: &[u8]) {
        for text in texts.split(|byte| *byte == 0) {
            // A shell keeps what it can't name, as `=` in front of a name; so do we.
            let Some(at) = text.iter().skip(1).position(|byte| *byte == b'=') else { continue };
            let (name, value) = (&text[..=at], &text[at + 2..]);
            if !OF_ONE_JOB.iter().any(|prefix| name.starts_with(prefix.as_bytes())) {
                self.0.insert(name.to_vec(), value.to_vec());
            }
        }
    }

    /// What a login would set, where the user did not have it exported.
    fn of_user(&mut self, account: &Account) {
        self.fill("HOME", &account.home);
        self.fill("USER", &account.name);
        self.fill("LOGNAME", &account.name);
        self.fill("SHELL", &account.shell);
        self.fill("PATH", "/usr/local/bin:/usr/bin:/bin");
        self.fill("TMPDIR", "/tmp");
    }

    fn of_job(&mut self, job: &Job, account: &Account) {
        let spec = &job.spec;
        self.set("SLURM_JOB_ID", job.id);
        self.set("SLURM_JOBID", job.id);
        self.set("SLURM_JOB_NAME", &spec.name);
        self.set("SLURM_JOB_PARTITION", &job.partition);
        self.set("SLURM_JOB_UID", spec.user);
        self.set("SLURM_JOB_GID", spec.group);
        self.set("SLURM_JOB_USER", &account.name);
        self.set("SLURM_JOB_OVERSUBSCRIBE", "NO");
        let exclusive = match (spec.exclusive, spec.asks().placing.user_alone) {
            (true, _) => "NODE",
            (false, true) => "USER",
            (false, false) => "NO",
        };
        self.set("SLURM_JOB_EXCLUSIVE", exclusive);
        if let Some(name) = &spec.account {
            self.set("SLURM_JOB_ACCOUNT", name);
        }
        if let Some(name) = &spec.qos {
            self.set("SLURM_JOB_QOS", name);
        }
        if let Some(dependency) = &spec.dependency {
            self.set("SLURM_JOB_DEPENDENCY", dependency);
        }
        if job.restarts > 0 {
            self.set("SLURM_RESTART_COUNT", job.restarts);
        }
        if let Some(export) = &spec.export {
            self.set("SLURM_EXPORT_ENV", export);
        }
        // sbatch says where it was called; `--chdir` is something else.
        self.fill("SLURM_SUBMIT_DIR", &spec.work_dir);
        self.set("SLURM_SUBMIT_HOST", &spec.submit_host);
        self.set("SLURM_PRIO_PROCESS", 0);
        self.set("SLURM_OOM_KILL_STEP", 0);
        self.set("SLURM_SCRIPT_CONTEXT", "prolog_task");
        // The batch script's own number among the steps.
        self.set("SLURM_STEP_ID", -5);
        self.set("SLURM_STEPID", -5);
        for rank in ["SLURM_GTIDS", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_PROCID"] {
            self.set(rank, 0);
        }
        self.set("ENVIRONMENT", "BATCH");
    }

    fn of_array(&mut self, job: &Job) {
        let (Some(ArrayPart::Task { array, index }), Some(asked)) = (&job.array, &job.spec.array)
        else {
            return;
        };
        let tasks = &asked.tasks;
        self.set("SLURM_ARRAY_JOB_ID", array);
        self.set("SLURM_ARRAY_TASK_ID", index);
        self.set("SLURM_ARRAY_TASK_COUNT", tasks.len());
        self.set("SLURM_ARRAY_TASK_MIN", tasks.first().unwrap_or(*index));
        self.set("SLURM_ARRAY_TASK_MAX", tasks.last().unwrap_or(*index));
        self.set("SLURM_ARRAY_TASK_STEP", tasks.step());
    }

    fn of_resources(&mut self, job: &Job, run: &Run, config: &Config) {
        let layout = &job.spec.layout;
        let nodes = Hostlist::from_names(run.places.iter().map(|place| place.node.as_str()));
        let count = run.places.len();
        for (old, new) in
            [("SLURM_NODELIST", "SLURM_JOB_NODELIST"), ("SLURM_NNODES", "SLURM_JOB_NUM_NODES")]
        {
            let value: &dyn Display = if old == "SLURM_NNODES" { &count } else { &nodes };
            self.set(old, value);
            self.set(new, value);
        }
        let here = run.places.first().map_or(0, |place| place.held.cpus);
        self.set("SLURM_CPUS_ON_NODE", here);
        let cpus = run.places.iter().map(|place| place.held.cpus);
        self.set("SLURM_JOB_CPUS_PER_NODE", counts(cpus));
        let tasks = run.places.iter().map(|place| place.tasks);
        self.set("SLURM_TASKS_PER_NODE", counts(tasks));
        if layout.tasks_given {
            self.set("SLURM_NTASKS", layout.tasks);
            self.set("SLURM_NPROCS", layout.tasks);
        }
        if let Some(tasks) = layout.tasks_per_node {
            self.set("SLURM_NTASKS_PER_NODE", tasks);
        }
        let cores = job.spec.asks().cores;
        if let Some(tasks) = cores.tasks_per_core {
            self.set("SLURM_NTASKS_PER_CORE", tasks);
        }
        if let Some(threads) = cores.threads {
            self.set("SLURM_THREADS_PER_CORE", threads);
        }
        if let Some(cpus) = layout.cpus_per_task {
            self.set("SLURM_CPUS_PER_TASK", cpus);
        }
        if let Some(per_task) = gpus::per_task(job) {
            self.set("SLURM_TRES_PER_TASK", per_task);
        }
        let per_gpu = job.spec.gres.as_ref().is_some_and(|gres| gres.memory_per_gpu.is_some());
        match memory(job, config) {
            _ if per_gpu => {}
            MemoryPer::Unlimited => {}
            MemoryPer::Node(mib) => self.set("SLURM_MEM_PER_NODE", mib),
            MemoryPer::Cpu(mib) => self.set("SLURM_MEM_PER_CPU", mib),
        }
        let end = run.deadline.unwrap_or(run.started + UNLIMITED);
        self.set("SLURM_JOB_START_TIME", run.started.seconds());
        self.set("SLURM_JOB_END_TIME", end.seconds());
    }

    fn of_host(&mut self, job: &Job, config: &Config, host: &Host) {
        self.set("HOSTNAME", &host.node);
        self.set("SLURMD_NODENAME", &host.node);
        self.set("SLURM_TOPOLOGY_ADDR", &host.node);
        self.set("SLURM_TOPOLOGY_ADDR_PATTERN", "node");
        self.set("SLURM_CLUSTER_NAME", &config.cluster_name);
        if let Some(conf) = &host.conf {
            self.set("SLURM_CONF", conf);
        }
        if let Some(site) = &host.site {
            self.set("RAFTER_DIR", site);
        }
        for (name, value) in [
            ("HYDRA_BOOTSTRAP", "slurm"),
            ("HYDRA_LAUNCHER_EXTRA_ARGS", "--external-launcher"),
            ("I_MPI_HYDRA_BOOTSTRAP", "slurm"),
            ("I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS", "--external-launcher"),
            ("OMPI_MCA_plm_slurm_args", "--external-launcher"),
            ("PRTE_MCA_plm_slurm_args", "--external-launcher"),
        ] {
            self.set(name, value);
        }
        if let Some(trace) = &job.spec.trace {
            self.fill("TRACEPARENT", trace);
        }
    }

    fn encoded(self) -> Vec<u8> {
        let mut texts = Vec::new();
        for (name, value) in self.0 {
            texts.extend_from_slice(&name);
            texts.push(b'=');
            texts.extend_from_slice(&value);
            texts.push(0);
        }
        texts
    }
}

/// What the job asked for, or what holds for jobs that did not ask.
fn memory(job: &Job, config: &Config) -> MemoryPer {
    match job.spec.memory {
        MemoryRequest::PerNode(mib) => MemoryPer::Node(mib),
        MemoryRequest::PerCpu(mib) => MemoryPer::Cpu(mib),
        MemoryRequest::Default => {
            let partition = config.partition(&job.partition.to_string());
            partition.and_then(|partition| partition.def_memory).unwrap_or(config.def_memory)
        }
    }
}

/// A number for each node, repeats counted: `6(x2),2`.
fn counts(numbers: impl Iterator<Item = u32>) -> String {
    let mut runs: Vec<(u32, usize)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((last, count)) if *last == number => *count += 1,
            Some(_) | None => runs.push((number, 1)),
        }
    }
    let texts = runs.into_iter().map(|(number, count)| match count {
        1 => number.to_string(),
        _ => format!("{number}(x{count})"),
    });
    texts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_as_slurm_does() {
        assert_eq!(counts([6, 2].into_iter()), "6,2");
        assert_eq!(counts([6, 6, 2, 6].into_iter()), "6(x2),2,6");
        assert_eq!(counts([].into_iter()), "");
    }

    #[test]
    fn texts_that_are_no_variables_are_left_out() {
        let mut variables = Variables::default();
        variables.submitted(b"A=1\0B\0=C=2\0D==\0SLURM_JOB_ID=5\0BASH_FUNC_f%%=() { :\n}\0");
        let expected = b"=C=2\0A=1\0BASH_FUNC_f%%=() { :\n}\0D==\0";
        assert_eq!(variables.encoded(), expected);
    }
}
