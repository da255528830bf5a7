//! The convention of field names: the crate's public contract.

use std::collections::HashSet;

use tracing_core::Metadata;

use super::{Convention, Feed, Measure, Recipe};
use crate::kind::Kind;

/// Measures what a field's prefix says.
///
#[doc = include_str!("../../docs/fields.md")]
///
/// In `info_span!` a field without a value is written `= tracing::field::Empty`.
///
/// An event's other fields are labels, but for `message` and `log.*`. On a span
/// only `label.KEY` is, and what the layer's allow-lists name.
#[derive(Clone, Copy, Debug, Default)]
pub struct FieldConvention;

impl Convention for FieldConvention {
    fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe> {
        let (mut recipe, mut feed) = (Recipe::new(), Feed::new());
        let mut seen = HashSet::new();
        for field in callsite.fields() {
            let name = field.name();
            let known = Known::of(name, callsite.is_span());
            // A recipe speaks of all fields of a name at once.
            if seen.insert(name) || matches!(known, Known::OfTheSpan(_) | Known::Observed(_)) {
                (recipe, feed) = known.add_to(recipe, feed, name);
            }
        }
        let measures = !feed.measures.is_empty() || !recipe.docs.is_empty();
        let labelled_span = callsite.is_span() && !feed.labels.is_empty();
        (measures || labelled_span).then(|| recipe.feed(feed))
    }
}

/// What a field is, by its name.
enum Known {
    /// Its value is measured.
    Value(Measure),
    /// Its span is measured.
    OfTheSpan(Measure),
    /// All of its span is measured: calls, duration, in flight.
    Observed(&'static str),
    Help(&'static str),
    Unit(&'static str),
    Label(&'static str),
    Nothing,
}

/// What a prefix says of a field.
struct Prefix {
    name: &'static str,
    /// On an event it is an ordinary field.
    is_of_spans: bool,
    /// Of the name after the prefix, and of the whole field.
    known: fn(&'static str, &'static str) -> Known,
}

const PREFIXES: [Prefix; 14] = [
    Prefix::of_spans("observe", |name, _| Known::Observed(name)),
    Prefix::of_both("monotonic_counter", |name, field| {
        Known::Value(Measure::field(Kind::Counter, name, field))
    }),
    Prefix::of_both("counter", |name, field| {
        Known::Value(Measure::field(Kind::UpDownCounter, name, field))
    }),
    Prefix::of_both("gauge", |name, field| {
        Known::Value(Measure::field(Kind::Gauge, name, field))
    }),
    Prefix::of_both("histogram", |name, field| {
        Known::Value(Measure::field(Kind::Histogram, name, field))
    }),
    Prefix::of_both("increase", |name, field| {
        Known::Value(Measure::rise(name, field))
    }),
    Prefix::of_both("decrease", |name, field| {
        Known::Value(Measure::fall(name, field))
    }),
    Prefix::of_spans("started", |name, _| Known::OfTheSpan(Measure::opened(name))),
    Prefix::of_spans("calls", |name, _| Known::OfTheSpan(Measure::closed(name))),
    Prefix::of_spans("in_flight", |name, _| {
        Known::OfTheSpan(Measure::in_flight(name))
    }),
    Prefix::of_spans("duration", |name, _| {
        Known::OfTheSpan(Measure::duration(name))
    }),
    Prefix::of_both("label", |name, _| Known::Label(name)),
    Prefix::of_both("describe", |name, _| Known::Help(name)),
    Prefix::of_both("unit", |name, _| Known::Unit(name)),
];

impl Prefix {
    const fn of_both(prefix: &'static str, known: fn(&'static str, &'static str) -> Known) -> Self {
        Self {
            name: prefix,
            is_of_spans: false,
            known,
        }
    }

    const fn of_spans(
        prefix: &'static str,
        known: fn(&'static str, &'static str) -> Known,
    ) -> Self {
        Self {
            is_of_spans: true,
            ..Self::of_both(prefix, known)
        }
    }
}

impl Known {
    fn of(field: &'static str, on_span: bool) -> Self {
        let (prefix, name) = field.split_once('.').unwrap_or(("", field));
        let is_meant = |it: &&Prefix| it.name == prefix && (on_span || !it.is_of_spans);
        match PREFIXES.iter().find(is_meant) {
            Some(prefix) => (prefix.known)(name, field),
            // `log.` says where a record of the `log` crate comes from.
            None if on_span || prefix == "log" || field == "message" => Self::Nothing,
            None => Self::Label(field),
        }
    }

    fn add_to(self, recipe: Recipe, feed: Feed, field: &'static str) -> (Recipe, Feed) {
        match self {
            Self::Value(measure) | Self::OfTheSpan(measure) => (recipe, feed.measure(measure)),
            Self::Observed(name) => (recipe, observe(feed, name)),
            Self::Help(metric) => (recipe.help(field, metric), feed),
            Self::Unit(metric) => (recipe.unit(field, metric), feed),
            Self::Label(key) => (recipe, feed.label(field, key)),
            Self::Nothing => (recipe, feed),
        }
    }
}

/// One name for three metrics: a name has one kind.
fn observe(feed: Feed, name: &str) -> Feed {
    feed.measure(Measure::closed(format!("{name}.calls")))
        .measure(Measure::duration(format!("{name}.duration")))
        .measure(Measure::in_flight(format!("{name}.in_flight")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = include_str!("../../docs/fields.md");

    #[test]
    fn the_readme_has_the_table_of_the_documentation() {
        assert!(include_str!("../../README.md").contains(TABLE));
    }

    #[test]
    fn the_table_has_every_prefix_and_no_other() {
        let fields = TABLE
            .lines()
            .skip(2)
            .filter_map(|row| row.split('|').nth(1));
        // What is between backticks.
        let fields = fields.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let prefixes = fields.map(|field| field.split('.').next().unwrap());
        let known = PREFIXES.iter().map(|it| it.name);
        assert_eq!(prefixes.collect::<Vec<_>>(), known.collect::<Vec<_>>());
    }
}
