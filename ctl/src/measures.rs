//! What is measured of a controller, for whoever collects metrics.

use telemetry::metrics::{Counter, Gauge, Histogram, counter, gauge, seconds};

/// Made once, after telemetry was set up.
#[derive(Clone, Debug)]
pub struct Measures {
    /// From a command's arrival at the proposer to its commit.
    pub commit: Histogram<f64>,
    /// Commands that a batch held.
    pub commands: Counter<u64>,
    pub batches: Counter<u64>,
    /// Jobs that were accepted.
    pub submissions: Counter<u64>,
    pub plan: Histogram<f64>,
    pub starts: Counter<u64>,
    /// Seconds since the scheduler's cycle last came round.
    pub scheduler_age: Gauge<f64>,
    pub nodes_attached: Gauge<f64>,
}

impl Measures {
    #[must_use]
    pub fn new() -> Self {
        Self {
            commit: seconds("rafter.commit.duration", "From a batch's decision to its commit"),
            commands: counter("rafter.commands", "{command}", "Commands that were decided"),
            batches: counter("rafter.batches", "{batch}", "Batches that were appended"),
            submissions: counter("rafter.jobs.submitted", "{job}", "Jobs that were accepted"),
            plan: seconds("rafter.scheduler.plan.duration", "One pass over the queues"),
            starts: counter("rafter.jobs.started", "{job}", "Starts that the scheduler decided"),
            scheduler_age: gauge(
                "rafter.scheduler.age",
                "s",
                "Since the scheduler's cycle last came round",
            ),
            nodes_attached: gauge("rafter.nodes.attached", "{node}", "Nodes with a stream"),
        }
    }
}

impl Default for Measures {
    fn default() -> Self {
        Self::new()
    }
}
