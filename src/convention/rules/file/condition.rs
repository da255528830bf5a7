//! `when = [..]`

use super::Fault;
use super::table::Table;
use crate::convention::Condition;

pub(super) const KEYS: &[&str] = &[
    "field", "present", "absent", "equals", "one_of", "at_least", "below",
];

pub(super) fn read(table: &Table<'_>) -> Result<Condition, Fault> {
    let field = table.required_text("field")?.value.to_owned();
    let mut tests = KEYS[1..].iter().filter(|test| table.has(test));
    let Some(test) = tests.next() else {
        return Err(table.fault(format!("what is asked of the field `{field}` is missing")));
    };
    if let Some(other) = tests.next() {
        let why = format!("there is `{test}` already: one condition asks one thing");
        return Err(table.fault_at(other, why));
    }
    if table.switch("present")? {
        return Ok(Condition::present(field));
    }
    if table.switch("absent")? {
        return Ok(Condition::absent(field));
    }
    if let Some(value) = table.value("equals")? {
        return Ok(Condition::equals(field, value));
    }
    if let Some(number) = table.number("at_least")? {
        return Ok(Condition::at_least(field, number));
    }
    if let Some(number) = table.number("below")? {
        return Ok(Condition::below(field, number));
    }
    Ok(Condition::one_of(field, table.values("one_of")?))
}
