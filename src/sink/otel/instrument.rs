//! Instruments of OpenTelemetry, and their series.

use std::sync::Arc;

use opentelemetry::metrics::{
    BoundCounter, BoundGauge, BoundHistogram, BoundUpDownCounter, Counter, Gauge, Histogram, Meter,
    UpDownCounter,
};
use opentelemetry::{KeyValue, Value};

use crate::instrument::Instrument;
use crate::kind::Kind;
use crate::labels::{Label, LabelValue, Labels};
use crate::sink::Handle;

#[derive(Clone)]
pub(super) enum OtelInstrument {
    Counter(Counter<f64>),
    UpDownCounter(UpDownCounter<f64>),
    Gauge(Gauge<f64>),
    Histogram(Histogram<f64>),
}

impl OtelInstrument {
    pub(super) fn new(meter: &Meter, instrument: &Instrument) -> Self {
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

    pub(super) fn series(&self, labels: &Labels, can_bind: bool) -> Arc<dyn Handle> {
        let attributes: Vec<KeyValue> = labels.iter().map(attribute).collect();
        if can_bind {
            return self.bind(&attributes);
        }
        let instrument = self.clone();
        Arc::new(Unbound {
            instrument,
            attributes,
        })
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

    fn needs_guard(&self) -> bool {
        false
    }
}

impl Handle for BoundUpDownCounter<f64> {
    fn record(&self, value: f64) {
        self.add(value);
    }

    fn needs_guard(&self) -> bool {
        false
    }
}

impl Handle for BoundGauge<f64> {
    fn record(&self, value: f64) {
        Self::record(self, value);
    }

    fn needs_guard(&self) -> bool {
        false
    }
}

impl Handle for BoundHistogram<f64> {
    fn record(&self, value: f64) {
        Self::record(self, value);
    }

    fn needs_guard(&self) -> bool {
        false
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
    KeyValue::new(Arc::clone(label.shared_key()), value)
}
