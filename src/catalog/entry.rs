//! One line of the catalog, as a reader sees it.

use std::sync::Arc;

use super::metric::Metric;
use crate::instrument::Instrument;
use crate::kind::Kind;
use crate::problem::Location;

/// An instrument that was recognised at some callsite.
#[derive(Clone, Debug)]
pub struct CatalogEntry {
    instrument: Instrument,
    location: Location,
    label_keys: Vec<Arc<str>>,
    series: usize,
}

impl CatalogEntry {
    pub(super) fn new(metric: &Metric, described: &Instrument) -> Self {
        let instrument = metric.settled().map_or(described, AsRef::as_ref);
        Self {
            instrument: instrument.clone(),
            location: metric.location,
            label_keys: metric.label_keys.lock().iter().cloned().collect(),
            series: metric.series.len(),
        }
    }

    /// The name as the callsite writes it, without its prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        self.instrument.name()
    }

    /// The name on a Prometheus scrape.
    #[must_use]
    pub fn prometheus_name(&self) -> &str {
        self.instrument.prometheus_name()
    }

    /// What the instrument does with a measurement.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.instrument.kind()
    }

    /// The unit in UCUM notation, as far as it is known by now.
    #[must_use]
    pub fn unit(&self) -> Option<&str> {
        self.instrument.unit()
    }

    /// The help text, as far as it is known by now.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.instrument.description()
    }

    /// The upper bounds of a histogram's buckets.
    #[must_use]
    pub fn boundaries(&self) -> &[f64] {
        self.instrument.boundaries()
    }

    /// The first callsite that feeds it.
    #[must_use]
    pub const fn location(&self) -> Location {
        self.location
    }

    /// The keys of the labels that its callsites may give to it, sorted.
    pub fn label_keys(&self) -> impl Iterator<Item = &str> {
        self.label_keys.iter().map(AsRef::as_ref)
    }

    /// How many series it has, the overflow series not counted.
    #[must_use]
    pub const fn series(&self) -> usize {
        self.series
    }
}
