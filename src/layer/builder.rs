//! The configuration of a layer: whatever cannot be right fails here.

use std::sync::Arc;

use tracing_core::LevelFilter;
use tracing_subscriber::filter::Targets;

use super::MeterLayer;
use crate::boundaries::Boundaries;
use crate::callsites::{Callsites, Conventions};
use crate::catalog::Catalog;
use crate::convention::Convention;
use crate::directives;
use crate::error::{BuildError, ErrorKind};
use crate::instrument::{MetricName, Unit};
use crate::labels::check_key;
use crate::plan::LabelRules;
use crate::problem::Problems;
use crate::prometheus_name;
use crate::sink::{Sink, Sinks};

/// OpenTelemetry's default for the series of one instrument.
const DEFAULT_SERIES_LIMIT: usize = 2000;
const DEFAULT_LABEL_LIMIT: usize = 256;
const MAX_LABEL_LIMIT: usize = 16 * 1024;
const MAX_INHERITED: usize = 100;

/// Builds a [`MeterLayer`].
///
/// ```
/// use tracing_meter::{Boundaries, MemorySink};
/// use tracing_subscriber::prelude::*;
///
/// let memory = MemorySink::new();
/// let layer = tracing_meter::builder()
///     .sink(memory.clone())
///     .inherited_labels(["tenant"])
///     .boundaries(Boundaries::new().prefix("job.", &[0.1, 1.0, 10.0, 60.0]))
///     .build()?;
/// let subscriber = tracing_subscriber::registry().with(layer);
///
/// tracing::subscriber::with_default(subscriber, || {
///     let _request = tracing::info_span!("request", tenant = "acme").entered();
///     tracing::info!(monotonic_counter.uploads = 1);
/// });
/// assert_eq!(memory.snapshot().value("uploads", &[("tenant", "acme")]), Some(1.0));
/// # Ok::<(), tracing_meter::BuildError>(())
/// ```
#[must_use]
pub struct MeterLayerBuilder {
    sinks: Vec<Box<dyn Sink>>,
    /// Without that of field names, which is always there.
    conventions: Conventions,
    directives: Option<String>,
    default_level: LevelFilter,
    span_labels: Vec<String>,
    inherited_labels: Vec<String>,
    boundaries: Boundaries,
    help: Vec<(String, String)>,
    units: Vec<(String, String)>,
    series_limit: usize,
    label_limit: usize,
    own_metrics: bool,
}

impl MeterLayerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            sinks: Vec::new(),
            conventions: Conventions::new(),
            directives: None,
            default_level: LevelFilter::TRACE,
            span_labels: Vec::new(),
            inherited_labels: Vec::new(),
            boundaries: Boundaries::new(),
            help: Vec::new(),
            units: Vec::new(),
            series_limit: DEFAULT_SERIES_LIMIT,
            label_limit: DEFAULT_LABEL_LIMIT,
            own_metrics: true,
        }
    }

    /// Adds a destination. Every measurement goes to each of them once; without
    /// any, the layer is interested in nothing and costs nothing.
    pub fn sink(mut self, sink: impl Sink) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// Adds a convention to that of field names.
    pub fn convention(mut self, convention: impl Convention) -> Self {
        self.conventions.push(Arc::new(convention));
        self
    }

    /// Which targets may be measured, up to which level, in `RUST_LOG`'s
    /// grammar: `info`, `my_app=debug,hyper=off`. By default everything may.
    ///
    /// The environment variable `TRACING_METER` takes precedence, so that an
    /// operator can change it without a new build. What
    /// [`MeterHandle::reconfigure`](crate::MeterHandle::reconfigure) says comes later and
    /// counts more.
    pub fn directives(mut self, directives: impl Into<String>) -> Self {
        self.directives = Some(directives.into());
        self
    }

    /// Span fields that label their span's own metrics, in addition to `label.KEY`.
    pub fn span_labels<I>(mut self, keys: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.span_labels.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Span fields (`KEY` or `label.KEY`) that label everything measured inside
    /// their span, and the span's own metrics. What is nearer wins.
    pub fn inherited_labels<I>(mut self, keys: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.inherited_labels
            .extend(keys.into_iter().map(Into::into));
        self
    }

    /// The bucket boundaries of histograms.
    pub fn boundaries(mut self, boundaries: Boundaries) -> Self {
        self.boundaries = boundaries;
        self
    }

    /// A metric's help text. It wins over `describe.NAME` fields.
    pub fn describe(mut self, metric: impl Into<String>, help: impl Into<String>) -> Self {
        self.help.push((metric.into(), help.into()));
        self
    }

    /// A metric's unit in UCUM notation. It wins over `unit.NAME` fields, which
    /// are rejected if they differ.
    pub fn unit(mut self, metric: impl Into<String>, unit: impl Into<String>) -> Self {
        self.units.push((metric.into(), unit.into()));
        self
    }

    /// How many series an instrument may have: at least 1, by default 2000.
    /// Further sets of labels share the series `otel.metric.overflow=true`.
    ///
    /// The OpenTelemetry SDK has its own limit for each stream, 2000 too. To
    /// go beyond, raise that as well, by a view with `with_cardinality_limit`.
    pub fn series_limit(mut self, limit: usize) -> Self {
        self.series_limit = limit;
        self
    }

    /// How long a label's text may be, in bytes: 1 to 16384, by default 256.
    /// Longer text is cut.
    pub fn label_limit(mut self, bytes: usize) -> Self {
        self.label_limit = bytes;
        self
    }

    /// Whether the layer measures itself too: `tracing_meter.rejected`,
    /// `tracing_meter.overflowed` and `tracing_meter.series`. By default it does.
    pub fn own_metrics(mut self, enabled: bool) -> Self {
        self.own_metrics = enabled;
        self
    }

    /// What is measured without directives, in addition to the targets that conventions
    /// were asked for.
    #[cfg(feature = "setup")]
    pub(crate) const fn default_level(mut self, level: LevelFilter) -> Self {
        self.default_level = level;
        self
    }

    /// Exporters have the same.
    #[cfg(feature = "setup")]
    pub(crate) const fn buckets(&self) -> &Boundaries {
        &self.boundaries
    }

    /// Builds the layer for a subscriber `S`, which is inferred where the layer
    /// is added to one.
    ///
    /// # Errors
    ///
    /// If a name, a unit, a label, boundaries, directives or a limit is not
    /// valid. The error names which.
    pub fn build<S>(self) -> Result<MeterLayer<S>, BuildError> {
        let directives = directives::resolve(self.directives.as_deref())?;
        let directives = directives.unwrap_or_else(|| {
            let asked = self.conventions.iter().flat_map(|it| it.asked());
            let more = asked.filter(|(_, level)| *level > self.default_level);
            more.collect::<Targets>().with_default(self.default_level)
        });
        self.boundaries.check()?;
        check_limit("series_limit", self.series_limit, usize::MAX)?;
        check_limit("label_limit", self.label_limit, MAX_LABEL_LIMIT)?;
        let rules = LabelRules {
            span_labels: parse_keys(self.span_labels)?,
            inherited: parse_keys(self.inherited_labels)?,
            limit: self.label_limit,
        };
        check_inherited(&rules.inherited)?;
        let problems = Arc::new(Problems::default());
        let sinks = Arc::new(Sinks::new(self.sinks, Arc::clone(&problems)));
        let is_inert = sinks.is_empty();
        let mut catalog = Catalog::new(sinks, problems, self.boundaries, self.series_limit);
        document(&catalog, &self.help, &self.units)?;
        if self.own_metrics {
            catalog = catalog.with_own_metrics();
        }
        let catalog = Arc::new(catalog);
        let callsites = Callsites::new(self.conventions, directives, rules, catalog, is_inert);
        Ok(MeterLayer::new(callsites))
    }
}

