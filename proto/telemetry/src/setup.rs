//! Where the lines, spans and metrics of this process go.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::ParseError, fmt, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::export::{Exporting, Wanted};

/// Which spans leave by OTLP. What the exporter's own connection does must not: each export would
/// cause the next.
const EXPORTED: &str = "info,h2=off,hyper=off,hyper_util=off,tonic=off,tower=off,rustls=off,\
                        opentelemetry=off";

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, in colour on a terminal.
    Human,
    /// An object a line.
    Json,
}

/// For how long the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As long as a person waits: it exports traces alone, and does not wait long for it.
    Command,
    Daemon,
}

/// Who reports.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// Which program, such as `rafterctld`.
    pub name: &'a str,
    /// Which one of them, such as `ctl1`.
    pub instance: &'a str,
    pub kind: Kind,
}

/// A filter that can't be understood.
#[derive(Debug, thiserror::Error)]
#[error("{filter:?} is no filter for log lines (example: info,raft_store=debug)")]
pub struct BadFilter {
    filter: String,
    source: ParseError,
}

/// Sends what is left when it is dropped. Keep it until the end of `main`.
#[must_use = "dropped at once, it stops the export"]
pub struct Guard {
    exporting: Option<Exporting>,
}

impl Guard {
    /// Whether spans or metrics leave this process.
    #[must_use]
    pub fn is_exporting(&self) -> bool {
        self.exporting.is_some()
    }
}

/// Sends lines to stderr, and traces and metrics to the collector that the environment names.
///
/// `filter` says which lines; `RUST_LOG` in the environment takes its place. Fails for a filter
/// that can't be understood, and for nothing else.
///
/// # Panics
/// When it is called a second time.
pub fn init(service: Service<'_>, format: Format, filter: &str) -> Result<Guard, BadFilter> {
    init_from(service, format, filter, &|name| std::env::var(name).ok())
}

/// The same with another environment.
pub fn init_from(
    service: Service<'_>,
    format: Format,
    filter: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Guard, BadFilter> {
    let chosen = environment("RUST_LOG").filter(|chosen| !chosen.is_empty());
    let chosen = chosen.unwrap_or_else(|| filter.to_owned());
    let lines = match EnvFilter::try_new(&chosen) {
        Ok(parsed) => lines(format).with_filter(parsed),
        Err(source) => return Err(BadFilter { filter: chosen, source }),
    };
    let started = match Wanted::from(environment) {
        Ok(Some(wanted)) => Exporting::start(&wanted, &service).map(Some),
        Ok(None) => Ok(None),
        Err(reason) => Err(reason),
    };
    let tracer = started.as_ref().ok().and_then(|exporting| exporting.as_ref()?.tracer());
    let spans = tracer.map(|tracer| {
        let exported = EnvFilter::try_new(EXPORTED).expect("the fixed filter is one");
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(exported)
    });
    tracing_subscriber::registry().with(lines).with(spans).init();
    let exporting = started.unwrap_or_else(|error| {
        let reason = chain(&error);
        tracing::warn!(reason, "traces and metrics are not exported");
        None
    });
    Ok(Guard { exporting })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

fn lines(format: Format) -> Box<dyn Layer<Registry> + Send + Sync> {
    let layer = fmt::layer().with_writer(io::stderr);
    match format {
        Format::Human => layer.with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_filter_is_one() {
        assert!(EnvFilter::try_new(EXPORTED).is_ok());
    }

    fn wanted(pairs: &[(&str, &str)]) -> Result<Option<(bool, bool)>, String> {
        let find = |name: &str| {
            let pair = pairs.iter().find(|(key, _)| *key == name);
            pair.map(|(_, value)| (*value).to_owned())
        };
        let wanted = Wanted::from(&find).map_err(|error| error.to_string())?;
        Ok(wanted.map(|wanted| (wanted.traces, wanted.metrics)))
    }

    #[test]
    fn the_environment_decides_what_is_exported() {
        let at = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
        assert_eq!(wanted(&[]), Ok(None));
        assert_eq!(wanted(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Ok(None));
        assert_eq!(wanted(&[at]), Ok(Some((true, true))));
        assert_eq!(wanted(&[at, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(None));
        assert_eq!(wanted(&[at, ("OTEL_METRICS_EXPORTER", "none")]), Ok(Some((true, false))));
        assert_eq!(wanted(&[at, ("OTEL_TRACES_EXPORTER", "none")]), Ok(Some((false, true))));
        assert_eq!(wanted(&[at, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), Ok(Some((true, true))));
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let at = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
        let cases = [
            (vec![at, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], "PROTOCOL=http/protobuf"),
            (vec![at, ("OTEL_TRACES_EXPORTER", "zipkin")], "OTEL_TRACES_EXPORTER=zipkin"),
            (vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "https://there")], "ENDPOINT=https://there"),
        ];
        for (pairs, named) in cases {
            let refused = wanted(&pairs).expect_err(named);
            assert!(refused.contains(named), "{refused}");
        }
    }
}
