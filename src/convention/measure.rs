//! One instrument that a callsite feeds.

use std::borrow::Cow;

use crate::kind::Kind;
use crate::value::{TextValue, ValueForm};

/// One instrument that a callsite feeds, and with what.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Measure {
    pub(crate) metric: Cow<'static, str>,
    pub(crate) kind: Kind,
    pub(crate) unit: Option<Cow<'static, str>>,
    pub(crate) help: Option<Cow<'static, str>>,
    pub(crate) source: Source,
}

/// Where a measurement comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// A field's value, whenever it is recorded.
    Field(ValueField, Reading),
    /// The last value of a field, or this one, when a span closes.
    FieldAtClose(ValueField, Option<f64>),
    /// 1, when an event happens.
    Happened,
    /// 1, when a span opens.
    Opened,
    /// 1, when it closes.
    Closed,
    /// 1 when it opens, -1 on the same series when it closes.
    InFlight,
    /// Seconds from its opening to its last exit, when it closes.
    Duration,
}

/// A field that holds a number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ValueField {
    pub(crate) name: Cow<'static, str>,
    pub(crate) form: ValueForm,
}

/// How a field's number is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As the measurement.
    Amount,
    /// As a level, whose rises are the measurements.
    Rise,
    /// As a level, whose falls are the measurements.
    Fall,
}

impl Measure {
    /// Measures a field's value with an instrument of this kind, whenever it is recorded.
    pub fn field(
        kind: Kind,
        metric: impl Into<Cow<'static, str>>,
        field: impl Into<Cow<'static, str>>,
    ) -> Self {
        let source = Source::Field(ValueField::new(field), Reading::Amount);
        Self::new(kind, metric, source)
    }

    /// Measures the last value that a span's field had, when the span closes, under the
    /// labels that it has then. Nothing on an event.
    pub fn field_at_close(
        kind: Kind,
        metric: impl Into<Cow<'static, str>>,
        field: impl Into<Cow<'static, str>>,
    ) -> Self {
        let source = Source::FieldAtClose(ValueField::new(field), None);
        Self::new(kind, metric, source)
    }

    /// Counts how much a sampled level rises.
    pub fn rise(metric: impl Into<Cow<'static, str>>, field: impl Into<Cow<'static, str>>) -> Self {
        let source = Source::Field(ValueField::new(field), Reading::Rise);
        Self::new(Kind::Counter, metric, source)
    }

    /// Counts how much a sampled level falls.
    pub fn fall(metric: impl Into<Cow<'static, str>>, field: impl Into<Cow<'static, str>>) -> Self {
        let source = Source::Field(ValueField::new(field), Reading::Fall);
        Self::new(Kind::Counter, metric, source)
    }

    /// Counts events. Nothing on a span.
    pub fn happened(metric: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Counter, metric, Source::Happened)
    }

    /// Counts spans as they open. Nothing on an event.
    pub fn opened(metric: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Counter, metric, Source::Opened)
    }

    /// Counts spans as they close, by their outcome. Nothing on an event.
    pub fn closed(metric: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Counter, metric, Source::Closed)
    }

    /// Counts the spans that are open. Nothing on an event.
    pub fn in_flight(metric: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::UpDownCounter, metric, Source::InFlight)
    }

    /// Measures in seconds how long a span takes, by its outcome. Nothing on an event.
    pub fn duration(metric: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Histogram, metric, Source::Duration).unit("s")
    }

    /// The unit of what is measured, in UCUM notation.
    pub fn unit(mut self, unit: impl Into<Cow<'static, str>>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// The metric's help text. The first one that a metric gets counts.
    pub fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Multiplies a field's value: 0.001 makes seconds of milliseconds.
    pub fn scale(mut self, factor: f64) -> Self {
        if let Some(field) = self.field_mut() {
            field.form.scale = factor;
        }
        self
    }

    /// Reads a field's value from text, too, which is rejected otherwise.
    pub fn parse(mut self, text: TextValue) -> Self {
        if let Some(field) = self.field_mut() {
            field.form.text = Some(text);
        }
        self
    }

    /// What [`field_at_close`](Self::field_at_close) measures where nothing was recorded.
    pub fn or(mut self, value: f64) -> Self {
        if let Source::FieldAtClose(_, default) = &mut self.source {
            *default = Some(value);
        }
        self
    }

    /// Whether it is due when a span closes.
    pub(crate) const fn is_late(&self) -> bool {
        matches!(
            self.source,
            Source::Closed | Source::Duration | Source::FieldAtClose(..)
        )
    }

    pub(crate) const fn reading(&self) -> Reading {
        match self.source {
            Source::Field(_, reading) => reading,
            _ => Reading::Amount,
        }
    }

    /// The field that it reads, if it reads one.
    pub(crate) fn field_name(&self) -> Option<&str> {
        match &self.source {
            Source::Field(field, _) | Source::FieldAtClose(field, _) => Some(&field.name),
            _ => None,
        }
    }

    fn field_mut(&mut self) -> Option<&mut ValueField> {
        match &mut self.source {
            Source::Field(field, _) | Source::FieldAtClose(field, _) => Some(field),
            _ => None,
        }
    }

    fn new(kind: Kind, metric: impl Into<Cow<'static, str>>, source: Source) -> Self {
        Self {
            metric: metric.into(),
            kind,
            unit: None,
            help: None,
            source,
        }
    }
}

impl ValueField {
    fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            form: ValueForm::PLAIN,
        }
    }
}