impl std::fmt::Debug for MeterLayerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeterLayerBuilder").finish_non_exhaustive()
    }
}

fn parse_keys(keys: Vec<String>) -> Result<Vec<Arc<str>>, BuildError> {
    let mut parsed: Vec<Arc<str>> = Vec::new();
    for key in keys {
        let error = |why: String| BuildError::new(ErrorKind::Label, format!("`{key}`"), why);
        check_key(&key).map_err(|why| error(why.to_owned()))?;
        if key == "outcome" {
            return Err(error("each span has its own".to_owned()));
        }
        let known = parsed.iter().map(AsRef::as_ref);
        if let Some(same) = prometheus_name::same_label(&key, known) {
            return Err(error(format!("it is the same as `{same}` on a scrape")));
        }
        if !parsed.iter().any(|known| **known == *key) {
            parsed.push(key.into());
        }
    }
    Ok(parsed)
}

fn check_inherited(keys: &[Arc<str>]) -> Result<(), BuildError> {
    if keys.len() <= MAX_INHERITED {
        return Ok(());
    }
    let why = format!(
        "there are {}, at most {MAX_INHERITED} are allowed",
        keys.len()
    );
    Err(BuildError::new(ErrorKind::Limit, "inherited_labels", why))
}

fn check_limit(name: &str, limit: usize, max: usize) -> Result<(), BuildError> {
    if (1..=max).contains(&limit) {
        return Ok(());
    }
    let why = format!("{limit} is not in 1..={max}");
    Err(BuildError::new(ErrorKind::Limit, format!("`{name}`"), why))
}

fn document(
    catalog: &Catalog,
    help: &[(String, String)],
    units: &[(String, String)],
) -> Result<(), BuildError> {
    for (metric, help) in help {
        check_name(metric)?;
        // Nothing is measured yet, so it is not too late.
        let _ = catalog.docs().set_help(metric, help);
    }
    for (metric, unit) in units {
        check_name(metric)?;
        let error =
            |why: &str| BuildError::new(ErrorKind::Unit, format!("`{unit}` of `{metric}`"), why);
        let parsed = Unit::parse(unit).map_err(|invalid| error(invalid.0))?;
        let set = catalog.docs().set_unit(metric, parsed);
        set.map_err(|_| error("the metric has another unit already"))?;
    }
    Ok(())
}

fn check_name(metric: &str) -> Result<(), BuildError> {
    let parsed = MetricName::parse(metric);
    let error = |why| BuildError::new(ErrorKind::Name, format!("`{metric}`"), why);
    parsed.map(|_| ()).map_err(|invalid| error(invalid.0))
}
