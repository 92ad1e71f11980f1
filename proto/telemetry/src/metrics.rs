//! Instruments for metrics, in OpenTelemetry's manner: the unit is UCUM and not in the name,
//! durations are in seconds, and attributes have few values (no user, account or job).
//!
//! Make them after [`crate::init`], once, and keep them: what is made before measures nothing.
//! Where nothing is exported they cost a branch.

use opentelemetry::global;
pub use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, UpDownCounter},
};

/// The scope that all our instruments are in.
const SCOPE: &str = "rafter";

/// From 1 ms to 100 s, with two steps between powers of ten.
const SECONDS: [f64; 16] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// Durations in seconds.
#[must_use]
pub fn seconds(name: &'static str, description: &'static str) -> Histogram<f64> {
    global::meter(SCOPE)
        .f64_histogram(name)
        .with_unit("s")
        .with_description(description)
        .with_boundaries(SECONDS.to_vec())
        .build()
}

/// What only grows, such as `{job}` or `By`.
#[must_use]
pub fn counter(name: &'static str, unit: &'static str, description: &'static str) -> Counter<u64> {
    global::meter(SCOPE).u64_counter(name).with_unit(unit).with_description(description).build()
}

/// What is measured from time to time.
#[must_use]
pub fn gauge(name: &'static str, unit: &'static str, description: &'static str) -> Gauge<f64> {
    global::meter(SCOPE).f64_gauge(name).with_unit(unit).with_description(description).build()
}

/// What goes up and down by events, such as connections.
#[must_use]
pub fn level(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
) -> UpDownCounter<i64> {
    global::meter(SCOPE)
        .i64_up_down_counter(name)
        .with_unit(unit)
        .with_description(description)
        .build()
}
