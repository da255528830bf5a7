//! All series of one instrument, under a cap.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::{Family, Series};
use crate::instrument::Instrument;
use crate::labels::{Label, LabelSet, LabelValue, Labels};
use crate::pending::Collection;
use crate::sink::Sinks;
use crate::sync::once_map::{Inserted, OnceMap, SideBySide};

/// All series of one instrument.
///
/// Looking for one takes no lock and allocates nothing: over the cap that is done for each
/// measurement, because there is no bound to the labels that could be remembered.
pub(crate) struct SeriesSet {
    sinks: Arc<Sinks>,
    cap: usize,
    known: OnceMap<Arc<Series>, (), 8, SideBySide>,
    /// Set once it is: series are never removed.
    is_full: AtomicBool,
    overflow: OnceLock<Arc<Series>>,
    /// Set when the first series is admitted.
    family: OnceLock<Arc<Family>>,
}

/// What became of a set of labels.
pub(crate) enum Admitted<'a> {
    Known(&'a Arc<Series>),
    New(&'a Arc<Series>),
    /// Over the cap: the series that stands for all further ones.
    Overflow(&'a Arc<Series>),
}

impl SeriesSet {
    pub(crate) fn new(sinks: &Arc<Sinks>, cap: usize) -> Self {
        Self {
            sinks: Arc::clone(sinks),
            cap,
            known: OnceMap::new(),
            is_full: AtomicBool::new(false),
            overflow: OnceLock::new(),
            family: OnceLock::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn admit(&self, instrument: &Arc<Instrument>, labels: LabelSet<'_>) -> Admitted<'_> {
        let hash = labels.hash();
        let is_key = |series: &Arc<Series>| labels.is(&series.labels);
        if let Some((_, known)) = self.known.get(hash, is_key) {
            return Admitted::Known(&known.key);
        }
        if self.is_full.load(Ordering::Relaxed) {
            return Admitted::Overflow(self.overflow(instrument));
        }
        let new = || (Series::new(self.family(instrument), labels.to_labels()), ());
        match self.known.insert_within(self.cap, hash, is_key, new) {
            Inserted::Before(known) => Admitted::Known(&known.key),
            Inserted::Now(new) => Admitted::New(&new.key),
            Inserted::NoRoom => {
                self.is_full.store(true, Ordering::Relaxed);
                Admitted::Overflow(self.overflow(instrument))
            }
        }
    }

    /// Whether a collection would bring something new after this one.
    pub(crate) fn are_measured_since(&self, collection: Collection) -> bool {
        let known = self.known.entries().map(|entry| &entry.key);
        let mut all = known.chain(self.overflow.get());
        all.any(|series| series.is_measured_since(collection))
    }

    fn overflow(&self, instrument: &Arc<Instrument>) -> &Arc<Series> {
        self.overflow.get_or_init(|| {
            let key = "otel.metric.overflow".into();
            let labels = Labels::new(vec![Label::new(key, LabelValue::Bool(true))]);
            Series::new(self.family(instrument), labels)
        })
    }

    fn family(&self, instrument: &Arc<Instrument>) -> &Arc<Family> {
        self.family.get_or_init(|| {
            Arc::new(Family {
                instrument: Arc::clone(instrument),
                sinks: Arc::clone(&self.sinks),
            })
        })
    }
}

impl<'a> Admitted<'a> {
    pub(crate) const fn series(&self) -> &'a Arc<Series> {
        match self {
            Self::Known(series) | Self::New(series) | Self::Overflow(series) => series,
        }
    }
}
