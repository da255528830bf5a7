//! What ends the telemetry of a process.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::background::Background;
use super::error::ShutdownError;
use super::exports::Exports;
use super::metrics::Metrics;
use super::traces::Traces;
use crate::handle::MeterHandle;

/// Exports what is left when it is dropped, or when it [shuts down](Self::shutdown).
///
/// Keep it as long as the program runs, in a variable of `main`: it ends with every way
/// out of there, `?` and panics included. `let _ = init()?` drops it at once: what is
/// measured then is lost, and listed as [`ShutDown`](crate::Reason::ShutDown).
/// `std::process::exit` drops nothing. A span that is open when it ends, such as one around
/// all of `main`, is not exported.
#[must_use = "what is left is exported when the guard is dropped"]
pub struct Guard {
    pub(super) handle: MeterHandle,
    pub(super) prometheus: Option<PrometheusHandle>,
    pub(super) traces: Option<Traces>,
    pub(super) metrics: Option<Metrics>,
    pub(super) limit: Duration,
    /// All of them are exported from here: it ends after them.
    pub(super) background: Background,
}

impl Guard {
    /// What is measured, and what is wrong with it.
    #[must_use]
    pub fn handle(&self) -> &MeterHandle {
        &self.handle
    }

    /// What a scrape shows, if there is an endpoint for Prometheus.
    #[must_use]
    pub fn prometheus(&self) -> Option<&PrometheusHandle> {
        self.prometheus.as_ref()
    }

    /// The tracer provider, if traces are exported. It is OpenTelemetry's global one, too.
    #[must_use]
    pub fn tracer_provider(&self) -> Option<&SdkTracerProvider> {
        self.traces.as_ref().map(|it| &it.provider)
    }

    /// The meter provider, if metrics are pushed. It is OpenTelemetry's global one, too.
    #[must_use]
    pub fn meter_provider(&self) -> Option<&SdkMeterProvider> {
        self.metrics.as_ref().map(|it| &it.provider)
    }

    /// Exports what is left, traces first, and ends; the Prometheus endpoint last.
    ///
    /// It blocks until that is done, but never longer than the
    /// [limit](super::Setup::shutdown_limit), and may be called in asynchronous code.
    ///
    /// # Errors
    ///
    /// If spans were lost, at any time, or the last metrics did not arrive. What the collector
    /// has rejected did not arrive.
    pub fn shutdown(mut self) -> Result<(), ShutdownError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), ShutdownError> {
        let start = Instant::now();
        let (traces, metrics) = (self.traces.take(), self.metrics.take());
        // Metrics get what is left of the time, and half of it at least.
        let of_traces = match metrics {
            Some(_) => self.limit / 2,
            None => self.limit,
        };
        let traces = traces.and_then(|it| end_traces(it, of_traces).err());
        let left = self.limit.saturating_sub(start.elapsed());
        let metrics = metrics.and_then(|it| end_metrics(it, left).err());
        self.background.leave();
        if traces.is_none() && metrics.is_none() {
            return Ok(());
        }
        Err(ShutdownError { traces, metrics })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!("{error}");
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

fn end_traces(traces: Traces, limit: Duration) -> Result<(), String> {
    let Traces { provider, exports } = traces;
    let ended = within(limit, move |limit| provider.shutdown_with_timeout(limit));
    let lost = exports.iter().map(|it| it.lost_spans()).sum::<u64>();
    let failure = failure(&exports);
    match (ended, failure) {
        (Err(why), _) => Err(format!("{why}; {lost} spans did not arrive")),
        (Ok(()), Some(why)) if lost > 0 => Err(format!("{lost} spans did not arrive: {why}")),
        (Ok(()), None) if lost > 0 => Err(format!("{lost} spans did not arrive")),
        (Ok(()), _) => Ok(()),
    }
}

fn end_metrics(metrics: Metrics, limit: Duration) -> Result<(), String> {
    let Metrics { provider, exports } = metrics;
    let readers = exports.clone();
    let ended = within(limit, move |limit| {
        let ended = provider.shutdown_with_timeout(limit);
        // It waits for a reader no longer than five seconds, whatever it is told.
        let late = readers.iter().filter(|it| it.wait_for_end()).count();
        if late > 0 { Ok(()) } else { ended }
    });
    // The SDK says that it has failed, the exporter says why.
    match failure(&exports) {
        Some(why) => Err(why),
        None => ended,
    }
}

fn failure(of: &[Arc<Exports>]) -> Option<String> {
    of.iter().find_map(|it| it.failure())
}

/// The SDK bounds most of its waiting, but not all, and wraps what it says of it: its
/// limit is not the first that is reached.
fn within(
    limit: Duration,
    end: impl FnOnce(Duration) -> OTelSdkResult + Send + 'static,
) -> Result<(), String> {
    let (done, wait) = mpsc::channel();
    let thread = std::thread::Builder::new().name("tracing-meter-end".to_owned());
    let started = thread.spawn(move || done.send(end(limit.saturating_mul(2))));
    started.map_err(|why| why.to_string())?;
    match wait.recv_timeout(limit) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => Err(why.to_string()),
        Err(RecvTimeoutError::Timeout) => Err(format!("not exported within {limit:.1?}")),
        Err(RecvTimeoutError::Disconnected) => Err("the exporter has panicked".to_owned()),
    }
}
