//! One metric of the catalog.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use crate::instrument::{Instrument, MetricName};
use crate::kind::Kind;
use crate::problem::{Location, Tally};
use crate::series::{Series, SeriesSet};
use crate::sync::Mutex;

/// An instrument that callsites feed, with its series.
pub(crate) struct Metric {
    pub(super) name: MetricName,
    pub(super) kind: Kind,
    pub(super) location: Location,
    /// Decided when the instrument is measured for the first time; until then
    /// its unit and help may still come.
    instrument: OnceLock<Result<Arc<Instrument>, Arc<Tally>>>,
    pub(super) series: SeriesSet,
    pub(super) label_keys: Mutex<BTreeSet<Arc<str>>>,
    /// Where what goes to the overflow series is counted, once it does.
    pub(super) overflowed: OnceLock<Overflowed>,
    /// Where its series are counted, once it has one.
    pub(super) series_count: OnceLock<Option<Arc<Series>>>,
}

pub(super) struct Overflowed {
    pub(super) tally: Arc<Tally>,
    pub(super) own: Option<Arc<Series>>,
}

impl Metric {
    pub(super) fn new(name: MetricName, kind: Kind, location: Location, series: SeriesSet) -> Self {
        Self {
            name,
            kind,
            location,
            instrument: OnceLock::new(),
            series,
            label_keys: Mutex::default(),
            overflowed: OnceLock::new(),
            series_count: OnceLock::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Lists the keys of the labels that a callsite may give to this metric.
    pub(crate) fn add_label_keys<'a>(&self, keys: impl IntoIterator<Item = &'a Arc<str>>) {
        self.label_keys.lock().extend(keys.into_iter().cloned());
    }

    /// The instrument as it is exported, which is decided once.
    pub(super) fn settle(
        &self,
        decide: impl FnOnce() -> Result<Arc<Instrument>, Arc<Tally>>,
    ) -> Result<&Arc<Instrument>, &Arc<Tally>> {
        self.instrument.get_or_init(decide).as_ref()
    }

    /// The instrument, if it was settled and is exported.
    pub(super) fn settled(&self) -> Option<&Arc<Instrument>> {
        self.instrument.get()?.as_ref().ok()
    }
}
