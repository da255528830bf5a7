//! The convention of field names: the crate's public contract.

use tracing_core::Metadata;

use super::{Convention, Measure, Recipe};
use crate::kind::Kind;

/// Measures what a field's prefix says.
///
/// | field | instrument | what it does |
/// |---|---|---|
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
        let recipe = callsite
            .fields()
            .iter()
            .fold(Recipe::new(), |recipe, field| {
                read(recipe, field.name(), callsite.is_span())
            });
        let measures = !recipe.measures.is_empty() || !recipe.docs.is_empty();
        let labelled_span = callsite.is_span() && !recipe.labels.is_empty();
        (measures || labelled_span).then_some(recipe)
    }
}

fn read(recipe: Recipe, field: &'static str, on_span: bool) -> Recipe {
    let known = field.split_once('.').and_then(|(prefix, name)| {
        let measure = match prefix {
            "monotonic_counter" => Measure::field(Kind::Counter, name, field),
            "counter" => Measure::field(Kind::UpDownCounter, name, field),
            "gauge" => Measure::field(Kind::Gauge, name, field),
            "histogram" => Measure::field(Kind::Histogram, name, field),
            "increase" => Measure::rise(name, field),
            "decrease" => Measure::fall(name, field),
            "started" if on_span => Measure::opened(name),
            "calls" if on_span => Measure::closed(name),
            "in_flight" if on_span => Measure::in_flight(name),
            "duration" if on_span => Measure::duration(name),
            "describe" => return Some(Known::Help(name)),
            "unit" => return Some(Known::Unit(name)),
            "label" => return Some(Known::Label(name)),
            "log" if !on_span => return Some(Known::Nothing),
            _ => return None,
        };
        Some(Known::Measure(measure))
    });
    match known {
        Some(Known::Measure(measure)) => recipe.measure(measure),
        Some(Known::Help(metric)) => recipe.help(field, metric),
        Some(Known::Unit(metric)) => recipe.unit(field, metric),
        Some(Known::Label(key)) => recipe.label(field, key),
        Some(Known::Nothing) => recipe,
        None if on_span || field == "message" => recipe,
        None => recipe.label(field, field),
    }
}

/// What a field with a known prefix is.
enum Known {
    Measure(Measure),
    Help(&'static str),
    Unit(&'static str),
    Label(&'static str),
    /// Where a record of the `log` crate comes from.
    Nothing,
}
