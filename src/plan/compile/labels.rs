//! Which label stands in which slot.

use std::collections::HashSet;
use std::sync::Arc;

use tracing_core::Metadata;

use super::super::Inherited;
use super::{Compiler, LabelRules, index};
use crate::convention::{Recipe, ValueSource};
use crate::kind::Kind;
use crate::problem::Reason;
use crate::prometheus_name;

/// Together with `MAX_INHERITED` they leave a slot for `outcome`.
const MAX_LABELS: usize = 150;

impl Compiler<'_> {
    /// Gives each key a slot, and returns the keys by slot.
    pub(super) fn add_labels(&mut self, recipes: &[Recipe], rules: &LabelRules) -> Vec<Arc<str>> {
        let mut keys: Vec<Arc<str>> = Vec::new();
        let feeds = recipes.iter().flat_map(|recipe| &recipe.feeds);
        let recipe_labels =
            feeds
                .flat_map(|feed| &feed.labels)
                .filter_map(|label| match label.sources.first() {
                    Some(ValueSource::Field(field)) => Some((&**field, &*label.key)),
                    _ => None,
                });
        for (field, key) in recipe_labels.chain(self.allowed_fields(rules)) {
            let Some(slot) = self.slot_of(key, &mut keys, rules) else {
                continue;
            };
            let mut fields = 0;
            for roles in self.roles_of(field) {
                roles.label.get_or_insert(slot);
                fields += 1;
            }
            if fields > 1 {
                self.list_shared(key);
            }
        }
        keys
    }

    /// Two fields with one key share a slot.
    fn slot_of(&self, key: &str, keys: &mut Vec<Arc<str>>, rules: &LabelRules) -> Option<u8> {
        let known = keys.iter().position(|known| **known == *key);
        if known.is_some() {
            self.list_shared(key);
            return known.map(index);
        }
        if keys.len() == MAX_LABELS {
            let detail = format!("the callsite has more than {MAX_LABELS} labels");
            self.list(Reason::TooMany, detail);
            return None;
        }
        if !self.is_usable(key) {
            return None;
        }
        self.note_collision(key, keys.iter().chain(&rules.inherited));
        keys.push(key.into());
        Some(index(keys.len() - 1))
    }

    fn list_shared(&self, key: &str) {
        let detail = format!("two fields give the label `{key}`: what is recorded last counts");
        self.list(Reason::LabelCollision, detail);
    }

    /// The fields of a span that the layer's allow-lists name.
    fn allowed_fields(&self, rules: &LabelRules) -> Vec<(&'static str, &'static str)> {
        if !self.metadata.is_span() {
            return Vec::new();
        }
        let allowed: HashSet<&str> = rules
            .span_labels
            .iter()
            .chain(&rules.inherited)
            .map(AsRef::as_ref)
            .collect();
        let fields = self.metadata.fields().iter().map(|field| field.name());
        fields
            .filter(|name| allowed.contains(name))
            .map(|name| (name, name))
            .collect()
    }

    /// Whether a label may have this key, which is listed as a problem if not.
    fn is_usable(&self, key: &str) -> bool {
        let scraped = prometheus_name::of_label(key);
        let scraped = scraped.as_deref();
        let detail = if key.is_empty() {
            "a label has no key".to_owned()
        } else if prometheus_name::is_reserved(key)
            || self.has_histogram() && matches!(scraped, Some("le" | "quantile"))
        {
            format!("Prometheus reserves the label `{key}`; the label is left out")
        } else if scraped.is_none() {
            format!("nothing of `{key}` may be a label's name; the label is left out")
        } else {
            return true;
        };
        self.list(Reason::InvalidLabel, detail);
        false
    }

    fn note_collision<'a>(&self, key: &str, before: impl Iterator<Item = &'a Arc<str>>) {
        let scraped = prometheus_name::of_label(key);
        let is_same = |other: &str| other != key && prometheus_name::of_label(other) == scraped;
        let mut before = before;
        if let Some(other) = before.find(|other| is_same(other))
            && let Some(scraped) = &scraped
        {
            let detail =
                format!("the labels `{other}` and `{key}` are both `{scraped}` on a scrape");
            self.list(Reason::LabelCollision, detail);
        }
    }

    fn has_histogram(&self) -> bool {
        let mut targets = self.measures.iter().map(|measure| &measure.target);
        targets.any(|target| target.as_ref().is_ok_and(|m| m.kind() == Kind::Histogram))
    }
}

/// Where inherited labels stand at a callsite with these labels of its own.
pub(super) fn inherited(keys: &[Arc<str>], rules: &LabelRules) -> Box<[Inherited]> {
    let inherited = rules.inherited.iter().enumerate();
    inherited
        .map(|(position, key)| Inherited {
            slot: index(keys.len() + position),
            hidden_by: keys.iter().position(|own| own == key).map(index),
        })
        .collect()
}

/// The labels that a span gives to what is inside, as (slot, position among the
/// inherited labels).
pub(super) fn carried(
    metadata: &Metadata<'_>,
    keys: &[Arc<str>],
    rules: &LabelRules,
) -> Box<[(u8, u8)]> {
    if !metadata.is_span() {
        return Box::default();
    }
    let position = |key| {
        rules
            .inherited
            .iter()
            .position(|inherited| inherited == key)
    };
    let slots = keys.iter().enumerate();
    slots
        .filter_map(|(slot, key)| Some((index(slot), index(position(key)?))))
        .collect()
}
