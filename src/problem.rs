//! What went wrong while measuring: rejected, counted and listed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tracing_core::Metadata;

use crate::sync::Mutex;

/// Why measurements were rejected, or what is wrong with a callsite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The name after the prefix is no instrument name.
    InvalidName,
    /// A `unit.NAME` field holds no unit. Nothing is rejected.
    InvalidUnit,
    /// A label has no key, or one that Prometheus reserves (`le`, `quantile`) or could
    /// not name: it holds no ASCII letter and no digit.
    InvalidLabel,
    /// A callsite has more labels or measures than it may have. The first ones
    /// count, the rest is left out.
    TooMany,
    /// Two fields of one callsite give the same label, of which the last recorded
    /// counts; or two labels that are the same on a Prometheus scrape, where their
    /// values are joined by `;`, as OpenTelemetry prescribes.
    LabelCollision,
    /// The name already belongs to an instrument of another kind.
    KindConflict,
    /// The name already belongs to an instrument of another unit.
    UnitConflict,
    /// A unit or a help text came after the first measurement: the exporters have
    /// the metric without it. Nothing is rejected.
    TooLate,
    /// Another instrument has the same name on a Prometheus scrape, or, without a
    /// rejected measurement, this name in other case: then both are one metric.
    NameCollision,
    /// A text, a boolean or an error where a number has to be.
    NotANumber,
    /// NaN or an infinity.
    NotFinite,
    /// A negative number on a counter.
    Negative,
    /// A level (`increase.`, `decrease.`) whose series is over the cardinality
    /// cap: in the overflow series it would be compared with another's level.
    LevelOverflow,
    /// The instrument has reached its cardinality cap. New label sets are
    /// counted in its series `otel.metric.overflow=true`.
    Overflow,
    /// Measured from inside a sink, where measuring again could hang.
    Reentrant,
    /// A sink panicked. The other sinks have the measurement.
    SinkPanicked,
    /// A filter of the whole subscriber disables the callsite, for this layer, too: the
    /// filter belongs on the layer that it is meant for. It is listed as long as this is
    /// so; what is not measured is not counted.
    Silenced,
    /// A sink was shut down before the measuring had ended, and lacks what came after its
    /// last collection: shut a meter provider down last. It is listed as long as this is
    /// so; what is lost is not counted.
    ShutDown,
    /// A convention speaks of a field that the callsite has not.
    MissingField,
    /// A convention panicked when it was asked about a callsite, which is measured without it.
    ConventionPanicked,
    /// Another convention feeds the metric from this callsite already: that one counts.
    Hidden,
    /// The layer's directives disable what a convention was asked for by name: they have to
    /// enable it, too. What is not measured is not counted.
    Disabled,
    /// An exporter gives the metric, or a line of it, another name. Nothing is rejected.
    ExporterName,
    /// A counter has reached the most that an exporter counts, and stops there.
    CounterFull,
    /// A sink could not take the series yet, and no more measurements could wait for it.
    /// The other sinks have them.
    QueueFull,
}

impl Reason {
    /// The reason as the label `reason` of `tracing_meter.rejected` has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidName => "invalid_name",
            Self::InvalidUnit => "invalid_unit",
            Self::InvalidLabel => "invalid_label",
            Self::TooMany => "too_many",
            Self::LabelCollision => "label_collision",
            Self::KindConflict => "kind_conflict",
            Self::UnitConflict => "unit_conflict",
            Self::TooLate => "too_late",
            Self::NameCollision => "name_collision",
            Self::NotANumber => "not_a_number",
            Self::NotFinite => "not_finite",
            Self::Negative => "negative",
            Self::LevelOverflow => "level_overflow",
            Self::Overflow => "overflow",
            Self::Reentrant => "reentrant",
            Self::SinkPanicked => "sink_panicked",
            Self::Silenced => "silenced",
            Self::ShutDown => "shut_down",
            Self::MissingField => "missing_field",
            Self::ConventionPanicked => "convention_panicked",
            Self::Hidden => "hidden",
            Self::Disabled => "disabled",
            Self::ExporterName => "exporter_name",
            Self::CounterFull => "counter_full",
            Self::QueueFull => "queue_full",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a callsite stands in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    target: &'static str,
    file: Option<&'static str>,
    line: Option<u32>,
}

