//! Every instrument that was recognised, and what is wrong with one that was not.

use std::sync::Arc;

use crate::boundaries::Boundaries;
use crate::instrument::{InvalidName, InvalidUnit, MetricName, Unit};
use crate::kind::Kind;
use crate::pending::Pending;
use crate::problem::{Location, Problems, Reason, Tally};
use crate::series::SeriesSet;
use crate::sink::Sinks;
use crate::sync::Mutex;

mod admission;
mod docs;
mod entry;
mod lost;
mod metric;
mod names;
mod own_metrics;

use docs::{Docs, UnitConflict};
pub use entry::CatalogEntry;
pub(crate) use metric::Metric;
use names::Names;
use own_metrics::OwnMetrics;

/// The instruments of a layer by name: one name, one kind, one unit.
pub(crate) struct Catalog {
    sinks: Arc<Sinks>,
    boundaries: Boundaries,
    series_cap: usize,
    problems: Arc<Problems>,
    docs: Docs,
    names: Mutex<Names>,
    own: Option<OwnMetrics>,
}

impl Catalog {
    pub(crate) fn new(
        sinks: Arc<Sinks>,
        problems: Arc<Problems>,
        boundaries: Boundaries,
        series_cap: usize,
    ) -> Self {
        Self {
            sinks,
            boundaries,
            series_cap,
            problems,
            docs: Docs::default(),
            names: Mutex::default(),
            own: None,
        }
    }

    pub(crate) fn pending(&self) -> &Arc<Pending> {
        self.sinks.pending()
    }

    /// Comes before any metric of the program.
    pub(crate) fn with_own_metrics(mut self) -> Self {
        let own = OwnMetrics::new(|name, kind, help| {
            // Nothing is measured yet, so it is not too late.
            let _ = self.docs.set_help(name, help);
            let metric = self.declare(name, kind, Location::OWN);
            let metric = metric.expect("our own names are valid and come first");
            // Takes the name on a scrape, too.
            let settled = self.settle(&metric);
            settled.expect("our own names come first");
            metric
        });
        self.own = Some(own);
        self
    }

    /// How many series an instrument may have.
    pub(crate) const fn series_cap(&self) -> usize {
        self.series_cap
    }

    pub(crate) fn problems(&self) -> &Problems {
        &self.problems
    }

    pub(crate) fn docs(&self) -> &Docs {
        &self.docs
    }

    /// The metric of a name, which a callsite is about to feed.
    pub(crate) fn declare(
        &self,
        name: &str,
        kind: Kind,
        location: Location,
    ) -> Result<Arc<Metric>, Arc<Tally>> {
        let parsed = if OwnMetrics::is_own_name(name) && location != Location::OWN {
            Err(InvalidName("this crate measures itself under it"))
        } else {
            MetricName::parse(name)
        };
        let parsed = parsed.map_err(|invalid| {
            let detail = || format!("the name is not valid: {}", invalid.0);
            self.problems
                .list(Reason::InvalidName, name, location, detail)
        })?;
        let mut names = self.names.lock();
        let Some(metric) = names.get(name) else {
            let series = SeriesSet::new(&self.sinks, self.series_cap);
            let metric = Arc::new(Metric::new(parsed, kind, location, series));
            names.add(&metric);
            return Ok(metric);
        };
        if metric.kind == kind {
            if metric.name() != name {
                let detail = || format!("it is one metric with `{}`", metric.name());
                self.problems
                    .list(Reason::NameCollision, name, location, detail);
            }
            return Ok(Arc::clone(metric));
        }
        let detail = || format!("it is a {} since {}", metric.kind, metric.location);
        Err(self
            .problems
            .list(Reason::KindConflict, name, location, detail))
    }

    /// Gives a metric its unit. An error says that it has another one.
    ///
    /// What is no unit, or comes too late for the exporters, is listed; it takes
    /// nothing from what the numbers mean.
    pub(crate) fn declare_unit(
        &self,
        name: &str,
        unit: &str,
        location: Location,
    ) -> Result<(), Arc<Tally>> {
        let list = |reason, detail| self.problems.list(reason, name, location, || detail);
        let parsed = match Unit::parse(unit) {
            Ok(parsed) => parsed,
            Err(InvalidUnit(why)) => {
                let detail = format!("the unit `{unit}` is not valid: {why}");
                list(Reason::InvalidUnit, detail);
                return Ok(());
            }
        };
        match self.docs.set_unit(name, parsed) {
            Ok(()) => Ok(()),
            Err(UnitConflict::TooLate) => {
                let detail = format!("it was measured before `{unit}` was known");
                list(Reason::TooLate, detail);
                Ok(())
            }
            Err(UnitConflict::Is(before)) => {
                let detail = format!("the unit is `{}`, here `{unit}`", before.as_str());
                Err(list(Reason::UnitConflict, detail))
            }
        }
    }

    /// Gives a metric its help text. The first one wins.
    pub(crate) fn declare_help(&self, name: &str, help: &str, location: Location) {
        if self.docs.set_help(name, help).is_err() {
            let detail = || "it was measured before its help text was known".to_owned();
            self.problems.list(Reason::TooLate, name, location, detail);
        }
    }

    /// Counts a measurement that was not taken.
    pub(crate) fn reject(&self, tally: &Tally) {
        tally.count_also(|| {
            let own = self.own.as_ref()?.rejected(tally.reason)?;
            // Its metric keeps it. A series that kept its own problems would never go.
            let own = Arc::downgrade(&own);
            Some(Box::new(move || {
                if let Some(own) = own.upgrade() {
                    own.record(1.0);
                }
            }))
        });
        tally.add_one();
    }

    pub(crate) fn entries(&self) -> Vec<CatalogEntry> {
        let metrics = self.metrics();
        metrics
            .iter()
            .map(|metric| CatalogEntry::new(metric, &self.describe(metric)))
            .collect()
    }

    fn metrics(&self) -> Vec<Arc<Metric>> {
        self.names.lock().in_order().to_vec()
    }
}
