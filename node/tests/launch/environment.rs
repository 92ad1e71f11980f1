//! The environment, variable by variable, as Slurm 26.05 sets it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use common::{
    gres::{Gres, GresRequest, Wanted},
    id::JobId,
    job::{
        ArrayPart, ArraySpec, Asks, HetPart, Job, Licenses, MAX_ARRAY_SIZE, MemoryRequest, Phase,
    },
};
use node::environment::of_batch;

use crate::jobs::{alice, captured, config, host, plain};

/// Printed by a script in such a job.
const CAPTURED: &str = include_str!("../data/env-batch.txt");

/// By the first task of `sbatch -A proj --array=3-7:2 envarr.sh`.
const OF_TASK: &str = include_str!("../data/env-array.txt");

/// What the submitting shell exported.
const SUBMITTED: &[u8] = b"HOME=/home/alice\0USER=alice\0LOGNAME=alice\0SHELL=/bin/bash\0\
    PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin\0LANG=C.UTF-8\0PWD=/srv/slurm/jobs\0";

/// What the shell that runs the script sets by itself, what the supervisor adds, and what Rafter's
/// jobs do not have: a number over all clusters, and a quality of service.
const NOT_OURS: [&str; 5] = ["SHLVL", "_", "SLURM_TASK_PID", "SLURM_JOB_SLUID", "SLURM_JOB_QOS"];

fn environment(job: &Job, submitted: &[u8]) -> BTreeMap<String, String> {
    environment_beside(job, &[], submitted)
}

fn environment_beside(job: &Job, led: &[Job], submitted: &[u8]) -> BTreeMap<String, String> {
    let run = job.run().expect("it runs");
    let texts = of_batch((job, led), run, &config(), &alice(), &host(), submitted);
    let texts = String::from_utf8(texts).expect("all of it is text");
    let texts = texts.strip_suffix('\0').expect("each text ends in a NUL");
    let pairs: Vec<_> =
        texts.split('\0').map(|text| text.split_once('=').expect("NAME=value")).collect();
    let map: BTreeMap<_, _> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(map.len(), pairs.len(), "each name once");
    map
}

#[test]
fn a_batch_script_finds_what_slurm_sets() {
    let lines = CAPTURED.lines().skip(1).take_while(|line| !line.starts_with("ARGS:"));
    let mut expected = pairs(lines);
    for name in NOT_OURS {
        assert!(expected.remove(name).is_some(), "{name} is in the capture");
    }
    assert!(expected.len() > 50, "the capture is whole");
    assert_eq!(environment(&captured(), SUBMITTED), expected);
}

