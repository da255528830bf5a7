//! All series of one instrument, under a cap.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::Series;
use crate::instrument::Instrument;
use crate::labels::{Label, LabelValue, Labels};
use crate::no_poison::NoPoison;
use crate::sink::Sinks;

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
        let series = Series::new(instrument, labels.clone(), &self.sinks);
        known.insert(labels, Arc::clone(&series));
        Admitted::New(series)
    }

    fn overflow(&self, instrument: &Arc<Instrument>) -> Arc<Series> {
        let series = self.overflow.get_or_init(|| {
            let key = "otel.metric.overflow".into();
            let labels = Labels::new(vec![Label::new(&key, LabelValue::Bool(true))]);
            Series::new(instrument, labels, &self.sinks)
        });
        Arc::clone(series)
    }
}
