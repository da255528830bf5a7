//! What can be wrong.

use std::fmt;

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
    /// Two fields of one callsite give the same label: the first that has a value counts,
    /// or of a field that is there twice the value that is recorded last. Or two labels are
    /// the same on a Prometheus scrape, where their values are joined by `;`, as
    /// OpenTelemetry prescribes.
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
    /// limit: in the overflow series it would be compared with another's level.
    LevelOverflow,
    /// The instrument has reached its cardinality limit. New label sets are
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
    /// A convention names a field that the callsite does not have.
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
    /// A sink could not take the series yet, and as many measurements wait for it as may.
    /// The other sinks have the rejected ones.
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
