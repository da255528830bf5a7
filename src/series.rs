//! The series of one instrument: label values to handles, under a cap.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::instrument::Instrument;
use crate::labels::{Label, LabelValue, Labels};
use crate::no_poison::NoPoison;
use crate::sink::{Handles, Resolved, Sinks};

/// An instrument with one set of label values.
///
/// Its handles are taken from the sinks when it is recorded for the first time:
/// earlier, the OpenTelemetry SDK would export a series of zero that nobody measured.
pub(crate) struct Series {
    instrument: Arc<Instrument>,
    labels: Labels,
    sinks: Arc<Sinks>,
    handles: Handles,
    risen_from: Level,
    fallen_from: Level,
}

impl Series {
    fn new(instrument: &Arc<Instrument>, labels: Labels, sinks: &Arc<Sinks>) -> Self {
        Self {
            instrument: Arc::clone(instrument),
            labels,
            sinks: Arc::clone(sinks),
            handles: sinks.no_handles(),
            risen_from: Level::default(),
            fallen_from: Level::default(),
        }
    }

    #[inline(always)]
    pub(crate) fn record(&self, value: f64) {
        self.handles.each(|sink, handle| match handle.get() {
            Some(handle) if handle.is_quiet() => handle.record(value),
            _ => self.record_guarded(sink, handle, value),
        });
    }

    #[inline(never)]
    fn record_guarded(&self, sink: usize, handle: &OnceLock<Resolved>, value: f64) {
        let Self {
            instrument, labels, ..
        } = self;
        self.sinks.record(sink, handle, instrument, labels, value);
    }

    /// Adds how much higher `level` is than this series' previous sample.
    pub(crate) fn record_rise_to(&self, level: f64) {
        let before = self.risen_from.replace(level);
        self.record(before.map_or(0.0, |before| difference(level, before)));
    }

    /// Adds how much lower `level` is than this series' previous sample.
    pub(crate) fn record_fall_to(&self, level: f64) {
        let before = self.fallen_from.replace(level);
        self.record(before.map_or(0.0, |before| difference(before, level)));
    }
}

/// How much higher the first is, finite even between the ends of `f64`.
fn difference(higher: f64, lower: f64) -> f64 {
    (higher - lower).clamp(0.0, f64::MAX)
}

/// The previous sample of a level, a NaN before the first one.
struct Level(AtomicU64);

impl Default for Level {
    fn default() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }
}

impl Level {
    fn replace(&self, level: f64) -> Option<f64> {
        let before = f64::from_bits(self.0.swap(level.to_bits(), Ordering::Relaxed));
        Some(before).filter(|before| !before.is_nan())
    }
}

/// All series of one instrument.
pub(crate) struct SeriesSet {
    sinks: Arc<Sinks>,
    cap: usize,
    known: NoPoison<HashMap<Labels, Arc<Series>>>,
    overflow: OnceLock<Arc<Series>>,
}

/// What became of a set of labels.
pub(crate) enum Admitted {
    Known(Arc<Series>),
    New(Arc<Series>),
    /// Over the cap: the series that stands for all further ones.
    Overflow(Arc<Series>),
}

impl SeriesSet {
    pub(crate) fn new(sinks: &Arc<Sinks>, cap: usize) -> Self {
        Self {
            sinks: Arc::clone(sinks),
            cap,
            known: NoPoison::default(),
            overflow: OnceLock::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.known.lock().len()
    }

    pub(crate) fn admit(&self, instrument: &Arc<Instrument>, labels: Labels) -> Admitted {
        let mut known = self.known.lock();
        if let Some(series) = known.get(&labels) {
            return Admitted::Known(Arc::clone(series));
        }
        if known.len() >= self.cap {
            drop(known);
            return Admitted::Overflow(self.overflow(instrument));
        }
        let series = Arc::new(Series::new(instrument, labels.clone(), &self.sinks));
        known.insert(labels, Arc::clone(&series));
        Admitted::New(series)
    }

    fn overflow(&self, instrument: &Arc<Instrument>) -> Arc<Series> {
        let series = self.overflow.get_or_init(|| {
            let key = "otel.metric.overflow".into();
            let labels = Labels::new(vec![Label::new(&key, LabelValue::Bool(true))]);
            Arc::new(Series::new(instrument, labels, &self.sinks))
        });
        Arc::clone(series)
    }
}
