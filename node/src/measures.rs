//! What the daemon measures of itself.

use telemetry::metrics::{Counter, Gauge, Histogram, counter, gauge, seconds};

/// Made once, after telemetry was set up.
#[derive(Debug)]
pub(crate) struct Measures {
    pub(crate) runs: Gauge<f64>,
    pub(crate) launches: Counter<u64>,
    pub(crate) failures: Counter<u64>,
    /// From the order to the start of the script.
    pub(crate) launching: Histogram<f64>,
    /// From the loss of one leader to the welcome of the next.
    pub(crate) detached: Histogram<f64>,
}

impl Measures {
    pub(crate) fn new() -> Self {
        Self {
            runs: gauge("rafter.node.runs", "{run}", "Runs that are not over"),
            launches: counter("rafter.node.launches", "{run}", "Runs that were begun"),
            failures: counter("rafter.node.launch.failures", "{run}", "Runs that could not begin"),
            launching: seconds("rafter.node.launch.duration", "From an order to its script"),
            detached: seconds("rafter.node.detached.duration", "Without a leader"),
        }
    }
}
