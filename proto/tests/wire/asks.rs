//! What jobs ask for beyond CPUs and memory. Since format 2.

use std::sync::Arc;

use common::{
    config::{Config, LicenseConf},
    job::{AskChanges, Asks, Constraint, Hold, JobChanges, JobSpec, Licenses},
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

/// What few jobs ask for.
pub(crate) fn rare() -> Vec<Event> {
    let licenses = Licenses::parse("matlab:2,ansys").expect("they are well formed");
    let mut config = Config::defaults("test");
    let license = |name: &str, total| LicenseConf { name: name.to_owned(), total };
    config.licenses = vec![license("ansys", 0), license("matlab", 4)];
    let changed = |licenses| AskChanges { licenses: Some(licenses) };
    vec![
        Event::ConfigSet { config: Arc::new(config) },
        submitted(JobSpec {
            asks: Some(Arc::new(Asks { licenses: licenses.clone() })),
            ..bare_spec()
        }),
        updated(JobChanges { asks: changed(licenses), ..JobChanges::default() }),
        updated(JobChanges { asks: changed(Licenses::NONE), ..JobChanges::default() }),
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
