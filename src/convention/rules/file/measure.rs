//! `[[rule.measure]]`

use super::Fault;
use super::table::Table;
use crate::convention::rules::parsed_rule::check_measure;
use crate::convention::{Measure, TextValue, ValueUnit};
use crate::kind::Kind;

pub(super) const KEYS: &[&str] = &[
    "metric", "of", "field", "kind", "in", "scale", "text", "at_close", "default", "unit", "help",
];

/// What only a field has.
const OF_A_FIELD: [&str; 7] = [
    "field", "kind", "in", "scale", "text", "at_close", "default",
];

/// Measures a metric of this name.
type OfLife = fn(String) -> Measure;

/// What is measured of a span's life, or of an event.
const OF: [(&str, OfLife); 5] = [
    ("starts", |metric| Measure::opened(metric)),
    ("calls", |metric| Measure::closed(metric)),
    ("in_flight", |metric| Measure::in_flight(metric)),
    ("duration", |metric| Measure::duration(metric)),
    ("events", |metric| Measure::happened(metric)),
];

const KINDS: [(&str, FieldKind); 6] = [
    ("counter", FieldKind::Amount(Kind::Counter)),
    ("up_down_counter", FieldKind::Amount(Kind::UpDownCounter)),
    ("gauge", FieldKind::Amount(Kind::Gauge)),
    ("histogram", FieldKind::Amount(Kind::Histogram)),
    ("increase", FieldKind::Rise),
    ("decrease", FieldKind::Fall),
];

const TEXTS: [(&str, TextValue); 2] = [
    ("number", TextValue::Number),
    ("duration", TextValue::Duration),
];

/// How a field's value is measured.
#[derive(Clone, Copy)]
enum FieldKind {
    Amount(Kind),
    Rise,
    Fall,
}

pub(super) fn read(table: &Table<'_>) -> Result<Measure, Fault> {
    let metric = table.required_text("metric")?;
    let mut measure = match table.text("of")? {
        Some(of) => {
            let mut keys = OF_A_FIELD.iter();
            if let Some(other) = keys.find(|key| table.has(key)) {
                return Err(table.fault_at(other, format!("`{other}` is not for `of`")));
            }
            of.one_of(&OF)?(metric.value.to_owned())
        }
        None => of_a_field(metric.value.to_owned(), table)?,
    };
    check_measure(&measure).map_err(|why| {
        let key = if table.has("scale") {
            "scale"
        } else {
            "metric"
        };
        table.fault_at(key, why)
    })?;
    if let Some(unit) = table.text("unit")? {
        if table.has("in") {
            return Err(Fault::new(&unit.at, "`in` says the unit already"));
        }
        measure = measure.unit(unit.value.to_owned());
        check_measure(&measure).map_err(|why| Fault::new(&unit.at, why))?;
    }
    if let Some(help) = table.text("help")? {
        measure = measure.help(help.value.to_owned());
    }
    Ok(measure)
}

fn of_a_field(metric: String, table: &Table<'_>) -> Result<Measure, Fault> {
    let field = table.required_text("field")?.value.to_owned();
    let kind = table.required_text("kind")?;
    let kind = kind.one_of(&KINDS)?;
    let mut measure = match (kind, table.switch("at_close")?) {
        (FieldKind::Amount(kind), false) => Measure::field(kind, metric, field),
        (FieldKind::Amount(kind), true) => Measure::field_at_close(kind, metric, field),
        (FieldKind::Rise, false) => Measure::rise(metric, field),
        (FieldKind::Fall, false) => Measure::fall(metric, field),
        (FieldKind::Rise | FieldKind::Fall, true) => {
            let why = "a level is sampled whenever it is recorded";
            return Err(table.fault_at("at_close", why));
        }
    };
    if let Some(unit) = table.text("in")? {
        measure = measure.written_in(unit.one_of(&ValueUnit::WORDS)?);
    }
    if let Some(factor) = table.number("scale")? {
        if table.has("in") {
            return Err(table.fault_at("scale", "`in` says the scale already"));
        }
        measure = measure.scale(factor);
    }
    if let Some(text) = table.text("text")? {
        measure = measure.parse(text.one_of(&TEXTS)?);
    }
    if let Some(value) = table.number("default")? {
        if !table.has("at_close") {
            let why = "only a field that is measured at the close of a span has a default";
            return Err(table.fault_at("default", why));
        }
        measure = measure.or(value);
    }
    Ok(measure)
}
