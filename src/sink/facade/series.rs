//! A series as a recorder has registered it.

use metrics::{Counter, Gauge, Histogram, Key, Level, Metadata, Recorder};

use super::instrument::FacadeInstrument;
use crate::kind::Kind;

static METADATA: Metadata<'_> = Metadata::new("tracing_meter", Level::INFO, Some(module_path!()));

/// The handle that the recorder gives.
pub(super) enum FacadeSeries {
    Counter(Counter),
    UpDownCounter(Gauge),
    /// That of an up/down counter, which is set to the sum.
    Level(Gauge),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl FacadeSeries {
    pub(super) fn new(recorder: &dyn Recorder, instrument: &FacadeInstrument, key: &Key) -> Self {
        match instrument.kind {
            Kind::Counter => Self::Counter(recorder.register_counter(key, &METADATA)),
            Kind::UpDownCounter if instrument.sets_levels => {
                Self::Level(recorder.register_gauge(key, &METADATA))
            }
            Kind::UpDownCounter => Self::UpDownCounter(recorder.register_gauge(key, &METADATA)),
            Kind::Gauge => Self::Gauge(recorder.register_gauge(key, &METADATA)),
            Kind::Histogram => Self::Histogram(recorder.register_histogram(key, &METADATA)),
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a counter's value is not negative, and saturates at u64::MAX"
    )]
    pub(super) fn record(&self, value: f64) {
        match self {
            Self::Counter(counter) => counter.increment(value as u64),
            Self::UpDownCounter(gauge) => gauge.increment(value),
            Self::Level(gauge) | Self::Gauge(gauge) => gauge.set(value),
            Self::Histogram(histogram) => histogram.record(value),
        }
    }
}
