//! Generic resources: what the node says of them, and what a job is told.

use std::{fs, sync::Arc};

use common::{
    config::{Config, GresConf, NodeConf},
    gres::{GPU, Gres, GresRequest, Wanted},
    job::{Job, JobSpec, Phase},
};
use proto::node::{self as wire, leader_message::Kind as Down, report::Kind as Said};

use crate::{
    cluster::{Cluster, Session, text},
    host::Host,
    runs::{job, launch},
};

/// Two GPUs, each with a file of the host's folder.
fn config(host: &Host) -> Config {
    let file = |number: u32| host.path(&format!("gpu{number}")).to_string_lossy().into_owned();
    let gpus = GresConf {
        name: GPU.to_owned(),
        kind: Some("a100".to_owned()),
        count: 2,
        files: vec![file(0), file(1)],
        cores: None,
    };
    let node = NodeConf { gres: vec![gpus], ..NodeConf::defaults("n1") };
    Config { nodes: vec![node], ..Config::defaults("test") }
}

/// How many GPUs the node's hello speaks of.
fn found(session: &Session) -> Option<u64> {
    let inventory = session.hello.inventory.as_ref().expect("an inventory");
    inventory.gres.as_ref().map(|gres| gres.found[0].count)
}

fn with_gpu(mut job: Job) -> Job {
    let wanted = Wanted { name: GPU.to_owned(), kind: None, count: 1 };
    let spec = JobSpec {
        gres: Some(Arc::new(GresRequest { gpus: vec![wanted], ..GresRequest::default() })),
        ..job.spec.as_ref().clone()
    };
    job.spec = Arc::new(spec);
    let Phase::Active(run) = &mut job.phase else { panic!("it runs") };
    run.places[0].gres =
        vec![Gres { name: GPU.to_owned(), kind: Some("a100".to_owned()), count: 1, ids: vec![1] }];
    job
}

#[test]
fn a_node_looks_for_its_devices_and_a_job_is_told_which_are_its_own() {
    let mut cluster = Cluster::new(1);
    let mut host = Host::new(&cluster);
    let config = config(&host);
    cluster.controllers[0].conduct().config = config.clone();
    fs::write(host.path("gpu0"), "").expect("a file");
    host.start(Some(&cluster.token()));
    // The first stream told it what to look for, and ended by that.
    let session = cluster.attached(0);
    assert_eq!(found(&session), Some(1), "one file is not there");

    fs::write(host.path("gpu1"), "").expect("a file");
    let welcome = wire::Welcome { config: Some((&config).into()), controllers: vec![] };
    cluster.tell(&session, Down::Welcome(welcome));
    let mut session = cluster.attached(0);
    assert_eq!(found(&session), Some(2));

    let script = "#!/bin/sh\necho $CUDA_VISIBLE_DEVICES $ROCR_VISIBLE_DEVICES $SLURM_JOB_GPUS\n\
                  echo $SLURM_GPUS_ON_NODE $SLURM_GPUS\n";
    let folder = host.path("");
    cluster.tell(&session, launch(&with_gpu(job(7, 1, script, &folder)), script));
    loop {
        let report = cluster.said(&mut session).expect("the node is there");
        if let Some(Said::Ended(ended)) = report.kind {
            assert_eq!((ended.exit_code, ended.exit_signal), (0, 0));
            break;
        }
    }
    assert_eq!(text(&host.path("slurm-7.out")), "1 1 1\n1 1\n");
}