impl Location {
    pub(crate) fn of(metadata: &Metadata<'static>) -> Self {
        Self {
            target: metadata.target(),
            file: metadata.file(),
            line: metadata.line(),
        }
    }

    /// The place of what this crate measures about itself.
    pub(crate) const OWN: Self = Self {
        target: "tracing_meter",
        file: None,
        line: None,
    };

    /// The callsite's target, by default its module path.
    #[must_use]
    pub const fn target(&self) -> &'static str {
        self.target
    }

    /// The source file.
    #[must_use]
    pub const fn file(&self) -> Option<&'static str> {
        self.file
    }

    /// The line in the source file, from 1.
    #[must_use]
    pub const fn line(&self) -> Option<u32> {
        self.line
    }
}

/// `src/main.rs:12`, or the target where the file is not known.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}"),
            (Some(file), None) => f.write_str(file),
            (None, _) => f.write_str(self.target),
        }
    }
}

/// One thing that is wrong, at one callsite, and how often it happened.
#[derive(Clone, Debug)]
pub struct Problem {
    reason: Reason,
    metric: Arc<str>,
    location: Location,
    detail: Arc<str>,
    count: u64,
}

impl Problem {
    /// One without a count.
    pub(crate) fn new(reason: Reason, metric: &str, location: Location, detail: String) -> Self {
        Self {
            reason,
            metric: metric.into(),
            location,
            detail: detail.into(),
            count: 0,
        }
    }

    /// What is wrong.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The metric as the callsite names it.
    #[must_use]
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// The callsite.
    #[must_use]
    pub const fn location(&self) -> Location {
        self.location
    }

    /// What exactly, in words: the first case of it.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Its place in the order of the source.
    pub(crate) fn place(&self) -> (Location, &str, Reason) {
        (self.location, &self.metric, self.reason)
    }

    /// How many measurements were rejected, or went to the overflow series. 0 if
    /// nothing was, or the callsite has not measured yet.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (location, metric, reason) = (self.location, &self.metric, self.reason);
        write!(f, "{location}: {metric}: {reason}: {}", self.detail)?;
        match self.count {
            0 => Ok(()),
            1 => f.write_str(" (once)"),
            count => write!(f, " ({count} times)"),
        }
    }
}

/// All problems, each once. Their number is bounded by the callsites.
#[derive(Debug, Default)]
pub(crate) struct Problems(Mutex<BTreeMap<Key, Arc<Tally>>>);

type Key = (Location, Arc<str>, Reason);

/// The count of one problem.
pub(crate) struct Tally {
    pub(crate) reason: Reason,
    detail: Arc<str>,
    count: AtomicU64,
    /// What else counts it, once that is known: nothing, or our own metric.
    also: OnceLock<Option<CountAlso>>,
}

type CountAlso = Box<dyn Fn() + Send + Sync>;

impl Tally {
    pub(crate) fn add_one(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(Some(count)) = self.also.get() {
            count();
        }
    }

    /// Calls this, too, for each that is added from now on. The first one stays.
    pub(crate) fn count_also(&self, make: impl FnOnce() -> Option<CountAlso>) {
        self.also.get_or_init(make);
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally")
            .field("reason", &self.reason)
            .field("detail", &self.detail)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl Problems {
    /// Lists a problem, with its first detail, and gives its tally.
    pub(crate) fn list(
        &self,
        reason: Reason,
        metric: &str,
        location: Location,
        detail: impl FnOnce() -> String,
    ) -> Arc<Tally> {
        let mut listed = self.0.lock();
        let tally = listed
            .entry((location, metric.into(), reason))
            .or_insert_with(|| {
                Arc::new(Tally {
                    reason,
                    detail: detail().into(),
                    count: AtomicU64::new(0),
                    also: OnceLock::new(),
                })
            });
        Arc::clone(tally)
    }

    pub(crate) fn snapshot(&self) -> Vec<Problem> {
        let listed = self.0.lock();
        listed
            .iter()
            .map(|((location, metric, reason), tally)| Problem {
                reason: *reason,
                metric: Arc::clone(metric),
                location: *location,
                detail: Arc::clone(&tally.detail),
                count: tally.count.load(Ordering::Relaxed),
            })
            .collect()
    }
}
