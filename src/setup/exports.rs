//! What became of what was exported.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::rejected::{Answer, Rejected};
use super::variables::Signal;
use crate::sync::Mutex;

/// The target of what is measured, and is no line of a log.
pub(super) const COUNTED: &str = "tracing_meter::setup::counted";

/// An exporter that says when it has failed: the SDK does not.
#[derive(Debug)]
pub(super) struct Reporting<E> {
    inner: E,
    exports: Arc<Exports>,
}

/// The exports of one exporter so far.
#[derive(Debug)]
pub(super) struct Exports {
    signal: Signal,
    /// Spans, of this signal alone.
    ended: AtomicU64,
    arrived: AtomicU64,
    /// What the collector has said of the export that it has taken last.
    answer: Mutex<Option<Rejected>>,
    said: Said,
    /// Why the last export failed, if it did, or a part of it.
    failure: Mutex<Option<String>>,
    over: OnceLock<()>,
}

/// What a collector says again with each export is logged once.
#[derive(Debug, Default)]
struct Said {
    rejected: AtomicBool,
    warned: AtomicBool,
}

impl Exports {
    pub(super) fn new(signal: Signal) -> Arc<Self> {
        Arc::new(Self {
            signal,
            ended: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            answer: Mutex::default(),
            said: Said::default(),
            failure: Mutex::default(),
            over: OnceLock::new(),
        })
    }

    pub(super) fn of<E>(self: &Arc<Self>, exporter: E) -> Reporting<E> {
        Reporting {
            inner: exporter,
            exports: Arc::clone(self),
        }
    }

    /// A span has ended, and is to be exported.
    pub(super) fn span_ended(&self) {
        self.ended.fetch_add(1, Ordering::Release);
    }

    /// The collector has taken an export, or most of it.
    pub(super) fn answered(&self, answer: impl Answer) {
        *self.answer.lock() = answer.rejected();
    }

    /// How many spans have ended, and did not arrive.
    pub(super) fn lost_spans(&self) -> u64 {
        let arrived = self.arrived.load(Ordering::Acquire);
        self.ended.load(Ordering::Acquire).saturating_sub(arrived)
    }

    /// Why the last export failed, if it did, or a part of it.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// Until the last export is done. Says whether it was not.
    pub(super) fn wait_for_end(&self) -> bool {
        let is_late = self.over.get().is_none();
        self.over.wait();
        is_late
    }

    /// Of the export that was taken last.
    fn rejected(&self) -> u64 {
        self.answer.lock().as_ref().map_or(0, |it| it.items)
    }

    fn end(&self) {
        // Once is enough.
        let _ = self.over.set(());
    }

    fn report(&self, result: &OTelSdkResult, spans: Option<u64>) {
        let rejected = self.answer.lock().take();
        let failure = match (result, rejected) {
            (Err(why), _) => Some(self.report_failure(&why.to_string(), spans)),
            (Ok(()), None) => None,
            (Ok(()), Some(rejected)) => self.report_rejected(&rejected, spans),
        };
        *self.failure.lock() = failure;
    }

    /// One event is the line and the count: a reader of either finds it.
    fn report_failure(&self, why: &str, spans: Option<u64>) -> String {
        tracing::error!(
            monotonic_counter.telemetry.failed_exports = 1,
            monotonic_counter.telemetry.lost_spans = spans,
            signal = self.signal.name(),
            "cannot export {}: {why}",
            self.signal.name(),
        );
        why.to_owned()
    }

    /// The count is an event separate from the line, which is there only once.
    fn report_rejected(&self, rejected: &Rejected, spans: Option<u64>) -> Option<String> {
        let Rejected { items, why } = rejected;
        let signal = self.signal.name();
        let is_first = |said: &AtomicBool| !said.swap(true, Ordering::Relaxed);
        if *items == 0 {
            if is_first(&self.said.warned) {
                tracing::warn!(signal, "the collector warns: {why:?}");
            }
            return None;
        }
        let (of_spans, of_points) = match spans {
            Some(_) => (Some(*items), None),
            None => (None, Some(*items)),
        };
        tracing::event!(
            target: COUNTED,
            tracing::Level::INFO,
            monotonic_counter.telemetry.rejected_spans = of_spans,
            monotonic_counter.telemetry.rejected_points = of_points,
            signal,
        );
        let what = if spans.is_some() { "spans" } else { "points" };
        let rejected =
            format!("the collector has rejected {items} of the {what} of an export: {why:?}");
        if is_first(&self.said.rejected) {
            tracing::warn!(signal, "{rejected}");
        }
        Some(rejected)
    }
}

/// A panic ends here: it would be that of the application's thread that ends a span, or
/// the silent end of the thread that exports. That of the console panics if its output is closed.
async fn caught(export: impl Future<Output = OTelSdkResult>) -> OTelSdkResult {
    let mut export = pin!(export);
    let panicked = || OTelSdkError::InternalFailure("the exporter has panicked".to_owned());
    poll_fn(|context| {
        let poll = AssertUnwindSafe(|| export.as_mut().poll(context));
        catch_unwind(poll).unwrap_or_else(|_| Poll::Ready(Err(panicked())))
    })
    .await
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let result = caught(self.inner.export(batch)).await;
        if result.is_ok() {
            let arrived = spans.saturating_sub(self.exports.rejected());
            self.exports.arrived.fetch_add(arrived, Ordering::Release);
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

    /// As the console's, if its output is closed.
    #[derive(Debug)]
    struct Broken;

    impl SpanExporter for Broken {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            panic!("failed printing to stdout")
        }
    }

    #[tokio::test]
    async fn an_exporter_that_panics_has_failed() {
        let exports = Exports::new(Signal::Traces);
        let result = exports.of(Broken).export(Vec::new()).await;
        assert!(result.is_err());
        let why = exports.failure().unwrap();
        assert!(why.contains("the exporter has panicked"), "{why}");
    }
}
