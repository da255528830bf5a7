//! Measurements through the OpenTelemetry SDK.

use std::any::Any;
use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tracing_core::LevelFilter;

use super::problems::SinkProblems;
use super::{Handle, Sink};
use crate::gatherer::HandOver;
use crate::instrument::Instrument;
use crate::labels::Labels;
use crate::reentrancy::call_sink;

mod builder;
mod early;
mod instrument;

use builder::{Builder, Found};

/// Records through the instruments of a meter provider, in the scope
/// `tracing-meter`.
///
/// All instruments are `f64`: an integer and a float of one name are one
/// stream. Series of an [`SdkMeterProvider`] are bound, which is about eight
/// times as fast as a call with attributes, and what is counted often is gathered on each
/// thread, to be handed over when a reader collects. Series of any other provider,
/// that could drop bound measurements without a word, are called with attributes.
///
/// Instruments are created on a thread of the sink, because the SDK cannot create one
/// while it runs the callbacks of observable instruments. What is measured for the first
/// time in such a callback, or elsewhere while a collection takes long, waits in its
/// series, and is in the next collection.
pub struct OtelSink {
    builder: Arc<Builder>,
    provider: Option<Box<dyn Any + Send + Sync>>,
}

impl OtelSink {
    /// A sink of this provider, which is kept alive as long as the sink is.
    ///
    /// Keep a clone, and call `shutdown` on it before the program ends: what was
    /// measured since the last export is exported then.
    pub fn new<P>(provider: P) -> Self
    where
        P: MeterProvider + Send + Sync + 'static,
    {
        // Taken now: the global meter logs when it is asked for one.
        let scope = InstrumentationScope::builder("tracing-meter")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        let meter = provider.meter_with_scope(scope);
        let provider: Box<dyn Any + Send + Sync> = Box::new(provider);
        let can_bind = provider.is::<SdkMeterProvider>();
        Self {
            builder: Arc::new(Builder::new(meter, can_bind)),
            provider: Some(provider),
        }
    }
}

impl Sink for OtelSink {
    fn series(&self, instrument: &Instrument, labels: &Labels) -> Arc<dyn Handle> {
        // At its limit of series the SDK says so, at DEBUG.
        let may_log = self.builder.can_bind && LevelFilter::current() >= LevelFilter::DEBUG;
        match self.builder.find(instrument, labels, may_log) {
            Found::Built(built) => built.series(labels, self.builder.can_bind),
            Found::Early(early) => early.build_in_time(),
        }
    }

    /// The SDK runs the callbacks of observable instruments before it collects.
    fn before_it_is_read(&self, hand_over: HandOver) {
        if self.builder.can_bind {
            // Nothing is ever observed, so nothing of this name is exported.
            let meter: &Meter = &self.builder.meter;
            let _ = meter
                .f64_observable_counter("tracing_meter.gathered")
                .with_callback(move |_| hand_over.hand_over())
                .build();
        }
    }

    fn report_to(&self, problems: SinkProblems) {
        self.builder.report_to(problems);
    }
}

/// A provider shuts down when its last owner drops it, and logs while it does.
///
/// A subscriber may be dropped while `tracing` holds the lock of its callsites
/// (by another thread, that was just registering one), and logging would ask for
/// that lock again. So the provider is dropped by the worker, when all is built.
impl Drop for OtelSink {
    fn drop(&mut self) {
        let provider = self.provider.take();
        let drop = move || _ = call_sink(|| drop(provider));
        self.builder.worker.send(drop);
    }
}

impl std::fmt::Debug for OtelSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtelSink")
            .field("can_bind", &self.builder.can_bind)
            .finish_non_exhaustive()
    }
}
