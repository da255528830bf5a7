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
    pub(super) fn labels(self, labels: &Labels) -> Vec<metrics::Label> {
        let written = labels.iter();
        let written = written.map(|label| (label.key(), label.value().to_string()));
        match self {
            Self::Prometheus => prometheus_name::of_labels(written)
                .into_iter()
                // To Prometheus a label without text is no label: with both, it would
                // take one of two series for the other.
                .filter(|(_, value)| !value.is_empty())
                .map(|(key, value)| metrics::Label::new(key, escaped(&value)))
                .collect(),
            Self::AsWritten => written
                .map(|(key, value)| metrics::Label::new(key.to_owned(), value))
                .collect(),
        }
    }
}

fn facade_unit(unit: &str) -> Option<Unit> {
    match unit {
        // To Prometheus these are `tibibytes`.
        "TiBy" => Some(Unit::Tebibytes),
        "bit/s" => Some(Unit::BitsPerSecond),
        "1/s" => Some(Unit::CountPerSecond),
        _ => Unit::from_string(prometheus_name::word_for_unit(unit)?),
    }
}
