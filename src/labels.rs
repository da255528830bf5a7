//! The labels of a series, as sinks read them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::value::Value;

mod buf;
mod entry;
mod hash;
mod key;
mod set;
mod shared_key;

pub(crate) use buf::{LabelBuf, LabelKey, OUTCOME};
pub(crate) use entry::{WORD, is_mapped_in, is_true_in, value_in};
pub(crate) use hash::Seed;
pub(crate) use key::check_key;
pub(crate) use set::{LabelNames, LabelSet};
use shared_key::SharedKey;

/// A key and value on a series. OpenTelemetry says attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    key: SharedKey,
    value: LabelValue,
}

impl Label {
    pub(crate) fn new(key: Arc<str>, value: LabelValue) -> Self {
        let key = key.into();
        Self { key, value }
    }

    /// The key as it was written: `chain.name`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    #[cfg(feature = "otel")]
    pub(crate) fn shared_key(&self) -> &Arc<str> {
        self.key.as_arc()
    }

    /// The value, with the type that was recorded.
    #[must_use]
    pub const fn value(&self) -> &LabelValue {
        &self.value
    }
}

/// The value of a label. Exporters without types write it with `Display`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LabelValue {
    /// Text, and whatever was recorded with `%` or `?`.
    Str(Box<str>),
    /// An integer.
    I64(i64),
    /// A float.
    F64(f64),
    /// A boolean.
    Bool(bool),
}

// A label value is an identity, so a NaN equals itself, as its bits do.
impl PartialEq for LabelValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::I64(a), Self::I64(b)) => a == b,
            (Self::F64(a), Self::F64(b)) => a.to_bits() == b.to_bits(),
            (Self::Bool(a), Self::Bool(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for LabelValue {}

impl Hash for LabelValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Str(v) => v.hash(state),
            Self::I64(v) => v.hash(state),
            Self::F64(v) => v.to_bits().hash(state),
            Self::Bool(v) => v.hash(state),
        }
    }
}

impl LabelValue {
    pub(crate) fn as_value(&self) -> Value<'_> {
        match self {
            Self::Str(v) => Value::Str(v),
            Self::I64(v) => Value::I64(*v),
            Self::F64(v) => Value::F64(*v),
            Self::Bool(v) => Value::Bool(*v),
        }
    }
}

impl From<&str> for LabelValue {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for LabelValue {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<i64> for LabelValue {
    fn from(number: i64) -> Self {
        Self::I64(number)
    }
}

impl From<f64> for LabelValue {
    fn from(number: f64) -> Self {
        Self::F64(number)
    }
}

impl From<bool> for LabelValue {
    fn from(it: bool) -> Self {
        Self::Bool(it)
    }
}

impl fmt::Display for LabelValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(v) => v.fmt(f),
            Self::I64(v) => v.fmt(f),
            Self::F64(v) => v.fmt(f),
            Self::Bool(v) => v.fmt(f),
        }
    }
}

/// The labels of one series: sorted by key, each key once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(Arc<[Label]>);

impl Labels {
    /// Each key has to be there once.
    pub(crate) fn new(mut labels: Vec<Label>) -> Self {
        labels.sort_by(|a, b| a.key.cmp(&b.key));
        Self(labels.into())
    }

    /// The labels in the order of their keys.
    pub fn iter(&self) -> std::slice::Iter<'_, Label> {
        self.0.iter()
    }

    /// The value under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&LabelValue> {
        self.0
            .iter()
            .find(|label| label.key() == key)
            .map(Label::value)
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = &'a Label;
    type IntoIter = std::slice::Iter<'a, Label>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
