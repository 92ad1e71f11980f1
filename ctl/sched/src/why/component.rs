//! Which component of a heterogeneous job it is that holds all of them.

use std::{iter::once, sync::Arc};

use common::{
    job::{Hold, Job, JobSpec, Licenses, Reason},
    machine::State,
    time::Timestamp,
};

use super::{
    obstacle::Kind,
    room::{self, Room},
};
use crate::reached::Reached;

/// Of a heterogeneous job, the component to which the reason applies: its own hold, for example.
pub(super) fn blamed(view: &State, job: &Arc<Job>, reason: Reason) -> Arc<Job> {
    let applies = |job: &Job| match Kind::of(reason) {
        Kind::Held => job.hold != Hold::None || job.priority == 0,
        Kind::Dependency => !job.is_independent(),
        Kind::PartitionState => {
            let config = view.config.as_deref();
            let conf = config.and_then(|config| config.partition(job.partition.as_str()));
            conf.is_some_and(|conf| !conf.state.starts())
        }
        Kind::Begin
        | Kind::PartitionTime
        | Kind::PartitionNodes
        | Kind::PartitionConfig
        | Kind::NamedNodes
        | Kind::Nodes
        | Kind::Resources
        | Kind::Limit
        | Kind::ArrayTasks
        | Kind::Licenses
        | Kind::Reservation
        | Kind::Reserved
        | Kind::Other => false,
    };
    let mut led = job.het().into_iter().flat_map(|part| view.led(part));
    let other = led.find(|led| applies(led)).filter(|_| !applies(job));
    Arc::clone(other.unwrap_or(job))
}

/// The licenses of a job, with those of the components that it leads.
pub(super) fn licenses(view: &State, job: &Job) -> Licenses {
    let led = job.het().into_iter().flat_map(|part| view.led(part));
    let all = once(job).chain(led.map(AsRef::as_ref).filter(|_| !job.is_led()));
    Licenses::sum(all.map(|one| &one.spec.asks().licenses))
}

/// Of a heterogeneous job, the first component that could not start now if there were no others,
/// and how the nodes of its partition stand to it.
pub(super) fn short(view: &State, now: Timestamp, job: &Arc<Job>) -> Option<(Arc<Job>, Room)> {
    let part = job.het()?;
    let mut all = once(job).chain(view.led(part));
    all.find_map(|component| {
        let spec = JobSpec { het: None, ..component.spec.as_ref().clone() };
        let alone = Job { spec: Arc::new(spec), ..component.as_ref().clone() };
        let mut view = view.clone();
        view.queues.clear();
        view.suppose_job(alone.clone());
        let mut reached = Reached::new(&view, now, alone.id)?;
        let found = reached.consider(&alone);
        let class = found.class.filter(|_| found.reason != Reason::None)?;
        Some((Arc::clone(component), room::room(&reached, &view, class)))
    })
}
