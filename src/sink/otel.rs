//! Measurements through the OpenTelemetry SDK.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry::metrics::{
    BoundCounter, BoundGauge, BoundHistogram, BoundUpDownCounter, Counter, Gauge, Histogram, Meter,
    MeterProvider, UpDownCounter,
};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tracing_core::LevelFilter;

use super::{Handle, Sink};
use crate::gatherer::HandOver;
use crate::instrument::Instrument;
use crate::kind::Kind;
use crate::labels::{Label, LabelValue, Labels};
use crate::no_poison::NoPoison;
use crate::reentrancy::unheard;

/// Records through the instruments of a meter provider, in the scope
/// `tracing-meter`.
///
/// All instruments are `f64`: an integer and a float of one name are one
/// stream. Series of an [`SdkMeterProvider`] are bound, which is about eight
/// times as fast as a call with attributes, and what is counted often is gathered on each
/// thread, to be handed over when a reader collects. Series of any other provider,
/// that could drop bound measurements without a word, are called with attributes.
pub struct OtelSink {
    meter: Meter,
    /// Whether the provider is known to bind.
    can_bind: bool,
    instruments: NoPoison<HashMap<String, OtelInstrument>>,
    _provider: KeptAlive,
}

/// A provider shuts down when its last owner drops it, and logs while it does.
///
/// A subscriber may be dropped while `tracing` holds the lock of its callsites
/// (by another thread, that was just registering one), and logging would ask for
/// that lock again. So the provider is dropped on a thread of its own.
struct KeptAlive(Option<Box<dyn Any + Send + Sync>>);

impl Drop for KeptAlive {
    fn drop(&mut self) {
        let provider = self.0.take();
        // Where no thread is to be had, the process is ending: it is let go then.
        let _ = std::thread::Builder::new()
            .name("tracing-meter-drop".to_owned())
            .spawn(move || drop(provider));
    }
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
        Self {
            can_bind: provider.is::<SdkMeterProvider>(),
            meter,
            instruments: NoPoison::default(),
            _provider: KeptAlive(Some(provider)),
        }
    }

    /// No lock is held while an instrument is created. Two threads may create one of the
    /// same name: the SDK makes them one stream.
    fn instrument(&self, instrument: &Instrument) -> OtelInstrument {
        if let Some(known) = self.instruments.lock().get(instrument.name()) {
            return known.clone();
        }
        let created = unheard(|| OtelInstrument::new(&self.meter, instrument));
        let mut instruments = self.instruments.lock();
        let known = instruments.entry(instrument.name().to_owned());
        known.or_insert(created).clone()
    }
}

impl Sink for OtelSink {
    fn series(&self, instrument: &Instrument, labels: &Labels) -> Arc<dyn Handle> {
        let attributes: Vec<KeyValue> = labels.iter().map(attribute).collect();
        let instrument = self.instrument(instrument);
        if self.can_bind {
            // At its limit of series the SDK says so, at DEBUG.
            return if LevelFilter::current() >= LevelFilter::DEBUG {
                unheard(|| instrument.bind(&attributes))
            } else {
                instrument.bind(&attributes)
            };
        }
        Arc::new(Unbound {
            instrument,
            attributes,
        })
    }

    /// The SDK runs the callbacks of observable instruments before it collects.
    fn before_it_is_read(&self, hand_over: HandOver) {
        if self.can_bind {
            // Nothing is ever observed, so nothing of this name is exported.
            let _ = self
                .meter
                .f64_observable_counter("tracing_meter.gathered")
                .with_callback(move |_| hand_over.hand_over())
                .build();
        }
    }
}

impl std::fmt::Debug for OtelSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtelSink")
            .field("can_bind", &self.can_bind)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
enum OtelInstrument {
    Counter(Counter<f64>),
    UpDownCounter(UpDownCounter<f64>),
    Gauge(Gauge<f64>),
    Histogram(Histogram<f64>),
}

impl OtelInstrument {
    fn new(meter: &Meter, instrument: &Instrument) -> Self {
        let name = instrument.name().to_owned();
        let unit = instrument.unit().unwrap_or_default().to_owned();
        let help = instrument.description().unwrap_or_default().to_owned();
        match instrument.kind() {
            Kind::Counter => {
                let builder = meter.f64_counter(name).with_unit(unit);
                Self::Counter(builder.with_description(help).build())
            }
            Kind::UpDownCounter => {
                let builder = meter.f64_up_down_counter(name).with_unit(unit);
                Self::UpDownCounter(builder.with_description(help).build())
            }
            Kind::Gauge => {
                let builder = meter.f64_gauge(name).with_unit(unit);
                Self::Gauge(builder.with_description(help).build())
            }
            Kind::Histogram => {
                let builder = meter.f64_histogram(name).with_unit(unit);
                let builder = builder.with_boundaries(instrument.boundaries().to_vec());
                Self::Histogram(builder.with_description(help).build())
            }
        }
    }

    fn bind(&self, attributes: &[KeyValue]) -> Arc<dyn Handle> {
        match self {
            Self::Counter(counter) => Arc::new(counter.bind(attributes)),
            Self::UpDownCounter(counter) => Arc::new(counter.bind(attributes)),
            Self::Gauge(gauge) => Arc::new(gauge.bind(attributes)),
            Self::Histogram(histogram) => Arc::new(histogram.bind(attributes)),
        }
    }
}

impl Handle for BoundCounter<f64> {
    fn record(&self, value: f64) {
        self.add(value);
    }

    fn is_quiet(&self) -> bool {
        true
    }
}

impl Handle for BoundUpDownCounter<f64> {
    fn record(&self, value: f64) {
        self.add(value);
    }

    fn is_quiet(&self) -> bool {
        true
    }
}

impl Handle for BoundGauge<f64> {
    fn record(&self, value: f64) {
        Self::record(self, value);
    }

    fn is_quiet(&self) -> bool {
        true
    }
}

impl Handle for BoundHistogram<f64> {
    fn record(&self, value: f64) {
        Self::record(self, value);
    }

    fn is_quiet(&self) -> bool {
        true
    }
}

/// A series of a provider that may not be able to bind.
struct Unbound {
    instrument: OtelInstrument,
    attributes: Vec<KeyValue>,
}

impl Handle for Unbound {
    fn record(&self, value: f64) {
        match &self.instrument {
            OtelInstrument::Counter(counter) => counter.add(value, &self.attributes),
            OtelInstrument::UpDownCounter(counter) => counter.add(value, &self.attributes),
            OtelInstrument::Gauge(gauge) => gauge.record(value, &self.attributes),
            OtelInstrument::Histogram(histogram) => histogram.record(value, &self.attributes),
        }
    }
}

fn attribute(label: &Label) -> KeyValue {
    let value = match label.value() {
        LabelValue::Str(v) => Value::String(v.to_string().into()),
        LabelValue::I64(v) => Value::I64(*v),
        LabelValue::F64(v) => Value::F64(*v),
        LabelValue::Bool(v) => Value::Bool(*v),
    };
    KeyValue::new(label.key().to_owned(), value)
}
