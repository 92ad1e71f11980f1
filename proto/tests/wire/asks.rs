//! What jobs ask for beyond CPUs and memory. Since format 2.

use std::sync::Arc;

use common::{
    job::{Constraint, Hold, JobChanges, JobSpec},
    machine::Event,
    time::TimeLimit,
};

use crate::samples::{JOB, bare_spec};

pub(crate) fn events() -> Vec<Event> {
    vec![
        submitted(JobSpec { constraint: Some(asked("x&[(a&b)|c]&d*2")), ..bare_spec() }),
        updated(JobChanges { constraint: Some(Arc::default()), ..JobChanges::default() }),
        updated(JobChanges { constraint: Some(asked("[a*1&b*2]")), ..JobChanges::default() }),
        submitted(JobSpec { tmp_disk_mib: 2_048, ..bare_spec() }),
        updated(JobChanges { tmp_disk_mib: Some(0), ..JobChanges::default() }),
    ]
}

fn submitted(spec: JobSpec) -> Event {
    Event::JobSubmitted {
        job: JOB,
        spec: Arc::new(spec),
        priority: 4_294_901_759,
        hold: Hold::None,
        time_limit: TimeLimit::Unlimited,
        requeue: true,
    }
}

fn updated(changes: JobChanges) -> Event {
    Event::JobUpdated { job: JOB, changes: Arc::new(changes) }
}

fn asked(text: &str) -> Arc<Constraint> {
    Arc::new(Constraint::parse(text).expect("it is well formed"))
}
