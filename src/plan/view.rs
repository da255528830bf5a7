//! What the values that a callsite recorded are to a feed.
//!
//! All measures of a plan share the words of what was recorded, and so the binding. What a
//! word is to a measure is asked where there is no binding yet: the value of a label, what a
//! map makes of it, or nothing at all.

use std::sync::Arc;

use crate::convention::{Test, ValueMap};
use crate::cut::write_cut;
use crate::kind::Kind;
use crate::labels::{
    LabelBuf, LabelNames, LabelValue, OUTCOME, Seed, is_mapped_in, is_true_in, value_in,
};
use crate::value::{Value, measurement};

/// The labels of a feed's measures, and when it feeds them.
pub(super) struct View {
    /// By the index of each label.
    pub(super) names: LabelNames,
    pub(super) labels: Box<[ViewedLabel]>,
    pub(super) conditions: Box<[ViewedCondition]>,
    /// Whether early measures have all that was recorded as their labels, as it stands.
    is_plain: bool,
}

#[derive(Default)]
pub(super) struct ViewedLabel {
    pub(super) sources: Vec<ViewedSource>,
    /// Those of what is measured when a span closes, after the early ones.
    pub(super) late_sources: Vec<ViewedSource>,
}

#[derive(Clone)]
pub(super) enum ViewedSource {
    Slot(u8),
    Map(u8, ValueMap),
    Constant(LabelValue),
    Outcome([Option<Arc<str>>; 3]),
}

/// A slot that says whether a value passed a test.
pub(super) struct ViewedCondition {
    pub(super) slot: u8,
    pub(super) wanted: bool,
}

impl View {
    /// `slots` is how many values there may be.
    pub(super) fn new(
        labels: Vec<(Arc<str>, ViewedLabel)>,
        conditions: Box<[ViewedCondition]>,
        slots: usize,
    ) -> Self {
        let (keys, labels): (Vec<_>, Vec<_>) = labels.into_iter().unzip();
        let early = labels.iter().take_while(|label| !label.sources.is_empty());
        let is_own_slot = |(at, label): (usize, &ViewedLabel)| matches!(label.sources[..], [ViewedSource::Slot(slot)] if usize::from(slot) == at);
        let is_plain = early.clone().count() == slots && early.enumerate().all(is_own_slot);
        Self {
            names: LabelNames::new(keys),
            labels: labels.into(),
            conditions,
            is_plain,
        }
    }

    /// Whether what was recorded has to be read, to know the labels of a measure.
    pub(super) const fn is_read(&self, is_late: bool) -> bool {
        is_late || !self.is_plain
    }

    /// Whether anything is fed where these words were recorded.
    pub(super) fn applies_to(&self, words: &[u64]) -> bool {
        let mut conditions = self.conditions.iter();
        conditions.all(|condition| is_true_in(words, condition.slot) == condition.wanted)
    }

    /// The labels of a measure, which may be due late.
    pub(super) fn read(&self, words: &[u64], is_late: bool, limit: usize, seed: Seed) -> LabelBuf {
        let mut labels = LabelBuf::new(seed);
        for (at, label) in (0..).zip(&self.labels) {
            let late = label.late_sources.iter().filter(|_| is_late);
            let mut sources = label.sources.iter().chain(late);
            sources.find(|source| source.read(words, at, &mut labels, limit));
        }
        labels
    }

    /// The keys that a measure may have.
    pub(super) fn keys(&self, is_late: bool) -> impl Iterator<Item = &Arc<str>> {
        let labels = self.names.keys().zip(&self.labels);
        let may_be = move |label: &ViewedLabel| {
            is_late && !label.late_sources.is_empty() || !label.sources.is_empty()
        };
        labels
            .filter(move |(_, label)| may_be(label))
            .map(|(key, _)| key)
    }

    /// The slots whose values may stand under a key as they are.
    pub(super) fn slots_of(&self, key: &str) -> Vec<u8> {
        let mut labels = self.names.keys().zip(&self.labels);
        let label = labels.find(|(known, _)| ***known == *key);
        let sources = label.map_or(&[][..], |(_, label)| &label.sources);
        let slots = sources.iter().filter_map(|source| match source {
            ViewedSource::Slot(slot) => Some(*slot),
            _ => None,
        });
        slots.collect()
    }
}

impl ViewedSource {
    /// Whether it maps the value that another source gives as it is.
    pub(super) fn maps_what_is_in(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Map(mapped, _), Self::Slot(slot)) if mapped == slot)
    }

    /// Sets the label at an index, if there is a value. Whether there is. Only a map may
    /// allocate.
    fn read(&self, words: &[u64], at: u8, labels: &mut LabelBuf, limit: usize) -> bool {
        let mapped;
        let value = match self {
            Self::Slot(slot) => return labels.set_from(at, words, *slot),
            Self::Map(slot, map) => {
                mapped = read_mapped(words, *slot, map);
                mapped.as_ref().map(LabelValue::as_value)
            }
            Self::Constant(value) => Some(value.as_value()),
            Self::Outcome(texts) => outcome_text(texts, words).map(Value::Str),
        };
        if let Some(value) = &value {
            labels.set(at, value, limit);
        }
        value.is_some()
    }
}

fn read_mapped(words: &[u64], slot: u8, map: &ValueMap) -> Option<LabelValue> {
    let value = value_in(words, slot)?;
    if is_mapped_in(words, slot) {
        return Some(value);
    }
    map.apply(&value)
}

fn outcome_text<'t>(texts: &'t [Option<Arc<str>>; 3], words: &[u64]) -> Option<&'t str> {
    let Some(LabelValue::I64(outcome)) = value_in(words, OUTCOME) else {
        return None;
    };
    texts.get(usize::try_from(outcome).ok()?)?.as_deref()
}

impl Test {
    /// Whether a field's value passes.
    pub(super) fn holds(&self, value: &Value<'_>) -> bool {
        match self {
            Self::Present | Self::Absent => true,
            Self::OneOf(values) => values.iter().any(|wanted| is_equal(wanted, value)),
            Self::AtLeast(number) => number_of(value).is_some_and(|it| it >= *number),
            Self::Below(number) => number_of(value).is_some_and(|it| it < *number),
        }
    }
}

fn number_of(value: &Value<'_>) -> Option<f64> {
    measurement(Kind::Gauge, value).ok()
}

#[allow(clippy::float_cmp, reason = "the value that was asked for, or not")]
fn is_equal(wanted: &LabelValue, value: &Value<'_>) -> bool {
    match (wanted, value) {
        (LabelValue::Str(wanted), Value::Str(text)) => **wanted == **text,
        (LabelValue::Str(wanted), Value::Text(_) | Value::Error(_)) => is_shown_as(value, wanted),
        (LabelValue::Bool(wanted), Value::Bool(it)) => wanted == it,
        (LabelValue::I64(wanted), Value::I64(number)) => wanted == number,
        (LabelValue::I64(wanted), Value::U64(number)) => u64::try_from(*wanted) == Ok(*number),
        (LabelValue::I64(wanted), Value::I128(number)) => i128::from(*wanted) == *number,
        (LabelValue::I64(wanted), Value::U128(number)) => u128::try_from(*wanted) == Ok(*number),
        (LabelValue::F64(wanted), _) => number_of(value) == Some(*wanted),
        _ => false,
    }
}

/// Without a copy: a condition is asked each time.
fn is_shown_as(value: &Value<'_>, wanted: &str) -> bool {
    let mut rest = Some(wanted);
    write_cut(format_args!("{value}"), usize::MAX, |part| {
        rest = rest.and_then(|rest| rest.strip_prefix(part));
    });
    rest == Some("")
}
