//! An instrument as a recorder is told of it, and how it is named there.

use std::sync::atomic::{AtomicBool, Ordering};

use metrics::{KeyName, Recorder, Unit};

use super::exporter::escaped;
use super::idle::Idle;
use crate::instrument::Instrument;
use crate::kind::Kind;
use crate::labels::Labels;
use crate::prometheus_name;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    Prometheus,
    AsWritten,
}

/// An instrument as the recorder is told of it.
pub(super) struct FacadeInstrument {
    pub(super) measured: Instrument,
    pub(super) name: KeyName,
    pub(super) kind: Kind,
    unit: Option<Unit>,
    help: String,
    /// Whether an up/down counter's gauge is set to the sum.
    pub(super) sets_levels: bool,
    /// After how long without a measurement a series is registered anew.
    pub(super) renew_after: Option<Idle>,
    described: AtomicBool,
}

impl FacadeInstrument {
    pub(super) fn new(instrument: &Instrument, naming: Naming) -> Self {
        let (name, unit) = match naming {
            // The unit stands in the name already.
            Naming::Prometheus => (instrument.prometheus_name(), None),
            Naming::AsWritten => (instrument.name(), instrument.unit().and_then(facade_unit)),
        };
        let help = match instrument.description() {
            Some(help) if naming == Naming::Prometheus => escaped(help),
            Some(help) => help.to_owned(),
            // `promtool check metrics` finds fault with a metric without help.
            None => format!("`{}`, measured by tracing-meter.", instrument.name()),
        };
        Self {
            measured: instrument.clone(),
            name: name.to_owned().into(),
            kind: instrument.kind(),
            unit,
            help,
            sets_levels: false,
            renew_after: None,
            described: AtomicBool::new(false),
        }
    }

    pub(super) fn describe_once(&self, recorder: &dyn Recorder) {
        if self.described.swap(true, Ordering::Relaxed) {
            return;
        }
        let (name, unit, help) = (self.name.clone(), self.unit, self.help.clone().into());
        match self.kind {
            Kind::Counter => recorder.describe_counter(name, unit, help),
            Kind::UpDownCounter | Kind::Gauge => recorder.describe_gauge(name, unit, help),
            Kind::Histogram => recorder.describe_histogram(name, unit, help),
        }
    }
}

impl Naming {
    /// The labels of a series, each key once.
    pub(super) fn labels(self, labels: &Labels) -> Vec<metrics::Label> {
        let named = labels.into_iter().filter_map(|label| {
            // A key without a name on a scrape is refused before it gets here.
            let key = match self {
                Self::Prometheus => prometheus_name::of_label(label.key())?,
                Self::AsWritten => label.key().to_owned(),
            };
            Some((key, label.value().to_string()))
        });
        let mut joined = prometheus_name::joined(named);
        if self == Self::Prometheus {
            // To Prometheus a label without text is no label: with both, it would
            // take one of two series for the other.
            joined.retain(|_, value| !value.is_empty());
            for value in joined.values_mut() {
                *value = escaped(value);
            }
        }
        joined
            .into_iter()
            .map(|(key, value)| metrics::Label::new(key, value))
            .collect()
    }
}

fn facade_unit(unit: &str) -> Option<Unit> {
    Some(match unit {
        "s" => Unit::Seconds,
        "ms" => Unit::Milliseconds,
        "us" => Unit::Microseconds,
        "ns" => Unit::Nanoseconds,
        "By" => Unit::Bytes,
        "KiBy" => Unit::Kibibytes,
        "MiBy" => Unit::Mebibytes,
        "GiBy" => Unit::Gibibytes,
        "TiBy" => Unit::Tebibytes,
        "%" => Unit::Percent,
        "bit/s" => Unit::BitsPerSecond,
        "1/s" => Unit::CountPerSecond,
        _ => return None,
    })
}
