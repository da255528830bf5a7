//! When something is measured.

use std::borrow::Cow;

use crate::labels::LabelValue;

/// What has to be so of a field, for something to be measured.
///
/// A field has no value before it is recorded: until then only
/// [`absent`](Self::absent) holds. Text is compared as it is written, and is no number: a
/// `status = %404` is not 404. An integer has the same value in any of its types.
///
/// ```
/// use tracing_meter::{Condition, Feed, Measure};
///
/// let slow = Feed::new()
///     .when(Condition::equals("otel.kind", "server"))
///     .when(Condition::at_least("http.response.status_code", 500.0))
///     .measure(Measure::closed("requests.failed"));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Condition {
    pub(crate) field: Cow<'static, str>,
    pub(crate) test: Test,
}

/// What is asked of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Present,
    Absent,
    OneOf(Box<[LabelValue]>),
    AtLeast(f64),
    Below(f64),
}

impl Condition {
    /// The field has a value.
    pub fn present(field: impl Into<Cow<'static, str>>) -> Self {
        Self::of(field, Test::Present)
    }

    /// The field has no value, or the callsite has no such field.
    pub fn absent(field: impl Into<Cow<'static, str>>) -> Self {
        Self::of(field, Test::Absent)
    }

    /// The field has this value.
    pub fn equals(field: impl Into<Cow<'static, str>>, value: impl Into<LabelValue>) -> Self {
        Self::one_of(field, [value])
    }

    /// The field has one of these values.
    pub fn one_of<V>(
        field: impl Into<Cow<'static, str>>,
        values: impl IntoIterator<Item = V>,
    ) -> Self
    where
        V: Into<LabelValue>,
    {
        let values = values.into_iter().map(Into::into);
        Self::of(field, Test::OneOf(values.collect()))
    }

    /// The field has a number that is this high or higher.
    pub fn at_least(field: impl Into<Cow<'static, str>>, number: f64) -> Self {
        Self::of(field, Test::AtLeast(number))
    }

    /// The field has a number that is lower.
    pub fn below(field: impl Into<Cow<'static, str>>, number: f64) -> Self {
        Self::of(field, Test::Below(number))
    }

    fn of(field: impl Into<Cow<'static, str>>, test: Test) -> Self {
        let field = field.into();
        Self { field, test }
    }
}
