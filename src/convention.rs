//! Conventions: which callsites are measured, and how.

use tracing_core::Metadata;

use crate::kind::Kind;

mod fields;

pub use fields::FieldConvention;

/// A rule that reads a callsite's metadata and says which instruments it feeds.
///
/// It is asked once for each callsite and layer, never while something is
/// measured. [`FieldConvention`] is the one that every layer has; others are
/// added by [`MeterLayerBuilder::convention`](crate::MeterLayerBuilder::convention).
///
/// ```
/// use tracing_core::Metadata;
/// use tracing_meter::{Convention, Kind, Measure, Recipe};
///
/// /// Another crate's events, measured without touching that crate.
/// struct SlowStatements;
///
/// impl Convention for SlowStatements {
///     fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe> {
///         if callsite.target() != "sqlx::query" || !callsite.is_event() {
///             return None;
///         }
///         let elapsed = Measure::field(Kind::Histogram, "db.client.operation.duration", "elapsed_secs");
///         Some(Recipe::new().measure(elapsed.unit("s")).label("db.system", "db.system"))
///     }
/// }
///
/// let layer = tracing_meter::builder()
///     .sink(tracing_meter::MemorySink::new())
///     .convention(SlowStatements)
///     .build::<tracing_subscriber::Registry>();
/// assert!(layer.is_ok());
/// ```
pub trait Convention: Send + Sync + 'static {
    /// What the callsite feeds, or `None` if the convention does not know it.
    fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe>;
}

/// What one callsite feeds.
///
/// A callsite may have several fields of one name, `info!(n = 1, n = 2)`: what a recipe says
/// of a name goes for each of them. Each value is measured; of a label the last one counts,
/// of a help text or a unit the first one.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Recipe {
    pub(crate) measures: Vec<Measure>,
    pub(crate) labels: Vec<LabelField>,
    pub(crate) docs: Vec<DocField>,
}

/// A field that becomes a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelField {
    pub(crate) field: &'static str,
    pub(crate) key: &'static str,
}

/// A field whose value says what a metric means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocField {
    pub(crate) field: &'static str,
    pub(crate) metric: &'static str,
    pub(crate) says: Says,
}

/// What a documenting field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Help,
    Unit,
}

impl Recipe {
    /// A recipe that feeds nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Feeds an instrument.
    pub fn measure(mut self, measure: Measure) -> Self {
        self.measures.push(measure);
        self
    }

    /// Makes a field a label of what this callsite measures.
    pub fn label(mut self, field: &'static str, key: &'static str) -> Self {
        self.labels.push(LabelField { field, key });
        self
    }

    /// Takes a metric's help text from a field.
    pub fn help(mut self, field: &'static str, metric: &'static str) -> Self {
        let says = Says::Help;
        self.docs.push(DocField {
            field,
            metric,
            says,
        });
        self
    }

    /// Takes a metric's unit from a field.
    pub fn unit(mut self, field: &'static str, metric: &'static str) -> Self {
        let says = Says::Unit;
        self.docs.push(DocField {
            field,
            metric,
            says,
        });
        self
    }

    /// Whether something is measured by how a span ends.
    pub(crate) fn has_outcome(&self) -> bool {
        let mut sources = self.measures.iter().map(|measure| measure.source);
        sources.any(|source| matches!(source, Source::Closed | Source::Duration))
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.measures.extend(other.measures);
        self.labels.extend(other.labels);
        self.docs.extend(other.docs);
    }
}

/// One instrument that a callsite feeds, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Measure {
    pub(crate) metric: &'static str,
    pub(crate) kind: Kind,
    pub(crate) unit: Option<&'static str>,
    pub(crate) source: Source,
}

/// Where a measurement comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A field's value, whenever it is recorded.
    Field(&'static str, Reading),
    /// 1, when the span opens.
    Opened,
    /// 1, when it closes.
    Closed,
    /// 1 when it opens, -1 on the same series when it closes.
    InFlight,
    /// Seconds from its opening to its last exit, when it closes.
    Duration,
}

/// How a field's value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As the measurement.
    Amount,
    /// As a level, whose rises are the measurements.
    Rise,
    /// As a level, whose falls are the measurements.
    Fall,
}

impl Measure {
    /// Measures a field's value with an instrument of this kind.
    pub const fn field(kind: Kind, metric: &'static str, field: &'static str) -> Self {
        Self::new(kind, metric, Source::Field(field, Reading::Amount))
    }

    /// Counts how much a sampled level rises.
    pub const fn rise(metric: &'static str, field: &'static str) -> Self {
        Self::new(Kind::Counter, metric, Source::Field(field, Reading::Rise))
    }

    /// Counts how much a sampled level falls.
    pub const fn fall(metric: &'static str, field: &'static str) -> Self {
        Self::new(Kind::Counter, metric, Source::Field(field, Reading::Fall))
    }

    /// Counts spans as they open. Nothing on an event.
    pub const fn opened(metric: &'static str) -> Self {
        Self::new(Kind::Counter, metric, Source::Opened)
    }

    /// Counts spans as they close, by `outcome`. Nothing on an event.
    pub const fn closed(metric: &'static str) -> Self {
        Self::new(Kind::Counter, metric, Source::Closed)
    }

    /// Counts the spans that are open. Nothing on an event.
    pub const fn in_flight(metric: &'static str) -> Self {
        Self::new(Kind::UpDownCounter, metric, Source::InFlight)
    }

    /// Measures in seconds how long a span takes, by `outcome`. Nothing on an event.
    pub const fn duration(metric: &'static str) -> Self {
        Self::new(Kind::Histogram, metric, Source::Duration).unit("s")
    }

    /// The unit of what is measured, in UCUM notation.
    pub const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    const fn new(kind: Kind, metric: &'static str, source: Source) -> Self {
        Self {
            metric,
            kind,
            unit: None,
            source,
        }
    }
}
