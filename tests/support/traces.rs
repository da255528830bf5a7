//! Spans as an exporter gets them, and messages with a trace.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]

use std::sync::LazyLock;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, Sampler, SdkTracer, SdkTracerProvider, ShouldSample, SpanData,
};
use tracing::Dispatch;

pub const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
pub const PARENT_ID: &str = "b7ad6b7169203331";
pub const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";

pub type Headers = std::collections::BTreeMap<String, String>;

/// Headers of a message.
pub fn headers<const N: usize>(headers: [(&str, &str); N]) -> Headers {
    headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// A tracer whose spans can be read.
pub struct Traces {
    exporter: InMemorySpanExporter,
    provider: SdkTracerProvider,
}

/// While a process has one subscriber, `tracing-core` asks nobody else what a callsite is
/// to be. A test that is the second one in that moment would lose its spans.
static OTHERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Dispatch::new(tracing_subscriber::registry())));

impl Traces {
    pub fn new() -> Self {
        Self::sampled(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
    }

    pub fn sampled(sampler: impl ShouldSample + 'static) -> Self {
        LazyLock::force(&OTHERS);
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler)
            .with_simple_exporter(exporter.clone())
            .build();
        Self { exporter, provider }
    }

    pub fn tracer(&self) -> SdkTracer {
        self.provider.tracer("test")
    }

    /// All spans that have ended.
    pub fn spans(&self) -> Vec<SpanData> {
        self.exporter.get_finished_spans().unwrap()
    }

    /// The span of a name, of which there is one.
    pub fn span(&self, name: &str) -> SpanData {
        let all = self.spans();
        let mut named = all.iter().filter(|span| span.name == name);
        let span = named
            .next()
            .unwrap_or_else(|| panic!("no {name} in {all:?}"));
        assert!(named.next().is_none(), "more than one {name} in {all:?}");
        span.clone()
    }
}

/// The trace, and the parent in it.
pub fn origin(span: &SpanData) -> (String, String) {
    let trace_id = span.span_context.trace_id().to_string();
    (trace_id, span.parent_span_id.to_string())
}

/// The trace and the parent of the message with [`TRACEPARENT`].
pub fn remote() -> (String, String) {
    (TRACE_ID.to_owned(), PARENT_ID.to_owned())
}

/// The trace of a span, and the span as a parent in it.
pub fn child_of(span: &SpanData) -> (String, String) {
    let context = &span.span_context;
    (
        context.trace_id().to_string(),
        context.span_id().to_string(),
    )
}
