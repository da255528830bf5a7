//! A label of a rule, as it is written.

use std::any::Any;
use std::sync::Arc;

use super::value_table::ValueTable;
use crate::convention::{LabelRule, MapValue};
use crate::labels::{self, LabelValue};

/// Where a rule's label has its value from: a field, as it is or by a map of values; else
/// the failure of the span; else a default.
///
/// A map bounds what there are series for: of values that it does not have the label has
/// the default, if any.
///
/// ```
/// use tracing_meter::{Measure, MemorySink, Rule, RuleLabel, Rules};
/// use tracing_subscriber::prelude::*;
///
/// let class = RuleLabel::new("status.class")
///     .field("status")
///     .map("200..=299", "2xx")
///     .map("400..=499", "4xx")
///     .default("other");
/// let tool = RuleLabel::new("tool").field("user_agent").map("curl/*", "curl");
/// let error = RuleLabel::new("error.type").field("status").map("400..", "{}");
/// let answers = Rule::events("answers").target("api").measure(Measure::happened("answers"));
/// let answers = answers.label_rule(class).label_rule(tool).label_rule(error);
///
/// let memory = MemorySink::new();
/// let layer = tracing_meter::builder()
///     .sink(memory.clone())
///     .convention(Rules::new().rule(answers)?)
///     .build()?;
/// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
///     tracing::info!(target: "api", status = 404, user_agent = "curl/8.5", "answered");
/// });
/// let labels = [("error.type", "404"), ("status.class", "4xx"), ("tool", "curl")];
/// assert_eq!(memory.snapshot().value("answers", &labels), Some(1.0));
/// # Ok::<(), tracing_meter::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct RuleLabel {
    key: String,
    field: Option<String>,
    map: Vec<(String, String)>,
    is_integer: bool,
    failure: Option<String>,
    default: Option<LabelValue>,
    is_optional: bool,
}

impl RuleLabel {
    /// A label under this key.
    pub fn new(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            field: None,
            map: Vec::new(),
            is_integer: false,
            failure: None,
            default: None,
            is_optional: false,
        }
    }

    /// The value of this field.
    pub fn field(mut self, name: impl Into<String>) -> Self {
        self.field = Some(name.into());
        self
    }

    /// This text for values that match. The first pattern counts that does.
    ///
    /// | pattern | matches |
    /// |---|---|
    /// | `200..=299`, `200..300`, `500..`, `..100` | numbers, also those in texts |
    /// | `SELECT*` | what starts so |
    /// | `*` | everything |
    /// | anything else | this text, number or boolean |
    ///
    /// `{}` in the text stands for what was recorded.
    pub fn map(mut self, pattern: impl Into<String>, text: impl Into<String>) -> Self {
        self.map.push((pattern.into(), text.into()));
        self
    }

    /// Makes an integer of a text that is one. What is none gives no label.
    pub fn integer(mut self) -> Self {
        self.is_integer = true;
        self
    }

    /// This text for a span that has failed, as in [`LabelRule::failure`].
    pub fn failure(mut self, text: impl Into<String>) -> Self {
        self.failure = Some(text.into());
        self
    }

    /// This value where there is no other.
    pub fn default(mut self, value: impl Into<LabelValue>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// It is no problem if a callsite does not have the field.
    pub fn optional(mut self) -> Self {
        self.is_optional = true;
        self
    }
}

/// A label of a rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ParsedLabel {
    key: Arc<str>,
    field: Option<(String, Reading)>,
    failure: Option<String>,
    default: Option<LabelValue>,
    is_optional: bool,
}

/// What a label makes of a field's value.
#[derive(Clone, Debug, PartialEq)]
enum Reading {
    AsItIs,
    Map(TableMap),
    Integer,
}

/// The text of a table for a value, or the number that it says.
#[derive(Clone, Debug, PartialEq)]
struct TableMap {
    table: Arc<ValueTable>,
    is_integer: bool,
}

impl MapValue for TableMap {
    fn map(&self, value: &LabelValue) -> Option<LabelValue> {
        let mapped = LabelValue::from(self.table.text_for(value)?);
        if self.is_integer {
            return integer(&mapped);
        }
        Some(mapped)
    }

    fn is_same(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

impl ParsedLabel {
    pub(super) fn parse(label: RuleLabel) -> Result<Self, String> {
        check_key(&label.key)?;
        let error = |why: &str| format!("the label `{}`: {why}", label.key);
        let table = ValueTable::parse(&label.map).map_err(|why| error(&why))?;
        let reading = match (label.map.is_empty(), label.is_integer) {
            (true, false) => Reading::AsItIs,
            (true, true) => Reading::Integer,
            (false, is_integer) => Reading::Map(TableMap {
                table: Arc::new(table),
                is_integer,
            }),
        };
        let has_source = label.failure.is_some() || label.default.is_some();
        match label.field {
            None if reading != Reading::AsItIs => Err(error("there is no field to read")),
            None if !has_source => Err(error("it has no field and no value")),
            field => Ok(Self {
                key: label.key.into(),
                field: field.map(|field| (field, reading)),
                failure: label.failure,
                default: label.default,
                is_optional: label.is_optional,
            }),
        }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Adds its sources to those of other labels with this key.
    pub(super) fn add_to(&self, mut rule: LabelRule) -> LabelRule {
        if let Some((field, reading)) = &self.field {
            rule = reading.add_to(rule, field.clone());
        }
        if let Some(text) = &self.failure {
            rule = rule.failure(text.as_str());
        }
        if let Some(value) = &self.default {
            rule = rule.default(value.clone());
        }
        if self.is_optional {
            rule = rule.optional();
        }
        rule
    }
}

impl Reading {
    fn add_to(&self, rule: LabelRule, field: String) -> LabelRule {
        match self {
            Self::AsItIs => rule.field(field),
            Self::Integer => rule.map(field, integer),
            Self::Map(map) => rule.map_by(field, map.clone()),
        }
    }
}

fn integer(value: &LabelValue) -> Option<LabelValue> {
    match value {
        LabelValue::I64(_) => Some(value.clone()),
        LabelValue::Str(text) => text.parse().ok().map(LabelValue::I64),
        LabelValue::F64(_) | LabelValue::Bool(_) => None,
    }
}

/// Whether a label may have this key.
pub(super) fn check_key(key: &str) -> Result<(), String> {
    labels::check_key(key).map_err(|why| format!("the label `{key}`: {why}"))
}
