//! A collector that isn't there delays nobody. One test, since a process is set up once.

use std::time::{Duration, Instant};

use telemetry::{Format, Kind, Service};

#[test]
fn a_dead_collector_costs_a_command_next_to_nothing() {
    // It takes connections into its queue and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    let environment =
        move |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone());
    let service = Service { name: "sbatch", instance: "1", kind: Kind::Command };
    let guard = telemetry::init_from(service, Format::Human, "off", &environment);
    let guard = guard.expect("set up");
    tracing::info_span!("job.submit").in_scope(|| tracing::info!("submitted"));
    let began = Instant::now();
    drop(guard);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(400), "it did not even try: {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
}
