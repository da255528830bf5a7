//! Measurements through the OpenTelemetry SDK.

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tracing_core::callsite::DefaultCallsite;
use tracing_core::{Kind, Level, LevelFilter, Metadata, metadata};

use super::problems::SinkProblems;
use super::{Handle, Sink};
use crate::instrument::Instrument;
use crate::labels::Labels;
use crate::pending::Flusher;
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
/// times as fast as a call with attributes, and what is counted often is pending on each
/// thread until a reader collects. Series of any other provider,
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
    /// measured since the last export is exported then. What is measured afterwards is lost,
    /// which is listed as [`ShutDown`](crate::Reason::ShutDown) if this is an
    /// [`SdkMeterProvider`] itself, and not one in a type of the program.
    pub fn new<P>(provider: P) -> Self
    where
        P: MeterProvider + Send + Sync + 'static,
    {
        // Registered now, and not in the middle of an event.
        may_log();
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
        let builder = &self.builder;
        match builder.find(instrument, labels, builder.can_bind && may_log()) {
            Found::Here(built) => built.series(labels, builder.can_bind),
            Found::Early(early) => builder.built_in_time(early),
            // If this thread is inside a collection, that asks for nothing more.
            Found::Unheard(early)
                if builder.is_flushed.load(Ordering::Relaxed) && !has_collected() =>
            {
                builder.bind_early_later();
                early
            }
            Found::Unheard(early) => builder.bound(early),
        }
    }

    /// The SDK runs the callbacks of observable instruments before it collects.
    fn flush_with(&self, flush: Flusher) {
        if self.builder.can_bind {
            let builder = Arc::new(Arc::downgrade(&self.builder));
            let in_callback = Arc::clone(&builder);
            // Nothing is ever observed, so nothing of this name is exported.
            let _ = self
                .builder
                .meter
                .f64_observable_counter("tracing_meter.buffered")
                .with_callback(move |_| {
                    let _ = COLLECTS.try_with(|collects| collects.set(true));
                    if let Some(builder) = in_callback.upgrade() {
                        builder.bind_early();
                    }
                    flush.flush();
                })
                .build();
            // A view may have dropped the instrument, and its callback with it.
            let is_flushed = Arc::strong_count(&builder) > 1;
            self.builder.is_flushed.store(is_flushed, Ordering::Relaxed);
        }
    }

    fn report_to(&self, problems: SinkProblems) {
        self.builder.report_to(problems);
    }

    fn is_shut_down(&self) -> bool {
        let provider = self.provider.as_deref();
        provider
            .and_then(|it| it.downcast_ref())
            .is_some_and(is_shut_down)
    }
}

/// The SDK says so nowhere else without exporting. Its text tries the lock of its meters,
/// and waits for none.
fn is_shut_down(provider: &SdkMeterProvider) -> bool {
    format!("{provider:?}").ends_with("shutdown_invoked: true } }")
}

thread_local! {
    /// Whether this thread has ever run the callbacks of a collection.
    static COLLECTS: Cell<bool> = const { Cell::new(false) };
}

fn has_collected() -> bool {
    COLLECTS.try_with(Cell::get).unwrap_or(true)
}

/// Whether a subscriber might hear what the SDK says when it binds a series: that the
/// stream is at its limit.
fn may_log() -> bool {
    static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
    static METADATA: Metadata<'static> = metadata! {
        name: "BoundInstrument.CardinalityOverflow",
        target: "opentelemetry_sdk",
        level: Level::DEBUG,
        fields: &["name", "message"],
        callsite: &CALLSITE,
        kind: Kind::EVENT
    };
    !CALLSITE.interest().is_never() && LevelFilter::current() >= LevelFilter::DEBUG
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

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;
    use opentelemetry::metrics::noop::NoopMeterProvider;

    use super::*;

    #[test]
    fn the_sdk_tells_in_its_debug_text_that_it_is_shut_down() {
        let provider = SdkMeterProvider::builder().build();
        let misleading = KeyValue::new("text", "shutdown_invoked: true } }");
        let scope = InstrumentationScope::builder("any").with_attributes([misleading]);
        let _meter = provider.meter_with_scope(scope.build());
        let sink = OtelSink::new(provider.clone());
        assert!(!sink.is_shut_down(), "{provider:?}");
        provider.shutdown().unwrap();
        assert!(sink.is_shut_down(), "{provider:?}");
    }

    #[test]
    fn a_provider_that_is_not_of_the_sdk_is_not_known_to_be_shut_down() {
        let sink = OtelSink::new(NoopMeterProvider::new());
        assert!(!sink.is_shut_down());
    }
}
