//! Seeing what happens: log lines to stderr, and traces and metrics by OTLP.
//!
//! Everything reports through `tracing`; [`init`] decides where it goes. Lines always go to
//! stderr. Where `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector, spans and metrics go there too,
//! and [`context`] carries a trace from the command through the log to the node.
//!
//! **Invariant:** whatever is wrong with a collector costs a warning and nothing else.

pub mod context;
pub mod metrics;

mod export;
mod setup;

pub use context::{continue_from, current_traceparent};
pub use setup::{BadFilter, Format, Guard, Kind, Service, init, init_from};
