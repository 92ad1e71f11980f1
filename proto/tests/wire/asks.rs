//! What jobs ask for beyond CPUs and memory. Since format 2.

use std::sync::Arc;

use common::{
    config::{Config, LicenseConf},
    id::{Attempt, Incarnation},
    job::{
        AskChanges, Asks, Constraint, End, EndState, ExitStatus, Hold, JobChanges, JobSpec,
        Licenses, Reason,
    },
    machine::Event,
    time::{TimeLimit, Timestamp},
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
    let changed = |licenses| AskChanges { licenses: Some(licenses), ..AskChanges::default() };
    vec![
        Event::ConfigSet { config: Arc::new(config) },
        submitted(JobSpec {
            asks: Some(Arc::new(Asks { licenses: licenses.clone(), ..Asks::NONE })),
            ..bare_spec()
        }),
        updated(JobChanges { asks: changed(licenses), ..JobChanges::default() }),
        updated(JobChanges { asks: changed(Licenses::NONE), ..JobChanges::default() }),
    ]
}

/// When few jobs may run, and for how long.
pub(crate) fn times() -> Vec<Event> {
    vec![
        submitted(JobSpec {
            asks: Some(Arc::new(Asks {
                deadline: Some(Timestamp(9_000)),
                time_min: Some(TimeLimit::Minutes(5)),
                priority: Some(7),
                ..Asks::NONE
            })),
            ..bare_spec()
        }),
        updated(JobChanges {
            asks: AskChanges {
                deadline: Some(Timestamp(9_000)),
                time_min: Some(TimeLimit::Minutes(5)),
                ..AskChanges::default()
            },
            ..JobChanges::default()
        }),
        Event::JobAllocated {
            job: JOB,
            attempt: Attempt(2),
            incarnation: Incarnation(9),
            places: vec![],
            deadline: Some(Timestamp(9_000)),
            partition: None,
            stay: None,
            charge: None,
            time_limit: Some(TimeLimit::Minutes(5)),
        },
        Event::JobEnded {
            job: JOB,
            attempt: Attempt(2),
            end: End {
                at: Timestamp(9_000),
                state: EndState::Deadline,
                exit: ExitStatus { code: 1, signal: 0 },
                by: None,
                reason: Some(Reason::Deadline),
                message: None,
            },
        },
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
