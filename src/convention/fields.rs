//! The convention of field names: the crate's public contract.

use std::collections::HashSet;

use tracing_core::Metadata;

use super::{Convention, Feed, Measure, Recipe};
use crate::kind::Kind;

/// Measures what a field's prefix says.
///
/// | field | instrument | what it does |
/// |---|---|---|
/// | `observe.NAME` | | on a span: `NAME.calls`, `NAME.duration` and `NAME.in_flight` in one field |
/// | `monotonic_counter.NAME = n` | Counter | adds n, n >= 0 |
/// | `counter.NAME = n` | UpDownCounter | adds n, either sign |
/// | `gauge.NAME = v` | Gauge | sets v |
/// | `histogram.NAME = v` | Histogram | records v |
/// | `increase.NAME = v` | Counter | adds how much v is higher than the series' previous sample |
/// | `decrease.NAME = v` | Counter | adds how much v is lower than the series' previous sample |
/// | `started.NAME` | Counter | on a span: +1 when it opens |
/// | `calls.NAME` | Counter | on a span: +1 when it closes |
/// | `in_flight.NAME` | UpDownCounter | on a span: +1 when it opens, -1 when it closes |
/// | `duration.NAME` | Histogram, `s` | on a span: from its opening to its last exit |
/// | `label.KEY = v` | | a label |
/// | `describe.NAME = "help"`, `unit.NAME = "By"` | | what the metric means |
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
    /// Its span is measured in every way.
    Observed(&'static str),
    Help(&'static str),
    Unit(&'static str),
    Label(&'static str),
    Nothing,
}

impl Known {
    fn of(field: &'static str, on_span: bool) -> Self {
        let (prefix, name) = field.split_once('.').unwrap_or(("", field));
        match prefix {
            "monotonic_counter" => Self::Value(Measure::field(Kind::Counter, name, field)),
            "counter" => Self::Value(Measure::field(Kind::UpDownCounter, name, field)),
            "gauge" => Self::Value(Measure::field(Kind::Gauge, name, field)),
            "histogram" => Self::Value(Measure::field(Kind::Histogram, name, field)),
            "increase" => Self::Value(Measure::rise(name, field)),
            "decrease" => Self::Value(Measure::fall(name, field)),
            "observe" if on_span => Self::Observed(name),
            "started" if on_span => Self::OfTheSpan(Measure::opened(name)),
            "calls" if on_span => Self::OfTheSpan(Measure::closed(name)),
            "in_flight" if on_span => Self::OfTheSpan(Measure::in_flight(name)),
            "duration" if on_span => Self::OfTheSpan(Measure::duration(name)),
            "describe" => Self::Help(name),
            "unit" => Self::Unit(name),
            "label" => Self::Label(name),
            // `log.` says where a record of the `log` crate comes from.
            _ if on_span || prefix == "log" || field == "message" => Self::Nothing,
            _ => Self::Label(field),
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
