//! From a feed to its view of what was recorded.

use std::sync::Arc;

use super::super::view::{View, ViewedCondition, ViewedLabel, ViewedSource};
use super::slots::Slots;
use crate::convention::{
    Condition, Feed, LabelRule, Measure, OutcomeRule, Recipe, Test, ValueSource,
};
use crate::labels::OUTCOME;

/// What was recorded, as a feed sees it: under its own labels, its outcome, and what the
/// spans around give.
pub(super) fn view(
    feed: &Feed,
    labels: &[LabelRule],
    slots: &Slots,
    inherited: &[(&Arc<str>, Vec<ViewedSource>)],
) -> View {
    let mut viewed: Vec<(Arc<str>, ViewedLabel)> = Vec::new();
    for rule in labels {
        label_of(&rule.key, &mut viewed).sources = sources(&rule.sources, slots);
    }
    for (key, sources) in inherited.iter().filter(|_| !feed.is_exact) {
        let own = &mut label_of(key, &mut viewed).sources;
        for source in sources {
            // A map decides alone what its field says.
            if !own.iter().any(|own| own.maps_what_is_in(source)) {
                own.push(source.clone());
            }
        }
    }
    if let OutcomeRule {
        key: Some(key),
        texts,
    } = &feed.outcome
    {
        let own = outcome_field(feed).and_then(|field| slots.of(field));
        let texts = texts.each_ref().map(|text| text.as_deref().map(Arc::from));
        let own = own.map(ViewedSource::Slot);
        label_of(key, &mut viewed).late_sources = own
            .into_iter()
            .chain([ViewedSource::Outcome(texts)])
            .collect();
    }
    let conditions = feed.conditions.iter();
    let conditions = conditions.filter_map(|condition| viewed_condition(condition, slots));
    View::new(viewed, conditions.collect(), slots.len() + inherited.len())
}

/// The label of a key, which is new unless it is there.
fn label_of<'v>(key: &str, viewed: &'v mut Vec<(Arc<str>, ViewedLabel)>) -> &'v mut ViewedLabel {
    let known = viewed.iter().position(|(known, _)| **known == *key);
    let at = known.unwrap_or_else(|| {
        viewed.push((key.into(), ViewedLabel::default()));
        viewed.len() - 1
    });
    &mut viewed[at].1
}

fn sources(sources: &[ValueSource], slots: &Slots) -> Vec<ViewedSource> {
    let sources = sources.iter().filter_map(|source| {
        Some(match source {
            ValueSource::Field(field) => ViewedSource::Slot(slots.of(field)?),
            ValueSource::Map(field, map) => ViewedSource::Map(slots.of(field)?, map.clone()),
            ValueSource::Constant(value) => ViewedSource::Constant(value.clone()),
            ValueSource::Outcome(texts) => ViewedSource::Outcome(texts.clone()),
        })
    });
    sources.collect()
}

/// `None` for what always holds: a field is absent that the callsite has not.
fn viewed_condition(condition: &Condition, slots: &Slots) -> Option<ViewedCondition> {
    let is_absent = condition.test == Test::Absent;
    let slot = match slots.of_test(condition) {
        None if is_absent => return None,
        // There was no room to ask: where the outcome stands is never `true`.
        None => OUTCOME,
        Some(slot) => slot,
    };
    Some(ViewedCondition {
        slot,
        wanted: !is_absent,
    })
}

/// The field in which a span may say its outcome.
pub(super) fn outcome_field(feed: &Feed) -> Option<&'static str> {
    let is_read = feed.outcome.key.is_some() && feed.measures.iter().any(Measure::is_late);
    is_read.then_some("outcome")
}

/// The own slots that stand before the inherited value in every feed: with a value there it
/// would make another binding to the same series.
pub(super) fn hidden_by(
    key: &str,
    feeds: &[(&Recipe, &Feed)],
    views: &[View],
    own: usize,
) -> Box<[u8]> {
    let inheriting = feeds
        .iter()
        .zip(views)
        .filter(|((_, feed), _)| !feed.is_exact);
    let mut slots = inheriting.map(|(_, view)| view.slots_of(key));
    let mut hidden_by = slots.next().unwrap_or_default();
    for others in slots {
        hidden_by.retain(|slot| others.contains(slot));
    }
    hidden_by.retain(|slot| usize::from(*slot) < own);
    hidden_by.into()
}
