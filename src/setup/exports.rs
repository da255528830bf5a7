//! What became of what was exported.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use crate::no_poison::NoPoison;

/// An exporter that says when it has failed: the SDK tells nobody.
#[derive(Debug)]
pub(super) struct Reporting<E> {
    inner: E,
    exports: Arc<Exports>,
}

/// The exports of one exporter so far.
#[derive(Debug)]
pub(super) struct Exports {
    signal: &'static str,
    /// Spans, of this signal alone.
    ended: AtomicU64,
    arrived: AtomicU64,
    /// Why the last export failed, if it did.
    failure: NoPoison<Option<String>>,
    over: OnceLock<()>,
}

impl Exports {
    pub(super) fn new(signal: &'static str) -> Arc<Self> {
        Arc::new(Self {
            signal,
            ended: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            failure: NoPoison::default(),
            over: OnceLock::new(),
        })
    }

    pub(super) fn of<E>(self: &Arc<Self>, exporter: E) -> Reporting<E> {
        Reporting {
            inner: exporter,
            exports: Arc::clone(self),
        }
    }

    /// How many spans have ended, and did not arrive.
    pub(super) fn lost_spans(&self) -> u64 {
        let arrived = self.arrived.load(Ordering::Acquire);
        self.ended.load(Ordering::Acquire).saturating_sub(arrived)
    }

    /// Why the last export failed, if it did.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// Until the last export is done. Says whether it was not.
    pub(super) fn wait_for_end(&self) -> bool {
        let is_late = self.over.get().is_none();
        self.over.wait();
        is_late
    }

    fn end(&self) {
        // Once is enough.
        let _ = self.over.set(());
    }

    /// One event is the line and the count: whoever looks at either finds it.
    fn report(&self, result: &OTelSdkResult, spans: Option<u64>) {
        let failure = result.as_ref().err().map(ToString::to_string);
        if let Some(why) = &failure {
            tracing::error!(
                monotonic_counter.telemetry.failed_exports = 1,
                monotonic_counter.telemetry.lost_spans = spans,
                signal = self.signal,
                "cannot export {}: {why}",
                self.signal,
            );
        }
        *self.failure.lock() = failure;
    }
}

/// A panic ends here: it would be that of the application's thread that ends a span, or
/// the silent end of the thread that exports. That of the console panics if nobody reads.
async fn caught(export: impl Future<Output = OTelSdkResult>) -> OTelSdkResult {
    let mut export = pin!(export);
    let panicked = || OTelSdkError::InternalFailure("the exporter has panicked".to_owned());
    poll_fn(|context| {
        let poll = AssertUnwindSafe(|| export.as_mut().poll(context));
        catch_unwind(poll).unwrap_or_else(|_| Poll::Ready(Err(panicked())))
    })
    .await
}

/// A processor of spans that counts those that are to be exported: of what its queue has
/// no room for, the exporter never hears.
#[derive(Debug)]
pub(super) struct Counting<P> {
    pub(super) inner: P,
    pub(super) exports: Arc<Exports>,
}

impl<P: SpanProcessor> SpanProcessor for Counting<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.exports.ended.fetch_add(1, Ordering::Release);
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let result = caught(self.inner.export(batch)).await;
        if result.is_ok() {
            self.exports.arrived.fetch_add(spans, Ordering::Release);
        }
        self.exports.report(&result, Some(spans));
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Reporting<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = caught(self.inner.export(metrics)).await;
        self.exports.report(&result, None);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let result = self.inner.shutdown_with_timeout(timeout);
        self.exports.end();
        result
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the console's, if nobody reads.
    #[derive(Debug)]
    struct Broken;

    impl SpanExporter for Broken {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            panic!("failed printing to stdout")
        }
    }

    #[tokio::test]
    async fn an_exporter_that_panics_has_failed() {
        let exports = Exports::new("traces");
        let result = exports.of(Broken).export(Vec::new()).await;
        assert!(result.is_err());
        let why = exports.failure().unwrap();
        assert!(why.contains("the exporter has panicked"), "{why}");
    }
}
