//! Events that speak of generic resources. Since format 2.

use std::sync::Arc;

use common::{
    config::{Config, GresConf},
    gres::{Gres, GresRequest, Wanted},
    id::{Attempt, Incarnation, JobId, NodeName},
    job::{Hold, JobSpec, Place},
    machine::Event,
    node::{GresFound, Inventory},
    resources::Resources,
    time::TimeLimit,
};

use crate::samples::{bare_spec, config, inventory};

const JOB: JobId = JobId(1_000);

pub(crate) fn events() -> Vec<Event> {
    let n1 = NodeName::from("n1");
    let found = vec![GresFound { name: "gpu".into(), count: 4 }];
    vec![
        Event::ConfigSet { config: Arc::new(with_gres()) },
        Event::NodeRegistered {
            node: n1.clone(),
            address: "10.0.1.1:6818".into(),
            inventory: Arc::new(Inventory { gres: Some(found), ..inventory() }),
        },
        Event::JobSubmitted {
            job: JOB,
            spec: Arc::new(JobSpec { gres: Some(Arc::new(request())), ..bare_spec() }),
            priority: 4_294_901_759,
            hold: Hold::None,
            time_limit: TimeLimit::Unlimited,
            requeue: true,
        },
        Event::JobAllocated {
            job: JOB,
            attempt: Attempt(2),
            incarnation: Incarnation(0xFEED_FACE_CAFE_BEEF),
            places: vec![Place {
                gres: held(),
                ..Place::of(n1, Resources { cpus: 4, memory_mib: 2_048 }, 2)
            }],
            deadline: None,
            partition: None,
            stay: None,
            charge: None,
            time_limit: None,
        },
    ]
}

fn with_gres() -> Config {
    let mut config = config();
    config.gres_types = vec!["gpu".into(), "tmp".into()];
    let conf = |name: &str, kind: Option<&str>, count| GresConf {
        name: name.into(),
        kind: kind.map(Into::into),
        count,
        files: vec![],
        cores: None,
    };
    let files = vec!["/dev/nvidia0".into(), "/dev/nvidia1".into()];
    let gpus = GresConf { files, cores: Some("0-3".into()), ..conf("gpu", Some("a100"), 2) };
    config.nodes[0].gres = vec![gpus, conf("tmp", None, 10_240)];
    config
}

/// Every way to ask, though no job may ask in all ways at once.
fn request() -> GresRequest {
    let wanted = |name: &str, kind: Option<&str>, count| Wanted {
        name: name.into(),
        kind: kind.map(Into::into),
        count,
    };
    GresRequest {
        per_node: vec![wanted("gpu", Some("a100"), 2), wanted("tmp", None, 1)],
        gpus_per_node: vec![wanted("gpu", None, 2)],
        gpus: vec![wanted("gpu", None, 8)],
        gpus_per_task: vec![wanted("gpu", Some("v100"), 1)],
        cpus_per_gpu: Some(4),
        memory_per_gpu: Some(2_048),
    }
}

fn held() -> Vec<Gres> {
    let gpus = Gres { name: "gpu".into(), kind: Some("a100".into()), count: 2, ids: vec![0, 3] };
    vec![gpus, Gres { name: "tmp".into(), kind: None, count: 7, ids: vec![] }]
}
