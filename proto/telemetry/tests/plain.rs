//! Without a collector: lines, no threads, no context. One test, since a process is set up once.

use telemetry::{Format, Kind, Service, current_traceparent};

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("Linux").count()
}

#[test]
fn without_a_collector_nothing_is_started() {
    let service = Service { name: "sbatch", instance: "1", kind: Kind::Command };
    let none = |_: &str| None;
    let wrong = telemetry::init_from(service, Format::Human, "info,=x=y", &none);
    assert!(wrong.err().expect("no filter").to_string().contains("info,=x=y"));

    let before = threads();
    let guard = telemetry::init_from(service, Format::Human, "info", &none).expect("set up");
    assert!(!guard.is_exporting());
    assert_eq!(threads(), before);
    let span = tracing::info_span!("job.submit");
    assert_eq!(span.in_scope(current_traceparent), None);
}
