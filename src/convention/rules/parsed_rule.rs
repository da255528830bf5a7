//! One rule, as it is applied.

use tracing_core::{LevelFilter, Metadata};

use super::amendment::Amendment;
use super::rule::Rule;
use super::rule_label::ParsedLabel;
use super::selector::{CallsiteKind, Selector, TargetPath};
use crate::convention::{
    Condition, Feed, LabelRule, Measure, OutcomeRule, Recipe, Source, Test, TextValue,
};
use crate::instrument::{MetricName, Unit};

/// A rule that is valid.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ParsedRule {
    name: String,
    selector: Selector,
    conditions: Vec<Condition>,
    measures: Vec<Measure>,
    labels: Vec<ParsedLabel>,
    outcome: OutcomeRule,
    amendment: Amendment,
}

impl ParsedRule {
    pub(super) fn parse(rule: Rule) -> Result<Self, String> {
        if rule.name.is_empty() {
            return Err("its name is empty".to_owned());
        }
        let amendment = Amendment::parse(&rule)?;
        check_purpose(&rule, &amendment)?;
        check_measures(&rule)?;
        let target = rule.target.as_deref().map(TargetPath::parse).transpose()?;
        let labels = rule.labels.into_iter().map(ParsedLabel::parse);
        let with_value = rule.conditions.iter().filter(|it| it.test != Test::Absent);
        let tested = with_value.map(|condition| condition.field.clone().into_owned());
        Ok(Self {
            name: rule.name,
            selector: Selector {
                kind: rule.kind,
                target,
                name: rule.callsite_name,
                level: rule.level,
                fields: rule.fields.into_iter().chain(tested).collect(),
            },
            labels: labels.collect::<Result<_, _>>()?,
            conditions: rule.conditions,
            measures: rule.measures,
            outcome: rule.outcome,
            amendment,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// What a callsite feeds by this rule.
    pub(super) fn feed(&self, callsite: &Metadata<'_>) -> Option<Feed> {
        if self.measures.is_empty() || !self.selector.selects(callsite) {
            return None;
        }
        let mut feed = Feed::new().outcome(self.outcome.clone());
        feed = self.conditions.iter().cloned().fold(feed, Feed::when);
        feed = self.measures.iter().cloned().fold(feed, Feed::measure);
        Some(self.label_rules().into_iter().fold(feed, Feed::label_rule))
    }

    pub(super) fn amend(&self, callsite: &Metadata<'_>, recipe: Recipe) -> Recipe {
        if self.amendment.is_nothing() || !self.selector.selects(callsite) {
            return recipe;
        }
        self.amendment.apply(recipe)
    }

    /// Which target it is about, and up to which level, if the rule says both.
    pub(super) fn asked(&self) -> Option<(&str, LevelFilter)> {
        self.selector.asked()
    }

    /// What may be measured after code has asked here.
    pub(super) fn asked_for(&self, hint: &Metadata<'_>) -> Option<&Measure> {
        let measure = self.measures.first()?;
        self.selector.may_be_asked_for(hint).then_some(measure)
    }

    /// One for each key, with the sources of all labels that have it: two rules with one
    /// key are listed as a collision.
    fn label_rules(&self) -> Vec<LabelRule> {
        let mut rules: Vec<LabelRule> = Vec::new();
        for label in &self.labels {
            let known = rules.iter().position(|rule| rule.key == label.key());
            let rule = match known {
                Some(at) => rules.remove(at),
                None => LabelRule::new(label.key().to_owned()),
            };
            let at = known.unwrap_or(rules.len());
            rules.insert(at, label.add_to(rule));
        }
        rules
    }
}

fn check_purpose(rule: &Rule, amendment: &Amendment) -> Result<(), String> {
    let why = if rule.measures.is_empty() && amendment.is_nothing() {
        "it measures nothing, and changes nothing"
    } else if rule.measures.is_empty() && !(rule.labels.is_empty() && rule.conditions.is_empty()) {
        "it has labels or conditions, but measures nothing"
    } else if !amendment.is_nothing() && !rule.conditions.is_empty() {
        "what others measure is changed for a callsite, whatever its values: \
         a rule that drops, keeps or renames has no conditions"
    } else {
        return Ok(());
    };
    Err(why.to_owned())
}

fn check_measures(rule: &Rule) -> Result<(), String> {
    for (at, measure) in rule.measures.iter().enumerate() {
        check_measure(measure)?;
        let metric = &measure.metric;
        let error = |why: &str| Err(format!("the metric `{metric}`: {why}"));
        match (&measure.source, rule.kind) {
            (Source::Field(..), _)
            | (Source::Happened, CallsiteKind::Event)
            | (
                Source::FieldAtClose(..)
                | Source::Opened
                | Source::Closed
                | Source::InFlight
                | Source::Duration,
                CallsiteKind::Span,
            ) => {}
            (Source::Happened, _) => return error("only events are counted so"),
            _ => return error("only spans are measured so"),
        }
        if rule.measures[..at].iter().any(|it| it.metric == *metric) {
            return error("the rule measures it twice");
        }
    }
    Ok(())
}

/// Whether a measure's texts and numbers are valid.
pub(super) fn check_measure(measure: &Measure) -> Result<(), String> {
    let metric = &measure.metric;
    let error = |why: &str| format!("the metric `{metric}`: {why}");
    MetricName::parse(metric).map_err(|invalid| error(invalid.0))?;
    if let Some(unit) = &measure.unit {
        Unit::parse(unit).map_err(|invalid| error(&format!("the unit `{unit}`: {}", invalid.0)))?;
    }
    let is_other_unit = measure.unit.as_ref().is_some_and(|unit| unit != "s");
    match &measure.source {
        Source::Duration if is_other_unit => Err(error("durations are in `s`")),
        Source::Field(field, _) | Source::FieldAtClose(field, _)
            if field.form.text == Some(TextValue::Duration)
                && (is_other_unit || field.form.scale.to_bits() != 1.0_f64.to_bits()) =>
        {
            Err(error("a text that is a duration is measured in `s`"))
        }
        Source::Field(field, _) | Source::FieldAtClose(field, _)
            if !(field.form.scale.is_finite() && field.form.scale > 0.0) =>
        {
            Err(error("the scale is no number above 0"))
        }
        _ => Ok(()),
    }
}
