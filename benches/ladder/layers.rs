//! Layers of the bench's own: what others would have, or nothing at all.

use std::future::{Future, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Wants everything and does nothing.
///
/// The reference for spans: a registry without any layer keeps each of them for ever.
pub(crate) struct NoOp;

impl<S: Subscriber> Layer<S> for NoOp {}

/// Log lines as most programs have them, to nowhere.
pub(crate) fn fmt<S>() -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_subscriber::fmt::layer()
        .with_writer(std::io::sink)
        .with_filter(EnvFilter::new("info"))
}

/// What somebody would write without this crate: the time of every span into one
/// Prometheus histogram.
pub(crate) struct HandWritten(metrics::Histogram);

impl HandWritten {
    pub(crate) fn new(recorder: &impl metrics::Recorder) -> Self {
        let labels = vec![
            metrics::Label::new("queue", "low"),
            metrics::Label::new("kind", "image"),
        ];
        let key = metrics::Key::from_parts("job_seconds", labels);
        let metadata = metrics::Metadata::new("bench", metrics::Level::INFO, None);
        Self(recorder.register_histogram(&key, &metadata))
    }
}

struct Opened(Instant);

impl<S> Layer<S> for HandWritten
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(Opened(Instant::now()));
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(&id)
            && let Some(Opened(at)) = span.extensions().get()
        {
            self.0.record(at.elapsed().as_secs_f64());
        }
    }
}

/// Counts the spans that reach it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CountedSpans(Arc<AtomicUsize>);

impl CountedSpans {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl SpanExporter for CountedSpans {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        self.0.fetch_add(batch.len(), Ordering::Relaxed);
        ready(Ok(()))
    }
}
