//! `[[rule.label]]`

use super::Fault;
use super::table::{Located, Table};
use crate::convention::rules::RuleLabel;
use crate::convention::rules::rule_label;
use crate::convention::rules::value_table::Pattern;

pub(super) const KEYS: &[&str] = &[
    "key", "field", "map", "type", "failure", "default", "value", "optional",
];

pub(super) fn read(table: &Table<'_>) -> Result<RuleLabel, Fault> {
    let key = table.required_text("key")?;
    check_key(&key)?;
    let mut label = RuleLabel::new(key.value);
    if let Some(value) = table.value("value")? {
        let mut others = KEYS[1..].iter().filter(|key| **key != "value");
        return match others.find(|key| table.has(key)) {
            Some(other) => Err(table.fault_at(other, "a label with a `value` has only that")),
            None => Ok(label.default(value)),
        };
    }
    if let Some(field) = table.text("field")? {
        label = label.field(field.value);
    }
    for (pattern, text) in table.pairs("map")? {
        Pattern::parse(pattern.value).map_err(|why| Fault::new(&pattern.at, why))?;
        label = label.map(pattern.value, text.value);
    }
    if let Some(kind) = table.text("type")? {
        kind.one_of(&[("integer", ())])?;
        label = label.integer();
    }
    if let Some(text) = table.text("failure")? {
        label = label.failure(text.value);
    }
    if let Some(value) = table.value("default")? {
        label = label.default(value);
    }
    if table.switch("optional")? {
        label = label.optional();
    }
    Ok(label)
}

pub(super) fn check_key(key: &Located<&str>) -> Result<(), Fault> {
    rule_label::check_key(key.value).map_err(|why| Fault::new(&key.at, why))
}
