//! What leaves by OTLP, as a collector receives it. One test, since a process is set up once.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use telemetry::{Format, Kind, Service, context, continue_from, current_traceparent, metrics};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, metadata::MetadataMap, transport::Server};

enum Got {
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
}

#[derive(Clone)]
struct Collector(Sender<Got>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.send(Got::Traces(request.into_inner())).expect("the test listens");
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.0.send(Got::Metrics(request.into_inner())).expect("the test listens");
        Ok(Response::new(Default::default()))
    }
}

/// A collector on a fresh port, which stays until the process ends.
fn collector() -> (String, Receiver<Got>) {
    let (sender, got) = channel();
    let (ready, address) = channel();
    std::thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().expect("a runtime").block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            ready.send(listener.local_addr().expect("an address")).expect("the test listens");
            Server::builder()
                .add_service(TraceServiceServer::new(Collector(sender.clone())))
                .add_service(MetricsServiceServer::new(Collector(sender)))
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .expect("served");
        });
    });
    let address = address.recv().expect("the collector starts");
    (format!("http://{address}"), got)
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    if let Value::StringValue(text) = found.value.as_ref()?.value.as_ref()? {
        Some(text)
    } else {
        None
    }
}

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A span that continues a stored context, a call from within it, and what the callee sees of it.
fn work() -> String {
    let outer = tracing::info_span!("job.launch", job = 7);
    assert!(continue_from(&outer, PARENT));
    let (mut metadata, sent) = (MetadataMap::new(), outer.in_scope(current_traceparent));
    outer.in_scope(|| context::inject(&mut metadata));
    let sent = sent.expect("a context");
    assert_eq!(metadata.get("traceparent").expect("sent along"), sent.as_str());
    let inner = tracing::info_span!("job.step");
    assert!(context::extract(&metadata, &inner));
    inner.in_scope(|| tracing::info!("running"));
    let _hidden = tracing::debug_span!("not exported").entered();
    sent
}

#[tokio::test]
async fn spans_and_metrics_reach_the_collector() {
    let (endpoint, got) = collector();
    let environment =
        move |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone());
    let service = Service { name: "rafterctld", instance: "ctl1", kind: Kind::Daemon };
    let guard = telemetry::init_from(service, Format::Json, "warn", &environment);
    let guard = guard.expect("set up");
    assert!(guard.is_exporting());

    let sent = work();
    let launches = metrics::seconds("rafter.job.launch.duration", "From order to start.");
    launches.record(0.03, &[]);
    // In an asynchronous context, as in a daemon's main: this must neither panic nor hang.
    let began = Instant::now();
    drop(guard);
    assert!(began.elapsed() < Duration::from_secs(5), "the end waited for its bound");

    let (mut spans, mut durations) = (Vec::<Span>::new(), 0);
    for batch in got.try_iter() {
        match batch {
            Got::Traces(batch) => {
                for group in batch.resource_spans {
                    let resource = group.resource.expect("a resource").attributes;
                    assert_eq!(text(&resource, "service.name"), Some("rafterctld"));
                    assert_eq!(text(&resource, "service.instance.id"), Some("ctl1"));
                    assert!(text(&resource, "service.version").is_some());
                    spans.extend(group.scope_spans.into_iter().flat_map(|scope| scope.spans));
                }
            }
            Got::Metrics(batch) => {
                let scopes = batch.resource_metrics.into_iter().flat_map(|r| r.scope_metrics);
                let metrics = scopes.flat_map(|scope| scope.metrics);
                durations += metrics.filter(|m| m.name == "rafter.job.launch.duration").count();
            }
        }
    }
    assert_eq!(durations, 1);
    let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["job.launch", "job.step"]);
    let named = |name: &str| spans.iter().find(|span| span.name == name).expect("checked");
    let (outer, inner) = (named("job.launch"), named("job.step"));
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(format!("00-{}-{}-01", hex(&outer.trace_id), hex(&outer.parent_span_id)), PARENT);
    assert_eq!(format!("00-{}-{}-01", hex(&inner.trace_id), hex(&inner.parent_span_id)), sent);
    assert_eq!(inner.events.len(), 1, "the line is on its span");
}
