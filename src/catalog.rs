//! Every instrument that was recognised, and what is wrong with the others.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use crate::boundaries::Boundaries;
use crate::instrument::{Instrument, InvalidName, InvalidUnit, MetricName, Unit};
use crate::kind::Kind;
use crate::labels::{LabelBuf, LabelNames, LabelSet, Seed};
use crate::pending::Pending;
use crate::problem::{Location, Problems, Reason, Tally};
use crate::series::{Admitted, Series, SeriesSet};
use crate::sink::Sinks;
use crate::sync::Mutex;
use crate::value::Value;

mod docs;
mod entry;
mod lost;

use docs::{Docs, UnitConflict};
pub use entry::CatalogEntry;

/// The instruments of a layer by name: one name, one kind, one unit.
pub(crate) struct Catalog {
    sinks: Arc<Sinks>,
    boundaries: Boundaries,
    series_cap: usize,
    problems: Arc<Problems>,
    docs: Docs,
    metrics: Mutex<Metrics>,
    own: Option<OwnMetrics>,
}

#[derive(Default)]
struct Metrics {
    in_order: Vec<Arc<Metric>>,
    /// By lower-case name: OpenTelemetry's names ignore case.
    by_name: HashMap<String, Arc<Metric>>,
    /// Who has which name on a scrape.
    scraped: HashMap<String, MetricName>,
}

/// An instrument that callsites feed, with its series.
pub(crate) struct Metric {
    name: MetricName,
    kind: Kind,
    location: Location,
    /// Decided when the instrument is measured for the first time; until then
    /// its unit and help may still come.
    instrument: OnceLock<Result<Arc<Instrument>, Arc<Tally>>>,
    series: SeriesSet,
    label_keys: Mutex<BTreeSet<Arc<str>>>,
    /// Where what goes to the overflow series is counted, once it does.
    overflowed: OnceLock<Overflowed>,
    /// Where its series are counted, once it has one.
    series_count: OnceLock<Option<Arc<Series>>>,
}

struct Overflowed {
    tally: Arc<Tally>,
    own: Option<Arc<Series>>,
}

/// How the names of our own metrics start.
const OWN_NAMES: &str = "tracing_meter";

