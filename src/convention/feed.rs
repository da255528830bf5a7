//! Measures that have their labels in common.

use std::borrow::Cow;

use super::{Condition, LabelRule, Measure, OutcomeRule};
use crate::labels::LabelValue;

/// Measures that have their labels, their outcome and their conditions in common.
///
/// Two feeds of one callsite share no labels.
///
/// ```
/// use tracing_meter::{Condition, Feed, LabelRule, Measure};
///
/// let requests = Feed::new()
///     .when(Condition::equals("otel.kind", "server"))
///     .measure(Measure::duration("rpc.server.call.duration").help("How long calls take."))
///     .label("rpc.method", "rpc.method")
///     .label_rule(LabelRule::new("error.type").field("error.type").failure("_OTHER"))
///     .constant("rpc.system.name", "grpc")
///     .without_outcome();
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Feed {
    pub(crate) measures: Vec<Measure>,
    pub(crate) labels: Vec<LabelRule>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) outcome: OutcomeRule,
    pub(crate) is_exact: bool,
}

impl Feed {
    /// Measures nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Feeds an instrument.
    pub fn measure(mut self, measure: Measure) -> Self {
        self.measures.push(measure);
        self
    }

    /// Labels what is measured with a field's value, under a key.
    ///
    /// Of two rules for one key the first counts that has a value.
    pub fn label(
        self,
        field: impl Into<Cow<'static, str>>,
        key: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.label_rule(LabelRule::new(key).field(field))
    }

    /// Labels what is measured by a rule.
    pub fn label_rule(mut self, rule: LabelRule) -> Self {
        self.labels.push(rule);
        self
    }

    /// Labels what is measured with this value.
    pub fn constant(self, key: impl Into<Cow<'static, str>>, value: impl Into<LabelValue>) -> Self {
        self.label_rule(LabelRule::new(key).default(value))
    }

    /// Measures only where this is so. Of several conditions all have to be.
    ///
    /// A condition is asked about the values that are there when a measure is due: at the
    /// opening of a span for [`Measure::opened`] and [`Measure::in_flight`], at its end for
    /// [`Measure::closed`], [`Measure::duration`] and [`Measure::field_at_close`].
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// How the outcome of a span labels what is measured when it closes: by default as
    /// `outcome`, which is `ok`, `error` or `panic`, or what the span recorded as `outcome`.
    pub fn outcome(mut self, rule: OutcomeRule) -> Self {
        self.outcome = rule;
        self
    }

    /// Leaves the outcome of spans out.
    pub fn without_outcome(self) -> Self {
        self.outcome(OutcomeRule::NONE)
    }

    /// Leaves out what the layer's allow-lists name, its
    /// [`span_labels`](crate::MeterLayerBuilder::span_labels) and
    /// [`inherited_labels`](crate::MeterLayerBuilder::inherited_labels).
    pub fn exactly(mut self) -> Self {
        self.is_exact = true;
        self
    }
}
