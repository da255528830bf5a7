//! How much is logged, by level and target.

use std::any::Any;

use tracing_core::{Level, Metadata};

use super::hint::is_hint;
use super::{Convention, Feed, FieldConvention, LabelRule, Measure, Recipe};

/// Counts log events as `tracing.events`, by `level` (`error`, `warn`, `info`, `debug`,
/// `trace`) and `target`: how many errors there are, and which module floods the log.
///
/// The name and the levels are formed as Micrometer's `logback.events` and `log4j2.events`
/// are, which dashboards know: the library that logs, and what it emits. OpenTelemetry has
/// no name for this.
///
/// ```
/// use tracing_meter::{LogEmissions, MemorySink};
/// use tracing_subscriber::prelude::*;
///
/// let memory = MemorySink::new();
/// let layer = tracing_meter::builder().sink(memory.clone()).convention(LogEmissions::new()).build()?;
/// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
///     tracing::error!(target: "shop::cart", item = 17, "no such item");
///     tracing::debug!(target: "shop::cart", "looked it up");
/// });
/// let errors = [("level", "error"), ("target", "shop::cart")];
/// assert_eq!(memory.snapshot().value("tracing.events", &errors), Some(1.0));
/// assert_eq!(memory.snapshot().label_sets("tracing.events").count(), 1);
/// # Ok::<(), tracing_meter::BuildError>(())
/// ```
///
/// # What is counted
///
/// - Events up to a level, by default `INFO`, whether another layer writes them or not:
///   `RUST_LOG` on the `fmt` layer changes no count. Each event that is counted is emitted,
///   although no other layer may want it, so the level is also what the counting may cost.
///   Choose that of the log with [`up_to`](Self::up_to), and both count the same.
/// - Not an event that has no message and that [`FieldConvention`] measures: that is a
///   measurement, not a line of the log.
/// - Records of the `log` crate, under the target that the record has.
/// - Not this crate, OpenTelemetry and the exporters of `metrics`: what measuring logs would
///   be measured again. Leave further targets out with [`Rule::drop`](crate::Rule::drop).
///
/// Targets and levels are constants of the callsites, and those of records are bounded by
/// the layer's [`series_limit`](crate::MeterLayerBuilder::series_limit), as all labels are.
/// The layer's allow-lists add no labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct LogEmissions {
    level: Level,
}

const METRIC: &str = "tracing.events";

/// The targets of what carries measurements start so.
const OURS: [&str; 4] = [
    "tracing_meter",
    "opentelemetry",
    "tracing_opentelemetry",
    "metrics_exporter_",
];

impl LogEmissions {
    /// Counts up to `INFO`.
    pub const fn new() -> Self {
        Self { level: Level::INFO }
    }

    /// Counts up to this level: `WARN` is `ERROR`, too.
    pub const fn up_to(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    fn counts(self, callsite: &Metadata<'static>) -> bool {
        let is_ours = OURS.iter().any(|it| callsite.target().starts_with(it));
        callsite.is_event()
            && !is_hint(callsite)
            && *callsite.level() <= self.level
            && !is_ours
            && !is_measurement(callsite)
    }
}

impl Default for LogEmissions {
    fn default() -> Self {
        Self::new()
    }
}

impl Convention for LogEmissions {
    fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe> {
        if !self.counts(callsite) {
            return None;
        }
        let events = Measure::happened(METRIC)
            .unit("{event}")
            .help("Events that were logged.");
        let feed = Feed::new()
            .measure(events)
            .constant("level", word(*callsite.level()))
            .label_rule(target(callsite))
            .exactly();
        Some(feed.into())
    }

    fn is_same(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

/// A record of the `log` crate has its target in a field.
fn target(callsite: &Metadata<'static>) -> LabelRule {
    const RECORDED: &str = "log.target";
    let rule = LabelRule::new("target");
    let is_record = callsite.target() == "log" && callsite.fields().field(RECORDED).is_some();
    if is_record {
        rule.field(RECORDED)
    } else {
        rule.default(callsite.target())
    }
}

fn is_measurement(callsite: &Metadata<'static>) -> bool {
    let has_message = callsite.fields().field("message").is_some();
    !has_message && FieldConvention.recognise(callsite).is_some()
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}
