//! Trace context in the form of W3C Trace Context: `00-TRACE-SPAN-FLAGS`.
//!
//! It travels in gRPC metadata from process to process, and as text with the job through the log,
//! so that one trace follows a job from its submission to its end.

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::{SpanContext, TraceContextExt as _},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::metadata::{MetadataKey, MetadataMap};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The name of the header, of the metadata, and (in capitals) of the environment's variable.
pub const TRACEPARENT: &str = "traceparent";

/// The context of the span that the caller is in, or nothing where nothing is traced.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    traceparent(&Span::current())
}

/// The context of `span`, or nothing where nothing is traced.
#[must_use]
pub fn traceparent(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let at = span.span_context();
    let flags = at.trace_flags().to_u8() & 1;
    let text = || format!("00-{}-{}-{flags:02x}", at.trace_id(), at.span_id());
    at.is_valid().then(text)
}

/// Makes `span` a child of the context in `traceparent`. Returns whether it is one now: not where
/// nothing is traced, the text is none, or the span was entered before.
pub fn continue_from(span: &Span, traceparent: &str) -> bool {
    adopt(span, &One(traceparent))
}

/// Whether `text` is a context of W3C Trace Context that one may store and pass on.
#[must_use]
pub fn is_traceparent(text: &str) -> bool {
    remote(&One(text)).is_some()
}

/// Sends the current context along with a request.
pub fn inject(metadata: &mut MetadataMap) {
    let context = Span::current().context();
    TraceContextPropagator::new().inject_context(&context, &mut Outgoing(metadata));
}

/// Makes `span` a child of the context that came with a request. Returns whether it is one now.
pub fn extract(metadata: &MetadataMap, span: &Span) -> bool {
    adopt(span, &Incoming(metadata))
}

fn adopt(span: &Span, carrier: &dyn Extractor) -> bool {
    let Some(parent) = remote(carrier) else { return false };
    span.set_parent(Context::new().with_remote_span_context(parent)).is_ok()
}

/// The propagator forgives what the recommendation forbids, such as a version of one digit. What
/// is stored in the log for ever is held to the letter.
fn has_form(text: &str) -> bool {
    const DASHES: [usize; 3] = [2, 35, 52];
    let fits = |(at, byte): (usize, u8)| match byte {
        b'-' => DASHES.contains(&at),
        b'0'..=b'9' | b'a'..=b'f' => !DASHES.contains(&at),
        _ => false,
    };
    text.len() == 55 && text.bytes().enumerate().all(fits)
}

fn remote(carrier: &dyn Extractor) -> Option<SpanContext> {
    carrier.get(TRACEPARENT).filter(|text| has_form(text))?;
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), carrier);
    let span = context.span();
    span.span_context().is_valid().then(|| span.span_context().clone())
}

struct One<'a>(&'a str);

impl Extractor for One<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

struct Incoming<'a>(&'a MetadataMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        // The propagator asks by name; what else came with the request is not its business.
        vec![TRACEPARENT, "tracestate"]
    }
}

struct Outgoing<'a>(&'a mut MetadataMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        // A context is ASCII. Were it not, the request would go without.
        if let (Ok(key), Ok(value)) = (MetadataKey::from_bytes(key.as_bytes()), value.parse()) {
            self.0.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_tracing_there_is_no_context() {
        assert_eq!(current_traceparent(), None);
        let mut metadata = MetadataMap::new();
        inject(&mut metadata);
        assert!(metadata.is_empty());
        let span = tracing::info_span!("work");
        assert!(!continue_from(&span, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    }

    #[test]
    fn only_contexts_are_passed_on() {
        // The examples are those of the recommendation, section 3.2.3.
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        let bad = [
            String::new(),
            good.to_uppercase(),
            good.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            good.replace("00f067aa0ba902b7", &"0".repeat(16)),
            good.replace("00-4", "ff-4"),
            good[1..].to_owned(),
            good[..good.len() - 1].to_owned(),
            format!("{good}\n"),
        ];
        for text in bad {
            assert!(!is_traceparent(&text), "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_text_panics(text in "(00-)?[0-9a-f-]{0,60}\\PC{0,4}") {
            let _ = is_traceparent(&text);
        }
    }
}
