//! Sending spans and metrics to a collector by OTLP over gRPC.
//!
//! The exporters have a runtime of their own, with one thread: they work before the daemon's
//! runtime begins and after it ends, and they can be flushed from wherever the guard is dropped.

use std::{sync::mpsc, thread, time::Duration};

use opentelemetry::{KeyValue, global, trace::TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    metrics::SdkMeterProvider,
    trace::{SdkTracer, SdkTracerProvider},
};
use tokio::runtime::Runtime;

use crate::setup::{Kind, Service};

/// What the environment says of exporting (OpenTelemetry's specification of its variables).
pub(crate) struct Wanted {
    pub(crate) endpoint: String,
    pub(crate) traces: bool,
    pub(crate) metrics: bool,
}

/// Why nothing is exported although it is wanted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoExport {
    #[error("{variable}={value} is not supported: only {supported}")]
    Unsupported { variable: &'static str, value: String, supported: &'static str },
    #[error("the exporter's thread can't be started")]
    Runtime { source: std::io::Error },
    #[error("the exporter can't be set up")]
    Build { source: ExporterBuildError },
}

impl Wanted {
    /// Nothing where no collector is named, or OpenTelemetry is switched off.
    pub(crate) fn from(
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, NoExport> {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let Some(endpoint) = set("OTEL_EXPORTER_OTLP_ENDPOINT") else { return Ok(None) };
        if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let only = |variable: &'static str, allowed: &[&str], supported: &'static str| {
            let value = set(variable).unwrap_or_else(|| allowed[0].to_owned());
            if allowed.contains(&value.as_str()) {
                Ok(value)
            } else {
                Err(NoExport::Unsupported { variable, value, supported })
            }
        };
        only("OTEL_EXPORTER_OTLP_PROTOCOL", &["grpc"], "grpc")?;
        let exporters = ["otlp", "none"];
        let traces = only("OTEL_TRACES_EXPORTER", &exporters, "otlp and none")? == "otlp";
        let metrics = only("OTEL_METRICS_EXPORTER", &exporters, "otlp and none")? == "otlp";
        if !endpoint.starts_with("http://") {
            let (variable, supported) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://HOST:PORT");
            return Err(NoExport::Unsupported { variable, value: endpoint, supported });
        }
        Ok(Some(Self { endpoint, traces, metrics }))
    }
}

/// The running exporters.
pub(crate) struct Exporting {
    runtime: Option<Runtime>,
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    /// How long the end may wait for the collector.
    patience: Duration,
}

impl Exporting {
    pub(crate) fn start(wanted: &Wanted, service: &Service<'_>) -> Result<Self, NoExport> {
        let build = |source| NoExport::Build { source };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("telemetry")
            .enable_all()
            .build()
            .map_err(|source| NoExport::Runtime { source })?;
        let entered = runtime.enter();
        let resource = resource(service);
        let mut exporting =
            Self { runtime: None, traces: None, metrics: None, patience: patience(service.kind) };
        if wanted.traces {
            let exporter = SpanExporter::builder()
                .with_tonic()
                .with_endpoint(&wanted.endpoint)
                .build()
                .map_err(build)?;
            let provider = SdkTracerProvider::builder()
                .with_batch_exporter(exporter)
                .with_resource(resource.clone())
                .build();
            exporting.traces = Some(provider);
        }
        // A command is over before there is anything to measure.
        if wanted.metrics && service.kind == Kind::Daemon {
            let exporter = MetricExporter::builder()
                .with_tonic()
                .with_endpoint(&wanted.endpoint)
                .build()
                .map_err(build)?;
            let provider = SdkMeterProvider::builder()
                .with_periodic_exporter(exporter)
                .with_resource(resource)
                .build();
            global::set_meter_provider(provider.clone());
            exporting.metrics = Some(provider);
        }
        drop(entered);
        exporting.runtime = Some(runtime);
        Ok(exporting)
    }

    pub(crate) fn tracer(&self) -> Option<SdkTracer> {
        self.traces.as_ref().map(|provider| provider.tracer("rafter"))
    }
}

fn patience(kind: Kind) -> Duration {
    match kind {
        // A person waits for it.
        Kind::Command => Duration::from_millis(500),
        Kind::Daemon => Duration::from_secs(5),
    }
}

impl Drop for Exporting {
    /// Sends what is left, as far as the collector takes it in time.
    fn drop(&mut self) {
        let (traces, metrics) = (self.traces.take(), self.metrics.take());
        let (done, ended) = mpsc::channel();
        // On a thread of its own, since the SDK does not bound all of its own waits.
        let flusher = thread::Builder::new().name("telemetry-end".to_owned()).spawn(move || {
            // A collector that is gone is nobody's business any more.
            let _ = traces.map(|provider| provider.shutdown());
            let _ = metrics.map(|provider| provider.shutdown());
            let _ = done.send(());
        });
        if flusher.is_ok() {
            let _ = ended.recv_timeout(self.patience);
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Who reports. `OTEL_RESOURCE_ATTRIBUTES` may add to it.
fn resource(service: &Service<'_>) -> Resource {
    let mut builder = Resource::builder()
        .with_service_name(service.name.to_owned())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", service.instance.to_owned()));
    if let Ok(host) = nix::unistd::gethostname() {
        let host = host.to_string_lossy().into_owned();
        builder = builder.with_attribute(KeyValue::new("host.name", host));
    }
    builder.build()
}
