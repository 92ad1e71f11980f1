//! Events that say which CPUs. Since format 2.

use std::sync::Arc;

use common::{
    config::Config,
    cpus::{CpuSet, Grain},
    id::{Attempt, Incarnation, JobId, NodeName, Term},
    job::{Asks, CoreAsk, Hold, JobSpec, Place, Run, Stage},
    machine::Event,
    resources::Resources,
    time::{TimeLimit, Timestamp},
};
use proto::{convert::cpu_set, types as wire};

use crate::samples::{bare_spec, config};

fn place(node: &str, ids: &[(u32, u32)]) -> Place {
    let mut cpus = CpuSet::default();
    ids.iter().for_each(|(first, count)| cpus.insert_run(*first, *count));
    let held = Resources { cpus: cpus.len(), memory_mib: 2_048 };
    Place { cpus, ..Place::of(NodeName::from(node), held, 2) }
}

pub(crate) fn events() -> Vec<Event> {
    let config = Config { grain: Grain::Socket, ..config() };
    let nothing = Place::of(NodeName::from("n4"), Resources { cpus: 2, memory_mib: 0 }, 1);
    let ids = [(0, 4), (8, 2), (200, 1)];
    vec![
        Event::ConfigSet { config: Arc::new(config) },
        Event::JobAllocated {
            job: JobId(1_000),
            attempt: Attempt(2),
            incarnation: Incarnation(0xFEED_FACE_CAFE_BEEF),
            places: vec![place("n1", &ids), place("n2", &ids), place("n3", &[(0, 2)]), nothing],
            deadline: None,
            partition: None,
            stay: None,
            charge: None,
            time_limit: None,
        },
    ]
}

/// A job that asks for sockets, cores and threads.
pub(crate) fn asked() -> Event {
    let cores =
        CoreAsk { sockets: Some(2), cores: Some(8), threads: Some(1), tasks_per_core: Some(1) };
    let spec = JobSpec { asks: Some(Arc::new(Asks { cores, ..Asks::NONE })), ..bare_spec() };
    Event::JobSubmitted {
        job: JobId(1_000),
        spec: Arc::new(spec),
        priority: 4_294_901_759,
        hold: Hold::None,
        time_limit: TimeLimit::Unlimited,
        requeue: true,
    }
}

/// The same CPUs on very many nodes are written once.
#[test]
fn a_large_job_stays_small() {
    let ids = [(0, 4), (64, 4)];
    let run = Run {
        started: Timestamp(1),
        term: Term(1),
        places: (0..10_000).map(|node| place(&format!("n{node}"), &ids)).collect(),
        incarnation: Incarnation(1),
        stage: Stage::Running,
        deadline: None,
        warned: false,
        stay: None,
        charge: None,
        time_limit: None,
        preempted: None,
    };
    let written = wire::Run::from(&run);
    assert_eq!(written.cpus, [wire::CpuIds { places: 10_000, runs: vec![0, 4, 64, 4] }]);
    assert_eq!(Run::try_from(written), Ok(run));
}

#[test]
fn runs_that_are_none_are_refused() {
    let shown = |runs: &[u32]| cpu_set(runs).map(|cpus| cpus.to_string());
    assert_eq!(shown(&[0, 4, 8, 2]), Ok("0-3,8-9".to_owned()));
    assert_eq!(shown(&[65_535, 1]), Ok("65535".to_owned()));
    for wrong in [&[0][..], &[0, 0], &[4, 1, 0, 1], &[0, 4, 3, 1], &[0, 4, 4, 1], &[65_536, 1]] {
        assert!(shown(wrong).is_err(), "{wrong:?}");
    }
}
