//! What a span's fields tell of it before any of them has a value.

use tracing_core::Metadata;

use super::SemanticConventions;
use super::attribute::{Attribute, Level};
use crate::convention::{Condition, Feed, Measure, TextValue};
use crate::kind::Kind;

/// The callsite of a span, and the conventions that it is read by.
pub(super) struct Callsite<'a> {
    metadata: &'a Metadata<'static>,
    pub(super) conventions: &'a SemanticConventions,
}

/// The side of a call that a span is on.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Server,
    Client,
}

impl<'a> Callsite<'a> {
    pub(super) const fn new(
        metadata: &'a Metadata<'static>,
        conventions: &'a SemanticConventions,
    ) -> Self {
        Self {
            metadata,
            conventions,
        }
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.metadata.fields().field(field).is_some()
    }

    pub(super) fn has_any(&self, fields: &[&str]) -> bool {
        fields.iter().any(|field| self.has(field))
    }

    /// A feed of spans that say what `known_by` is, with these attributes.
    ///
    /// Of what the callsite has no field for, only required attributes are asked, so that
    /// they are listed as missing.
    pub(super) fn feed(&self, known_by: &'static str, attributes: &[Attribute]) -> Feed {
        let wanted = attributes.iter().filter(|it| match it.level {
            Level::Required => true,
            Level::Given => self.has(it.key),
            Level::OptIn(switch) => self.has(it.key) && self.conventions.opted_in.contains(&switch),
        });
        let feed = Feed::new()
            .when(Condition::present(known_by))
            .without_outcome();
        wanted.fold(feed, |feed, it| feed.label_rule(it.rule(self.conventions)))
    }

    /// The same for spans of one side of a call. Where only the span's kind will tell which
    /// one it is, the callsite may lack what it does not need.
    pub(super) fn feed_of(
        &self,
        (side, is_told_by_fields): (Side, bool),
        known_by: &'static str,
        attributes: &[Attribute],
    ) -> Feed {
        if is_told_by_fields && !self.has("otel.kind") {
            return self.feed(known_by, attributes);
        }
        let needed = |it: &&Attribute| is_told_by_fields || self.has(it.key);
        let attributes: Vec<_> = attributes.iter().filter(needed).copied().collect();
        let is_side = Condition::one_of("otel.kind", side.kinds());
        self.feed(known_by, &attributes).when(is_side)
    }

    /// A field's value when the span closes, if the callsite has the field.
    pub(super) fn value(
        &self,
        kind: Kind,
        metric: &'static str,
        field: &'static str,
    ) -> Option<Measure> {
        let value = || Measure::field_at_close(kind, metric, field).parse(TextValue::Number);
        self.has(field).then(value)
    }
}

impl Side {
    /// `otel.kind` as it is written by hand, and by the `Debug` of OpenTelemetry.
    const fn kinds(self) -> [&'static str; 3] {
        match self {
            Self::Server => ["server", "Server", "SERVER"],
            Self::Client => ["client", "Client", "CLIENT"],
        }
    }
}