/// What this crate measures about itself, in the same sinks.
struct OwnMetrics {
    rejected: Arc<Metric>,
    overflowed: Arc<Metric>,
    series: Arc<Metric>,
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
            metrics: Mutex::default(),
            own: None,
        }
    }

    pub(crate) fn pending(&self) -> &Arc<Pending> {
        self.sinks.pending()
    }

    pub(crate) fn with_own_metrics(mut self) -> Self {
        let own = |name, kind, help| {
            // Nothing is measured yet, so it is not too late.
            let _ = self.docs.set_help(name, help);
            let metric = self.declare(name, kind, Location::OWN);
            let metric = metric.expect("our own names are valid and come first");
            // Takes the name on a scrape, too.
            let settled = self.settle(&metric);
            settled.expect("our own names come first");
            metric
        };
        self.own = Some(OwnMetrics {
            rejected: own(
                "tracing_meter.rejected",
                Kind::Counter,
                "Measurements that tracing-meter rejected, by reason.",
            ),
            overflowed: own(
                "tracing_meter.overflowed",
                Kind::Counter,
                "Measurements that went to the overflow series, by metric.",
            ),
            series: own(
                "tracing_meter.series",
                Kind::UpDownCounter,
                "Series that tracing-meter holds, by metric.",
            ),
        });
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
        let is_taken =
            name.to_ascii_lowercase().starts_with(OWN_NAMES) && location != Location::OWN;
        let parsed = if is_taken {
            Err(InvalidName("this crate measures itself under it"))
        } else {
            MetricName::parse(name)
        };
        let parsed = parsed.map_err(|invalid| {
            let detail = || format!("the name is not valid: {}", invalid.0);
            self.problems
                .list(Reason::InvalidName, name, location, detail)
        })?;
        let mut metrics = self.metrics.lock();
        let key = name.to_ascii_lowercase();
        let Some(metric) = metrics.by_name.get(&key) else {
            let series = SeriesSet::new(&self.sinks, self.series_cap);
            let metric = Arc::new(Metric::new(parsed, kind, location, series));
            metrics.in_order.push(Arc::clone(&metric));
            metrics.by_name.insert(key, Arc::clone(&metric));
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

    /// The metric's series of these labels.
    pub(crate) fn admit<'a>(
        &self,
        metric: &'a Metric,
        labels: LabelSet<'_>,
    ) -> Result<Admitted<'a>, &'a Arc<Tally>> {
        let instrument = self.settle(metric)?;
        let admitted = metric.series.admit(instrument, labels);
        match &admitted {
            Admitted::Known(_) => {}
            Admitted::New(_) => self.count_series(metric),
            Admitted::Overflow(_) => self.count_overflow(metric),
        }
        Ok(admitted)
    }

    /// Counts a measurement that was not taken.
    pub(crate) fn reject(&self, tally: &Tally) {
        tally.count_also(|| {
            let reason = tally.reason.as_str();
            let own = self.own_series(|own| &own.rejected, "reason", reason)?;
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
        let metrics = self.metrics.lock().in_order.clone();
        metrics
            .iter()
            .map(|metric| CatalogEntry::new(metric, &self.describe(metric)))
            .collect()
    }

    /// Decides, once, what the instrument is, and who has its name on a scrape.
    fn settle<'a>(&self, metric: &'a Metric) -> Result<&'a Arc<Instrument>, &'a Arc<Tally>> {
        let decided = metric.instrument.get_or_init(|| {
            self.docs.close(metric.name());
            let instrument = self.describe(metric);
            self.claim(metric, &instrument)?;
            Ok(Arc::new(instrument))
        });
        decided.as_ref()
    }

    fn describe(&self, metric: &Metric) -> Instrument {
        let (unit, help) = self.docs.of(metric.name());
        let instrument =
            Instrument::new(metric.name.clone(), metric.kind, unit).with_description(help);
        if metric.kind != Kind::Histogram {
            return instrument;
        }
        let boundaries = self.boundaries.of(instrument.prometheus_name());
        instrument.with_boundaries(boundaries)
    }

    fn claim(&self, metric: &Metric, instrument: &Instrument) -> Result<(), Arc<Tally>> {
        let names = scraped_names(instrument);
        let mut metrics = self.metrics.lock();
        for name in &names {
            if let Some(other) = metrics.scraped.get(name) {
                let detail = || format!("`{}` is `{name}` on a scrape, too", other.as_str());
                let (name, location) = (metric.name(), metric.location);
                return Err(self
                    .problems
                    .list(Reason::NameCollision, name, location, detail));
            }
        }
        for name in names {
            metrics.scraped.insert(name, metric.name.clone());
        }
        Ok(())
    }

    fn count_overflow(&self, metric: &Metric) {
        let overflowed = metric.overflowed.get_or_init(|| {
            let detail = || format!("it has {} series, the most it may have", self.series_cap);
            let (name, location) = (metric.name(), metric.location);
            Overflowed {
                tally: self.problems.list(Reason::Overflow, name, location, detail),
                own: self.own_series(|own| &own.overflowed, "metric", name),
            }
        });
        overflowed.tally.add_one();
        if let Some(own) = &overflowed.own {
            own.record(1.0);
        }
    }

    fn count_series(&self, metric: &Metric) {
        let own = || self.own_series(|own| &own.series, "metric", metric.name());
        if let Some(own) = metric.series_count.get_or_init(own) {
            own.record(1.0);
        }
    }

    fn own_series(
        &self,
        which: impl Fn(&OwnMetrics) -> &Arc<Metric>,
        key: &str,
        value: &str,
    ) -> Option<Arc<Series>> {
        let metric = which(self.own.as_ref()?);
        let names = LabelNames::new([key.into()]);
        let mut labels = LabelBuf::new(Seed::random());
        labels.set(0, &Value::Str(value), usize::MAX);
        let instrument = self.settle(metric).ok()?;
        let admitted = metric.series.admit(instrument, names.of(labels.as_words()));
        Some(Arc::clone(admitted.series()))
    }
}

impl Metric {
    fn new(name: MetricName, kind: Kind, location: Location, series: SeriesSet) -> Self {
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
}

/// A histogram takes the names of its parts, too.
fn scraped_names(instrument: &Instrument) -> Vec<String> {
    let name = instrument.prometheus_name();
    let parts: &[&str] = match instrument.kind() {
        Kind::Histogram => &["", "_bucket", "_sum", "_count"],
        Kind::Counter | Kind::UpDownCounter | Kind::Gauge => &[""],
    };
    parts.iter().map(|part| format!("{name}{part}")).collect()
}