fn pairs<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    lines
        .map(|line| line.split_once('=').expect("NAME=value"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn a_task_of_an_array_finds_what_slurm_sets() {
    let mut expected = pairs(OF_TASK.lines());
    for name in NOT_OURS {
        expected.remove(name);
    }
    let mut job = plain();
    job.array = Some(ArrayPart::Task { array: JobId(272), index: 3 });
    let asked = ArraySpec::parse("3-7:2", MAX_ARRAY_SIZE).expect("it is well formed");
    Arc::make_mut(&mut job.spec).array = Some(Arc::new(asked));
    assert_eq!(environment(&job, SUBMITTED), expected);
}

#[test]
fn what_was_not_asked_for_is_not_said() {
    let environment = environment(&plain(), SUBMITTED);
    for name in ["SLURM_NTASKS", "SLURM_NPROCS", "SLURM_CPUS_PER_TASK", "SLURM_TRES_PER_TASK"] {
        assert!(!environment.contains_key(name), "{name}");
    }
    assert_eq!(environment["SLURM_MEM_PER_CPU"], "100", "the cluster's default");
    assert!(!environment.contains_key("SLURM_MEM_PER_NODE"));
    assert_eq!(environment["SLURM_JOB_END_TIME"], "1827011750", "a year, without a limit");
    assert_eq!(environment["SLURM_TASKS_PER_NODE"], "1");
}

#[test]
fn another_jobs_variables_are_not_handed_on() {
    let inherited =
        b"SLURM_JOB_ID=9\0SLURM_NTASKS=64\0SLURM_ARRAY_TASK_ID=3\0SLURM_MEM_PER_CPU=1\0\
        SLURM_STEP_NODELIST=x\0SLURM_SUBMIT_DIR=/where/sbatch/was\0SLURM_CONF=/other\0A=b\0";
    let mut job = plain();
    Arc::make_mut(&mut job.spec).memory = MemoryRequest::PerNode(0);
    let environment = environment(&job, inherited);
    let said = |name: &str| environment.get(name).map(String::as_str);
    assert_eq!(said("SLURM_JOB_ID"), Some("273"));
    assert_eq!(said("SLURM_SUBMIT_DIR"), Some("/where/sbatch/was"));
    assert_eq!(said("SLURM_CONF"), host().conf.as_deref());
    assert_eq!(said("SLURM_MEM_PER_NODE"), Some("0"));
    assert_eq!(said("A"), Some("b"));
    for name in ["SLURM_NTASKS", "SLURM_ARRAY_TASK_ID", "SLURM_MEM_PER_CPU", "SLURM_STEP_NODELIST"]
    {
        assert_eq!(said(name), None, "{name}");
    }
}

#[test]
fn a_user_who_exports_nothing_still_has_a_home() {
    let environment = environment(&plain(), b"");
    assert_eq!(environment["HOME"], "/home/alice");
    assert_eq!(environment["LOGNAME"], "alice");
    assert_eq!(environment["SLURM_SUBMIT_DIR"], "/srv/slurm/jobs");
    let basics: BTreeSet<&str> = ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "TMPDIR"].into();
    assert!(basics.iter().all(|name| environment.contains_key(*name)));
}

#[test]
fn restarts_exclusive_nodes_and_export_are_told() {
    let mut job = plain();
    job.restarts = 2;
    let spec = Arc::make_mut(&mut job.spec);
    spec.exclusive = true;
    spec.export = Some("NONE".to_owned());
    spec.layout.tasks_per_node = Some(4);
    let environment = environment(&job, b"");
    assert_eq!(environment["SLURM_RESTART_COUNT"], "2");
    assert_eq!(environment["SLURM_JOB_EXCLUSIVE"], "NODE");
    assert_eq!(environment["SLURM_EXPORT_ENV"], "NONE");
    assert_eq!(environment["SLURM_NTASKS_PER_NODE"], "4");
}

#[test]
fn a_script_is_told_of_its_licenses() {
    let mut job = plain();
    assert!(!environment(&job, b"SLURM_JOB_LICENSES=x\0").contains_key("SLURM_JOB_LICENSES"));
    let licenses = Licenses::parse("matlab:2,ansys").expect("they are well formed");
    Arc::make_mut(&mut job.spec).asks = Some(Arc::new(Asks { licenses, ..Asks::NONE }));
    assert_eq!(environment(&job, b"")["SLURM_JOB_LICENSES"], "matlab:2,ansys");
}

/// As the real one was seen to: `sbatch --gres=gpu:a100:2,tmp:3`, `sbatch --gpus=5 -N2`, and
/// `sbatch -n2 --gpus-per-task=a100:1 --cpus-per-gpu=2 --mem-per-gpu=100`.
#[test]
fn a_script_is_told_of_its_gpus() {
    let gres = |name: &str, kind: Option<&str>, count, ids: &[u32]| Gres {
        name: name.into(),
        kind: kind.map(Into::into),
        count,
        ids: ids.to_vec(),
    };
    let told = |request: GresRequest, given: Vec<Gres>| {
        let mut job = plain();
        std::sync::Arc::make_mut(&mut job.spec).gres = Some(std::sync::Arc::new(request));
        let Phase::Active(run) = &mut job.phase else { panic!("it runs") };
        run.places[0].gres = given;
        let stale = b"SLURM_GPUS=9\0SLURM_CPUS_PER_GPU=9\0SLURM_GPUS_PER_NODE=9\0";
        let of_gpus = |name: &str| {
            let words = ["GPU", "CUDA", "ROCR", "ZE_", "MEM_PER", "TRES"];
            words.iter().any(|word| name.contains(word))
        };
        let variables = environment(&job, stale).into_iter();
        let variables = variables.filter(|(name, _)| of_gpus(name));
        variables.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    let per_node = Wanted::parse_list("gpu:a100:2,tmp:3").expect("a list");
    let given = vec![gres("gpu", Some("a100"), 2, &[0, 1]), gres("tmp", None, 3, &[])];
    let expected = [
        "CUDA_VISIBLE_DEVICES=0,1",
        "GPU_DEVICE_ORDINAL=0,1",
        "ROCR_VISIBLE_DEVICES=0,1",
        "SLURM_GPUS_ON_NODE=2",
        "SLURM_JOB_GPUS=0,1",
        "SLURM_MEM_PER_CPU=100",
        "ZE_AFFINITY_MASK=0,1",
    ];
    assert_eq!(told(GresRequest { per_node, ..GresRequest::default() }, given), expected);

    let gpus = Wanted::parse_gpus("5").expect("a list");
    let types = vec![gres("gpu", Some("v100"), 1, &[3]), gres("gpu", Some("a100"), 2, &[0, 1])];
    let said = told(GresRequest { gpus, ..GresRequest::default() }, types);
    assert!(said.contains(&"CUDA_VISIBLE_DEVICES=0,1,3".to_owned()), "{said:?}");
    assert!(said.contains(&"SLURM_GPUS=5".to_owned()), "{said:?}");

    let request = GresRequest {
        gpus_per_task: Wanted::parse_gpus("a100:1").expect("a list"),
        cpus_per_gpu: Some(2),
        memory_per_gpu: Some(100),
        ..GresRequest::default()
    };
    let expected = [
        "SLURM_CPUS_PER_GPU=2",
        "SLURM_GPUS_PER_TASK=a100:1",
        "SLURM_MEM_PER_GPU=100",
        "SLURM_TRES_PER_TASK=gres/gpu:a100=1",
    ];
    assert_eq!(told(request, vec![]), expected);
}

/// As the real one sets them for `sbatch -n1 : -n2 env.sh`, but for the old names
/// (`SLURM_PACK_SIZE` and the like), and with each component's own memory.
#[test]
fn a_heterogeneous_job_finds_its_components() {
    let part = |offset| HetPart { leader: JobId(268), offset, size: 2 };
    let (mut leader, mut led) = (captured(), plain());
    Arc::make_mut(&mut leader.spec).het = Some(part(0));
    Arc::make_mut(&mut led.spec).het = Some(part(1));
    led.id = JobId(269);
    let before = environment(&captured(), SUBMITTED);
    // What a job is told that submits another one is not told to that.
    let submitted = [SUBMITTED, b"SLURM_HET_SIZE=7\0SLURM_TASKS_PER_NODE_HET_GROUP_6=1\0"].concat();
    let mut found = environment_beside(&leader, &[led], &submitted);
    for (name, value) in before {
        assert_eq!(found.remove(&name), Some(value), "{name}");
    }
    let found: Vec<String> =
        found.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = [
        "SLURM_CPUS_PER_TASK_HET_GROUP_0=2",
        "SLURM_HET_SIZE=2",
        "SLURM_JOB_ACCOUNT_HET_GROUP_0=proj",
        "SLURM_JOB_ACCOUNT_HET_GROUP_1=proj",
        "SLURM_JOB_CPUS_PER_NODE_HET_GROUP_0=6,2",
        "SLURM_JOB_CPUS_PER_NODE_HET_GROUP_1=1",
        "SLURM_JOB_ID_HET_GROUP_0=268",
        "SLURM_JOB_ID_HET_GROUP_1=269",
        "SLURM_JOB_NAME_HET_GROUP_0=envjob",
        "SLURM_JOB_NAME_HET_GROUP_1=envarr",
        "SLURM_JOB_NODELIST_HET_GROUP_0=n[1-2]",
        "SLURM_JOB_NODELIST_HET_GROUP_1=n1",
        "SLURM_JOB_NUM_NODES_HET_GROUP_0=2",
        "SLURM_JOB_NUM_NODES_HET_GROUP_1=1",
        "SLURM_JOB_PARTITION_HET_GROUP_0=cpu",
        "SLURM_JOB_PARTITION_HET_GROUP_1=cpu",
        "SLURM_MEM_PER_CPU_HET_GROUP_1=100",
        "SLURM_MEM_PER_NODE_HET_GROUP_0=200",
        "SLURM_NPROCS_HET_GROUP_0=4",
        "SLURM_NTASKS_HET_GROUP_0=4",
        "SLURM_TASKS_PER_NODE_HET_GROUP_0=3,1",
        "SLURM_TASKS_PER_NODE_HET_GROUP_1=1",
    ];
    assert_eq!(found, expected);
}
