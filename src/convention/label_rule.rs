//! Where a label's value comes from.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::labels::LabelValue;

/// Where a label's value comes from: the first of some sources that has one.
///
/// Rules are asked when a set of values is seen for the first time, or is over the limit: not
/// for a known series. Of the values that a map leads to the same series sixteen are
/// remembered; it is asked about each further one.
///
/// ```
/// use tracing_meter::{LabelRule, LabelValue};
///
/// let error = LabelRule::new("error.type")
///     .field("error.type")
///     .map("http.response.status_code", |status| match status {
///         LabelValue::I64(500..) => Some(status.to_string().into()),
///         _ => None,
///     })
///     .failure("_OTHER");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct LabelRule {
    pub(crate) key: Cow<'static, str>,
    pub(crate) sources: Vec<ValueSource>,
    pub(crate) is_optional: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ValueSource {
    Field(Cow<'static, str>),
    Map(Cow<'static, str>, ValueMap),
    Constant(LabelValue),
    /// The texts for a span that went well, failed or panicked.
    Outcome([Option<Arc<str>>; 3]),
}

/// What is made of a value.
#[derive(Clone)]
pub(crate) struct ValueMap(Arc<dyn MapValue>);

/// Makes something of a value, if anything.
pub(crate) trait MapValue: Any + Send + Sync {
    fn map(&self, value: &LabelValue) -> Option<LabelValue>;

    /// Whether another map gives the same for each value. What closures do cannot be compared.
    fn is_same(&self, other: &dyn Any) -> bool {
        let _ = other;
        false
    }
}

impl<F> MapValue for F
where
    F: Fn(&LabelValue) -> Option<LabelValue> + Send + Sync + 'static,
{
    fn map(&self, value: &LabelValue) -> Option<LabelValue> {
        self(value)
    }
}

impl LabelRule {
    /// A label under this key, which has no source yet.
    pub fn new(key: impl Into<Cow<'static, str>>) -> Self {
        Self {
            key: key.into(),
            sources: Vec::new(),
            is_optional: false,
        }
    }

    /// A field's value.
    pub fn field(self, field: impl Into<Cow<'static, str>>) -> Self {
        self.source(ValueSource::Field(field.into()))
    }

    /// What a closure makes of a field's value, if anything.
    ///
    /// It has to give the same for the same value. If it panics it gives none. Where several
    /// feeds of a callsite map a field alike, give them clones of one rule: then values
    /// without bound take no room from the rest.
    pub fn map(
        self,
        field: impl Into<Cow<'static, str>>,
        map: impl Fn(&LabelValue) -> Option<LabelValue> + Send + Sync + 'static,
    ) -> Self {
        self.map_by(field, map)
    }

    pub(crate) fn map_by(self, field: impl Into<Cow<'static, str>>, map: impl MapValue) -> Self {
        self.source(ValueSource::Map(field.into(), ValueMap(Arc::new(map))))
    }

    /// This text, for a span that has failed or panicked, of what is measured when it closes.
    pub fn failure(self, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let texts = [None, Some(Arc::clone(&text)), Some(text)];
        self.source(ValueSource::Outcome(texts))
    }

    /// This value, where no source before has one.
    pub fn default(self, value: impl Into<LabelValue>) -> Self {
        self.source(ValueSource::Constant(value.into()))
    }

    /// It is no problem if a callsite has none of the fields.
    pub fn optional(mut self) -> Self {
        self.is_optional = true;
        self
    }

    fn source(mut self, source: ValueSource) -> Self {
        self.sources.push(source);
        self
    }
}

impl ValueSource {
    /// The field that it reads, if it reads one.
    pub(crate) fn field(&self) -> Option<&str> {
        match self {
            Self::Field(field) | Self::Map(field, _) => Some(field),
            Self::Constant(_) | Self::Outcome(_) => None,
        }
    }
}

impl ValueMap {
    pub(crate) fn apply(&self, value: &LabelValue) -> Option<LabelValue> {
        catch_unwind(AssertUnwindSafe(|| self.0.map(value))).unwrap_or_default()
    }
}

impl PartialEq for ValueMap {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.is_same(&*other.0 as &dyn Any)
    }
}

impl fmt::Debug for ValueMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValueMap")
    }
}
