//! `[[rule]]`

use tracing_core::Level;

use super::table::{Located, Table};
use super::{Fault, condition, label, measure};
use crate::convention::OutcomeRule;
use crate::convention::rules::Rule;
use crate::convention::rules::metric_pattern::{MetricPattern, Renaming};
use crate::convention::rules::selector::{CallsiteKind, TargetPath};

pub(super) const KEYS: &[&str] = &[
    "name", "select", "when", "measure", "label", "outcome", "drop", "keep", "rename",
];
const SELECT: &[&str] = &["kind", "target", "name", "level", "fields"];
const OUTCOME: &[&str] = &["key", "ok", "error", "panic"];

const KINDS: [(&str, CallsiteKind); 2] =
    [("event", CallsiteKind::Event), ("span", CallsiteKind::Span)];

const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

pub(super) fn read(table: &Table<'_>) -> Result<Rule, Fault> {
    let name = table.required_text("name")?.value;
    let mut rule = match table.table("select", SELECT)? {
        Some(select) => selecting(name, &select)?,
        None => Rule::callsites(name),
    };
    for when in table.tables("when", condition::KEYS)? {
        rule = rule.when(condition::read(&when)?);
    }
    for measure in table.tables("measure", measure::KEYS)? {
        rule = rule.measure(measure::read(&measure)?);
    }
    for label in table.tables("label", label::KEYS)? {
        rule = rule.label_rule(label::read(&label)?);
    }
    if let Some(outcome) = table.table("outcome", OUTCOME)? {
        rule = rule.outcome(outcome_rule(&outcome)?);
    }
    amending(rule, table)
}

fn selecting(name: &str, select: &Table<'_>) -> Result<Rule, Fault> {
    let kind = select.text("kind")?;
    let kind = kind.map(|kind| kind.one_of(&KINDS)).transpose()?;
    let mut rule = Rule::of(kind.unwrap_or(CallsiteKind::Any), name);
    if let Some(target) = select.text("target")? {
        TargetPath::parse(target.value).map_err(|why| Fault::new(&target.at, why))?;
        rule = rule.target(target.value);
    }
    if let Some(name) = select.text("name")? {
        rule = rule.named(name.value);
    }
    if let Some(level) = select.text("level")? {
        rule = rule.up_to(level.one_of(&LEVELS)?);
    }
    let fields = select.texts("fields")?.into_iter();
    Ok(fields.fold(rule, |rule, field| rule.with_field(field.value)))
}

/// A table without a key is no label.
fn outcome_rule(table: &Table<'_>) -> Result<OutcomeRule, Fault> {
    let Some(key) = table.text("key")? else {
        let mut texts = OUTCOME[1..].iter();
        return match texts.find(|text| table.has(text)) {
            Some(text) => Err(table.fault_at(text, "there is no `key` for this text")),
            None => Ok(OutcomeRule::NONE),
        };
    };
    label::check_key(&key)?;
    let mut rule = OutcomeRule::new(key.value.to_owned());
    if let Some(text) = table.text("ok")? {
        rule = rule.ok(text.value.to_owned());
    }
    if let Some(text) = table.text("error")? {
        rule = rule.error(text.value.to_owned());
    }
    if let Some(text) = table.text("panic")? {
        rule = rule.panic(text.value.to_owned());
    }
    Ok(rule)
}

fn amending(mut rule: Rule, table: &Table<'_>) -> Result<Rule, Fault> {
    for metric in patterns(table, "drop")? {
        rule = rule.drop(metric.value);
    }
    for metric in patterns(table, "keep")? {
        rule = rule.keep(metric.value);
    }
    for (from, to) in table.pairs("rename")? {
        Renaming::parse(from.value, to.value).map_err(|why| Fault::new(&from.at, why))?;
        rule = rule.rename(from.value, to.value);
    }
    Ok(rule)
}

fn patterns<'t>(table: &Table<'t>, key: &str) -> Result<Vec<Located<&'t str>>, Fault> {
    let patterns = table.texts(key)?;
    for pattern in &patterns {
        MetricPattern::parse(pattern.value).map_err(|why| Fault::new(&pattern.at, why))?;
    }
    Ok(patterns)
}
