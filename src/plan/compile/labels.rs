//! Which value stands in which slot, and what it is to which feed.

use std::sync::Arc;

use super::super::Inherited;
use super::super::view::{View, ViewedSource};
use super::views::{hidden_by, outcome_field, view};
use super::{Compiler, LabelRules, first_metric, index};
use crate::convention::{Feed, LabelRule, Recipe, ValueSource};
use crate::kind::Kind;
use crate::problem::Reason;
use crate::prometheus_name::{self, Unusable};

/// Together with those that are inherited, and the outcome, their indices are below 255.
const MAX_LABELS: usize = 150;

/// What a plan makes of labels.
pub(super) struct Labels {
    /// By feed.
    pub(super) views: Box<[View]>,
    pub(super) inherited: Box<[Inherited]>,
    /// Which values a span gives to what is inside, as (slot, position among the inherited
    /// labels).
    pub(super) carried: Box<[(u8, u8)]>,
}

impl Compiler<'_> {
    pub(super) fn add_labels(&mut self, feeds: &[(&Recipe, &Feed)], rules: &LabelRules) -> Labels {
        let labels: Vec<Vec<LabelRule>> = feeds
            .iter()
            .map(|(recipe, feed)| self.labels_of(recipe, feed, rules))
            .collect();
        let given: Vec<Vec<&str>> = rules
            .inherited
            .iter()
            .map(|key| self.fields_given_as(key, feeds))
            .collect();
        let read = labels.iter().flatten().flat_map(|rule| &rule.sources);
        let read = read.filter_map(ValueSource::field);
        let read = read.chain(given.iter().flatten().copied());
        let read = read.chain(feeds.iter().filter_map(|(_, feed)| outcome_field(feed)));
        let slots = self.add_slots(&read.collect(), feeds);
        let own_slots = |position: usize| given[position].iter().filter_map(|it| slots.of(it));
        let inherited_slot = |position: usize| index(slots.len() + position);
        let inherited_sources: Vec<(&Arc<str>, Vec<ViewedSource>)> = rules
            .inherited
            .iter()
            .enumerate()
            .map(|(position, key)| {
                let own = own_slots(position);
                let all = own.chain([inherited_slot(position)]);
                (key, all.map(ViewedSource::Slot).collect())
            })
            .collect();
        let views: Box<[View]> = feeds
            .iter()
            .zip(&labels)
            .map(|((_, feed), labels)| view(feed, labels, &slots, &inherited_sources))
            .collect();
        let positions = 0..rules.inherited.len();
        Labels {
            inherited: positions
                .clone()
                .map(|position| Inherited {
                    slot: inherited_slot(position),
                    hidden_by: hidden_by(&rules.inherited[position], feeds, &views, slots.len()),
                })
                .collect(),
            carried: positions
                .flat_map(|position| own_slots(position).map(move |slot| (slot, index(position))))
                .collect(),
            views,
        }
    }

    /// A feed's labels: its own, and what the layer's allow-lists name. Those that cannot be
    /// are listed, and left out.
    fn labels_of(&self, recipe: &Recipe, feed: &Feed, rules: &LabelRules) -> Vec<LabelRule> {
        let mut labels: Vec<LabelRule> = Vec::new();
        for rule in &feed.labels {
            self.note_missing(recipe, feed, rule);
            self.add_label(&mut labels, rule.clone(), feed, rules);
        }
        for field in self.allowed_fields(feed, rules) {
            let is_read = |rule: &LabelRule| {
                let mut sources = rule.sources.iter();
                rule.key == field && sources.any(|source| source.field() == Some(field))
            };
            if !labels.iter().any(is_read) {
                let rule = LabelRule::new(field).field(field);
                self.add_label(&mut labels, rule, feed, rules);
            }
        }
        labels
    }

    fn add_label(
        &self,
        labels: &mut Vec<LabelRule>,
        rule: LabelRule,
        feed: &Feed,
        rules: &LabelRules,
    ) {
        let key = &rule.key;
        let fields = rule.sources.iter().filter_map(ValueSource::field);
        if fields.clone().any(|field| self.count_fields(field) > 1) {
            let detail = format!("two fields give the label `{key}`: what is recorded last counts");
            self.list(Reason::LabelCollision, detail);
        }
        if let Some(known) = labels.iter_mut().find(|known| known.key == *key) {
            let detail =
                format!("two fields give the label `{key}`: the first that has a value counts");
            self.list(Reason::LabelCollision, detail);
            return known.sources.extend(rule.sources);
        }
        if labels.len() == MAX_LABELS {
            let detail = format!("the callsite has more than {MAX_LABELS} labels");
            return self.list(Reason::TooMany, detail);
        }
        if self.is_usable(key, feed) {
            let keys = labels.iter().map(|label| &*label.key);
            self.note_collision(key, keys.chain(rules.inherited.iter().map(AsRef::as_ref)));
            labels.push(rule);
        }
    }

    /// Lists a rule none of whose fields is here.
    fn note_missing(&self, recipe: &Recipe, feed: &Feed, rule: &LabelRule) {
        let mut fields = rule.sources.iter().filter_map(ValueSource::field);
        let Some(first) = fields.clone().next() else {
            return;
        };
        if !rule.is_optional && !fields.any(|field| self.has_field(field)) {
            self.list_missing(recipe, first_metric(feed), first, "labels with the field");
        }
    }

    /// The fields of a span that the layer's allow-lists name.
    fn allowed_fields(&self, feed: &Feed, rules: &LabelRules) -> Vec<&'static str> {
        if !self.metadata.is_span() || feed.is_exact {
            return Vec::new();
        }
        let fields = self.metadata.fields().iter().map(|field| field.name());
        let mut allowed: Vec<&str> = Vec::new();
        for field in fields {
            let mut keys = rules.span_labels.iter().chain(&rules.inherited);
            if keys.any(|key| **key == *field) && !allowed.contains(&field) {
                allowed.push(field);
            }
        }
        allowed
    }

    /// The fields whose values a span gives to what is inside, under a key.
    fn fields_given_as<'f>(&self, key: &'f str, feeds: &[(&Recipe, &'f Feed)]) -> Vec<&'f str> {
        if !self.metadata.is_span() {
            return Vec::new();
        }
        let labels = feeds.iter().flat_map(|(_, feed)| &feed.labels);
        let same = labels.filter(|rule| rule.key == key);
        let plain = same
            .flat_map(|rule| &rule.sources)
            .filter_map(|source| match source {
                ValueSource::Field(field) => Some(&**field),
                _ => None,
            });
        let mut given: Vec<&str> = Vec::new();
        for field in plain.chain([key]) {
            if self.has_field(field) && !given.contains(&field) {
                given.push(field);
            }
        }
        given
    }

    /// Whether a label may have this key, which is listed as a problem if not.
    fn is_usable(&self, key: &str, feed: &Feed) -> bool {
        let has_histogram = || feed.measures.iter().any(|it| it.kind == Kind::Histogram);
        let detail = match prometheus_name::check_label(key) {
            _ if key.is_empty() => "a label has no key".to_owned(),
            Ok(()) => return true,
            Err(Unusable::ReservedForBuckets) if !has_histogram() => return true,
            Err(Unusable::Reserved | Unusable::ReservedForBuckets) => {
                format!("Prometheus reserves the label `{key}`; the label is left out")
            }
            Err(Unusable::Nameless) => {
                format!("nothing of `{key}` may be a label's name; the label is left out")
            }
        };
        self.list(Reason::InvalidLabel, detail);
        false
    }

    fn note_collision<'k>(&self, key: &str, before: impl Iterator<Item = &'k str>) {
        if let Some(other) = prometheus_name::same_label(key, before)
            && let Some(scraped) = prometheus_name::of_label(key)
        {
            let detail =
                format!("the labels `{other}` and `{key}` are both `{scraped}` on a scrape");
            self.list(Reason::LabelCollision, detail);
        }
    }

    fn count_fields(&self, name: &str) -> usize {
        let fields = self.metadata.fields().iter();
        fields.filter(|field| field.name() == name).count()
    }
}
