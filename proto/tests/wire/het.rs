//! Heterogeneous jobs. Since format 2.

use std::sync::Arc;

use common::{
    job::{HetPart, Hold, JobSpec},
    machine::Event,
    time::TimeLimit,
};

use crate::samples::{JOB, bare_spec};

pub(crate) fn events() -> Vec<Event> {
    let part = HetPart { leader: JOB, offset: 2, size: 3 };
    vec![Event::JobSubmitted {
        job: common::id::JobId(JOB.0 + 2),
        spec: Arc::new(JobSpec { het: Some(part), ..bare_spec() }),
        priority: 4_294_901_757,
        hold: Hold::None,
        time_limit: TimeLimit::Unlimited,
        requeue: true,
    }]
}

#[test]
fn a_component_has_its_place_among_the_others() {
    let read = |leader, offset, size| {
        HetPart::try_from(proto::types::HetPart { leader, offset, size }).is_ok()
    };
    assert!(read(1, 0, 2) && read(7, 127, 128));
    for (leader, offset, size) in [(1, 2, 2), (1, 0, 0), (1, 0, 129), (u32::MAX, 0, 2)] {
        assert!(!read(leader, offset, size), "{leader} {offset} {size}");
    }
}
