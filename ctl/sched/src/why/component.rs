//! Which component of a heterogeneous job it is that holds all of them.

use std::sync::Arc;

use common::{
    job::{Hold, Job, Reason},
    machine::State,
};

use super::obstacle::Kind;

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
