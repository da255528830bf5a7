//! One rule, as it is written.

use tracing_core::{Level, LevelFilter};

use super::RuleLabel;
use super::selector::CallsiteKind;
use crate::convention::{Condition, Measure, OutcomeRule};
use crate::labels::LabelValue;

/// Which callsites feed which instruments, under which labels.
///
/// What a rule says of the callsites that it selects goes together: all of it has to hold.
///
/// ```
/// use tracing::Level;
/// use tracing_meter::{Condition, Measure, MemorySink, Rule, Rules};
/// use tracing_subscriber::prelude::*;
///
/// let answers = Rule::events("answers")
///     .target("shop::api")
///     .up_to(Level::INFO)
///     .when(Condition::at_least("status", 100.0))
///     .measure(Measure::happened("api.answers"))
///     .label("status", "http.response.status_code");
/// let rules = Rules::new().rule(answers)?;
///
/// let memory = MemorySink::new();
/// let layer = tracing_meter::builder().sink(memory.clone()).convention(rules).build()?;
/// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
///     tracing::info!(target: "shop::api::items", status = 404, item = 17, "answered");
///     tracing::info!(target: "shop::api::items", status = 0, "not answered");
///     tracing::debug!(target: "shop::api::items", status = 200, "a detail");
/// });
/// let missing = [("http.response.status_code", "404")];
/// assert_eq!(memory.snapshot().value("api.answers", &missing), Some(1.0));
/// assert_eq!(memory.snapshot().label_sets("api.answers").count(), 1);
/// # Ok::<(), tracing_meter::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Rule {
    pub(super) name: String,
    pub(super) kind: CallsiteKind,
    pub(super) target: Option<String>,
    pub(super) callsite_name: Option<String>,
    pub(super) level: LevelFilter,
    pub(super) fields: Vec<String>,
    pub(super) conditions: Vec<Condition>,
    pub(super) measures: Vec<Measure>,
    pub(super) labels: Vec<RuleLabel>,
    pub(super) outcome: OutcomeRule,
    pub(super) dropped: Vec<String>,
    pub(super) kept: Vec<String>,
    pub(super) renamed: Vec<(String, String)>,
}

impl Rule {
    /// A rule for events, under a name that errors have.
    pub fn events(name: impl Into<String>) -> Self {
        Self::of(CallsiteKind::Event, name)
    }

    /// A rule for spans.
    pub fn spans(name: impl Into<String>) -> Self {
        Self::of(CallsiteKind::Span, name)
    }

    /// A rule for events and spans.
    pub fn callsites(name: impl Into<String>) -> Self {
        Self::of(CallsiteKind::Any, name)
    }

    /// Only callsites of this target and of the modules in it: `hyper` is `hyper::client`,
    /// too, but not `hyper_util`.
    pub fn target(mut self, path: impl Into<String>) -> Self {
        self.target = Some(path.into());
        self
    }

    /// Only spans of this name.
    ///
    /// An event's name is its file and line, `event src/main.rs:12`, unless it was given one.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.callsite_name = Some(name.into());
        self
    }

    /// Only callsites up to this level: `INFO` is `WARN` and `ERROR`, too. By default all.
    pub fn up_to(mut self, level: Level) -> Self {
        self.level = level.into();
        self
    }

    /// Only callsites with this field, whether it has a value or not.
    pub fn with_field(mut self, name: impl Into<String>) -> Self {
        self.fields.push(name.into());
        self
    }

    /// Measures only where this is so of a value. The callsite must have the field, unless
    /// the condition is that it is [absent](Condition::absent).
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Feeds an instrument.
    ///
    /// A field that is measured and that a selected callsite lacks is listed as a
    /// [problem](crate::Reason::MissingField): narrow the rule down with
    /// [`with_field`](Self::with_field).
    pub fn measure(mut self, measure: Measure) -> Self {
        self.measures.push(measure);
        self
    }

    /// Labels what is measured with a field's value, under a key.
    pub fn label(self, field: impl Into<String>, key: impl Into<String>) -> Self {
        self.label_rule(RuleLabel::new(key).field(field))
    }

    /// Labels what is measured. Of two labels with one key the first counts that has a value.
    pub fn label_rule(mut self, label: RuleLabel) -> Self {
        self.labels.push(label);
        self
    }

    /// Labels what is measured with this value.
    pub fn constant(self, key: impl Into<String>, value: impl Into<LabelValue>) -> Self {
        self.label_rule(RuleLabel::new(key).default(value))
    }

    /// How the outcome of a span labels what is measured when it closes, as in
    /// [`Feed::outcome`](crate::Feed::outcome).
    pub fn outcome(mut self, rule: OutcomeRule) -> Self {
        self.outcome = rule;
        self
    }

    /// Leaves the outcome of spans out.
    pub fn without_outcome(self) -> Self {
        self.outcome(OutcomeRule::NONE)
    }

    /// Leaves out a metric that other conventions, and the rules before this one, measure at
    /// the selected callsites: `pool.size`, or all of a prefix, `pool.*`.
    pub fn drop(mut self, metric: impl Into<String>) -> Self {
        self.dropped.push(metric.into());
        self
    }

    /// Of what other conventions, and the rules before this one, measure at the selected
    /// callsites, leaves out all but this metric, or this prefix, and what else is kept.
    pub fn keep(mut self, metric: impl Into<String>) -> Self {
        self.kept.push(metric.into());
        self
    }

    /// Gives a metric that other conventions, and the rules before this one, measure at the
    /// selected callsites another name: `pool.size` to `db.pool.size`, or a prefix another prefix, `pool.*` to `db.pool.*`.
    ///
    /// ```
    /// use tracing_meter::{MemorySink, Rule, Rules};
    /// use tracing_subscriber::prelude::*;
    ///
    /// let pools = Rule::events("pools").drop("pool.idle").rename("pool.*", "db.pool.*");
    /// let rules = Rules::new().rule(pools)?;
    ///
    /// let memory = MemorySink::new();
    /// let layer = tracing_meter::builder().sink(memory.clone()).convention(rules).build()?;
    /// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
    ///     tracing::info!(gauge.pool.size = 3, gauge.pool.idle = 1);
    /// });
    /// let measured = memory.snapshot();
    /// assert_eq!(measured.value("db.pool.size", &[]), Some(3.0));
    /// assert!(measured.instrument("pool.idle").is_none());
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn rename(mut self, metric: impl Into<String>, to: impl Into<String>) -> Self {
        self.renamed.push((metric.into(), to.into()));
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn of(kind: CallsiteKind, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind,
            target: None,
            callsite_name: None,
            level: LevelFilter::TRACE,
            fields: Vec::new(),
            conditions: Vec::new(),
            measures: Vec::new(),
            labels: Vec::new(),
            outcome: OutcomeRule::default(),
            dropped: Vec::new(),
            kept: Vec::new(),
            renamed: Vec::new(),
        }
    }
}
