//! The attributes of metrics, as the model has them.

use std::any::Any;

use super::{OptIn, SemanticConventions};
use crate::convention::{LabelRule, MapValue};
use crate::labels::LabelValue;
use crate::semconv::{KnownMethods, OTHER};

/// An attribute of a metric. The span's field has the same name.
#[derive(Clone, Copy)]
pub(super) struct Attribute {
    pub(super) key: &'static str,
    pub(super) level: Level,
    value: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Required,
    /// Where the span says it.
    Given,
    OptIn(OptIn),
}

#[derive(Clone, Copy)]
enum Value {
    Text,
    Int,
    /// A known method of HTTP.
    Method,
    /// The name of a protocol, if it is not HTTP.
    NotHttp,
}

impl Attribute {
    pub(super) const METHOD: Self = Self::new("http.request.method", Value::Method).required();
    pub(super) const PROTOCOL: Self = Self::new("network.protocol.name", Value::NotHttp);

    pub(super) const fn text(key: &'static str) -> Self {
        Self::new(key, Value::Text)
    }

    pub(super) const fn int(key: &'static str) -> Self {
        Self::new(key, Value::Int)
    }

    pub(super) const fn required(mut self) -> Self {
        self.level = Level::Required;
        self
    }

    pub(super) const fn opt_in(mut self, switch: OptIn) -> Self {
        self.level = Level::OptIn(switch);
        self
    }

    const fn new(key: &'static str, value: Value) -> Self {
        let level = Level::Given;
        Self { key, level, value }
    }

    /// The attribute with the type of the model, whatever type the field has.
    pub(super) fn rule(&self, conventions: &SemanticConventions) -> LabelRule {
        let rule = LabelRule::new(self.key);
        match self.value {
            Value::Text => text_of(rule, self.key),
            Value::Int => rule.map(self.key, int),
            Value::NotHttp => rule.map(self.key, not_http),
            Value::Method => conventions.method.clone(),
        }
    }
}

/// `http.request.method`: the known ones, else `_OTHER`.
///
/// One rule for all feeds of a callsite: methods that are mapped alike everywhere make no bindings.
pub(super) fn method(known: KnownMethods) -> LabelRule {
    let key = Attribute::METHOD.key;
    LabelRule::new(key).map_by(key, Method(known))
}

#[derive(PartialEq)]
struct Method(KnownMethods);

impl MapValue for Method {
    fn map(&self, method: &LabelValue) -> Option<LabelValue> {
        let method = str(method).unwrap_or(OTHER);
        Some(self.0.name(method).into())
    }

    fn is_same(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

/// `error.type`: what was recorded, else what the status says, else that there is an error.
pub(super) fn error_type() -> LabelRule {
    text_of(LabelRule::new("error.type"), "error.type")
}

/// A field's value as text, whatever type it has.
pub(super) fn text_of(rule: LabelRule, field: &'static str) -> LabelRule {
    rule.map(field, |value| Some(text(value)))
}

fn text(value: &LabelValue) -> LabelValue {
    match value {
        LabelValue::Str(_) => value.clone(),
        other => other.to_string().into(),
    }
}

/// Of a status that is written with its reason, `404 Not Found`, the number.
pub(super) fn int(value: &LabelValue) -> Option<LabelValue> {
    number(value).map(Into::into)
}

pub(super) fn number(value: &LabelValue) -> Option<i64> {
    match value {
        LabelValue::I64(number) => Some(*number),
        LabelValue::Str(text) => text.split(' ').next()?.parse().ok(),
        _ => None,
    }
}

/// The status as text, if it is an error.
pub(super) fn status_if(
    is_error: impl Fn(&str) -> bool,
) -> impl Fn(&LabelValue) -> Option<LabelValue> {
    move |status| Some(text(status)).filter(|status| str(status).is_some_and(&is_error))
}

fn not_http(protocol: &LabelValue) -> Option<LabelValue> {
    let is_http = str(protocol)?.eq_ignore_ascii_case("http");
    (!is_http).then(|| protocol.clone())
}

fn str(value: &LabelValue) -> Option<&str> {
    match value {
        LabelValue::Str(text) => Some(text),
        _ => None,
    }
}
