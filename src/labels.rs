//! Label values on their way from fields to series.
//!
//! While a callsite is measured its label values stand in a [`LabelBuf`], as
//! bytes on the stack: that is what is hashed and compared. Only a series that
//! is seen for the first time turns them into a [`Labels`], which sinks read.

use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::value::Value;

/// The slot of `outcome`: after every other label, so that it can be taken off.
pub(crate) const OUTCOME: u8 = u8::MAX;

/// A key and value on a series. OpenTelemetry says attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    key: Arc<str>,
    value: LabelValue,
}

impl Label {
    pub(crate) fn new(key: &Arc<str>, value: LabelValue) -> Self {
        Self {
            key: Arc::clone(key),
            value,
        }
    }

    /// The key as it was written: `chain.name`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value, with the type that was recorded.
    #[must_use]
    pub const fn value(&self) -> &LabelValue {
        &self.value
    }
}

/// The value of a label. Exporters without types write it with `Display`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LabelValue {
    /// Text, and whatever was recorded with `%` or `?`.
    Str(Box<str>),
    /// An integer.
    I64(i64),
    /// A float.
    F64(f64),
    /// A boolean.
    Bool(bool),
}

// A label value is an identity, so a NaN equals itself, as its bits do.
impl PartialEq for LabelValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::I64(a), Self::I64(b)) => a == b,
            (Self::F64(a), Self::F64(b)) => a.to_bits() == b.to_bits(),
            (Self::Bool(a), Self::Bool(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for LabelValue {}

impl Hash for LabelValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Str(v) => v.hash(state),
            Self::I64(v) => v.hash(state),
            Self::F64(v) => v.to_bits().hash(state),
            Self::Bool(v) => v.hash(state),
        }
    }
}

impl fmt::Display for LabelValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(v) => v.fmt(f),
            Self::I64(v) => v.fmt(f),
            Self::F64(v) => v.fmt(f),
            Self::Bool(v) => v.fmt(f),
        }
    }
}

/// The labels of one series: sorted by key, each key once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(Arc<[Label]>);

impl Labels {
    /// Where a key comes twice the first one counts: a callsite's own label
    /// before an inherited one.
    pub(crate) fn new(mut labels: Vec<Label>) -> Self {
        labels.sort_by(|a, b| a.key.cmp(&b.key));
        labels.dedup_by(|later, earlier| later.key == earlier.key);
        Self(labels.into())
    }

    /// The labels in the order of their keys.
    pub fn iter(&self) -> std::slice::Iter<'_, Label> {
        self.0.iter()
    }

    /// The value under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&LabelValue> {
        self.0
            .iter()
            .find(|label| label.key() == key)
            .map(Label::value)
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = &'a Label;
    type IntoIter = std::slice::Iter<'a, Label>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Label values by slot, encoded and in the order of their slots.
///
/// An entry is its slot, its tag, then 8 bytes, or a 4-byte length and text.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelBuf {
    bytes: SmallVec<[u8; INLINE]>,
}

/// Enough for half a dozen labels of ordinary length without an allocation.
const INLINE: usize = 256;

const STR: u8 = 0;
const I64: u8 = 1;
const F64: u8 = 2;
const BOOL: u8 = 3;
const HEAD: usize = 2;
const WORD: usize = 8;
const LENGTH: usize = 4;

impl LabelBuf {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The labels that were stored as bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            bytes: SmallVec::from_slice(bytes),
        }
    }

    /// Sets the label in a slot. Text is cut at `limit` bytes, between characters.
    pub(crate) fn set(&mut self, slot: u8, value: &Value<'_>, limit: usize) {
        let start = self.bytes.len();
        self.append(slot, value, limit);
        self.move_into_place(slot, start);
    }

    /// Copies the label in a slot of stored labels, if there is one.
    pub(crate) fn set_from(&mut self, slot: u8, stored: &[u8], stored_slot: u8) {
        if let Some(entry) = entries(stored).find(|entry| entry[0] == stored_slot) {
            self.set_entry(slot, entry);
        }
    }

    fn set_entry(&mut self, slot: u8, entry: &[u8]) {
        let start = self.bytes.len();
        self.bytes.push(slot);
        self.bytes.extend_from_slice(&entry[1..]);
        self.move_into_place(slot, start);
    }

    pub(crate) fn has(&self, slot: u8) -> bool {
        self.range(slot).is_some()
    }

    /// Overwrites this buffer's labels with those that another one has.
    pub(crate) fn merge(&mut self, newer: &Self) {
        for entry in entries(&newer.bytes) {
            self.set_entry(entry[0], entry);
        }
    }

    /// Takes off the label in the last slot of all, if it is there.
    pub(crate) fn remove(&mut self, slot: u8) {
        if let Some((start, end)) = self.range(slot) {
            self.bytes.drain(start..end);
        }
    }

    /// The labels under the names that `key` gives to the slots.
    pub(crate) fn decode(&self, key: impl Fn(u8) -> Arc<str>) -> Labels {
        let labels = entries(&self.bytes)
            .map(|entry| Label {
                key: key(entry[0]),
                value: decode_value(entry),
            })
            .collect();
        Labels::new(labels)
    }

    fn append(&mut self, slot: u8, value: &Value<'_>, limit: usize) {
        match *value {
            Value::I64(v) => self.append_word(slot, I64, v.to_le_bytes()),
            Value::U64(v) => match i64::try_from(v) {
                Ok(v) => self.append_word(slot, I64, v.to_le_bytes()),
                Err(_) => self.append_text(slot, limit, format_args!("{v}")),
            },
            Value::F64(v) => self.append_word(slot, F64, v.to_le_bytes()),
            Value::Bool(v) => self.append_word(slot, BOOL, u64::from(v).to_le_bytes()),
            Value::Str(v) => self.append_str(slot, limit, v),
            Value::I128(_) | Value::U128(_) | Value::Text(_) | Value::Error(_) => {
                self.append_text(slot, limit, format_args!("{value}"));
            }
        }
    }

    fn append_word(&mut self, slot: u8, tag: u8, word: [u8; WORD]) {
        self.bytes.extend_from_slice(&[slot, tag]);
        self.bytes.extend_from_slice(&word);
    }

    fn append_str(&mut self, slot: u8, limit: usize, text: &str) {
        let text = cut(text, limit);
        self.bytes.extend_from_slice(&[slot, STR]);
        self.bytes.extend_from_slice(&length(text.len()));
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn append_text(&mut self, slot: u8, limit: usize, text: fmt::Arguments<'_>) {
        self.bytes.extend_from_slice(&[slot, STR]);
        self.bytes.extend_from_slice(&length(0));
        let start = self.bytes.len();
        let mut writer = CutWriter {
            bytes: &mut self.bytes,
            left: limit,
        };
        // An error is the end of the text: the limit was reached, or a
        // `Display` of the user gave up. What it wrote until then counts.
        let _ = writer.write_fmt(text);
        let written = length(self.bytes.len() - start);
        self.bytes[start - LENGTH..start].copy_from_slice(&written);
    }

    /// Moves the entry that was appended at `start` to where its slot belongs,
    /// and drops an older entry of the same slot.
    fn move_into_place(&mut self, slot: u8, start: usize) {
        let mut at = 0;
        while at < start && self.bytes[at] < slot {
            at += entry_len(&self.bytes[at..]);
        }
        if at == start {
            return;
        }
        let added = self.bytes.len() - start;
        self.bytes[at..].rotate_right(added);
        let older = at + added;
        if older < self.bytes.len() && self.bytes[older] == slot {
            let end = older + entry_len(&self.bytes[older..]);
            self.bytes.drain(older..end);
        }
    }

    fn range(&self, slot: u8) -> Option<(usize, usize)> {
        let mut start = 0;
        for entry in entries(&self.bytes) {
            if entry[0] == slot {
                return Some((start, start + entry.len()));
            }
            start += entry.len();
        }
        None
    }
}

/// Writes text until the limit is reached, and never half a character.
struct CutWriter<'a> {
    bytes: &'a mut SmallVec<[u8; INLINE]>,
    left: usize,
}

impl fmt::Write for CutWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = cut(text, self.left);
        self.bytes.extend_from_slice(kept.as_bytes());
        if kept.len() < text.len() {
            self.left = 0;
            return Err(fmt::Error);
        }
        self.left -= kept.len();
        Ok(())
    }
}

fn cut(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the builder keeps the limit below 64 KiB"
)]
fn length(len: usize) -> [u8; LENGTH] {
    (len as u32).to_le_bytes()
}

fn entries(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (entry, tail) = rest.split_at(entry_len(rest));
        rest = tail;
        Some(entry)
    })
}

fn entry_len(entry: &[u8]) -> usize {
    if entry[1] != STR {
        return HEAD + WORD;
    }
    let mut len = [0; LENGTH];
    len.copy_from_slice(&entry[HEAD..HEAD + LENGTH]);
    HEAD + LENGTH + u32::from_le_bytes(len) as usize
}

fn decode_value(entry: &[u8]) -> LabelValue {
    if entry[1] == STR {
        let text = String::from_utf8_lossy(&entry[HEAD + LENGTH..]);
        return LabelValue::Str(text.into());
    }
    let mut word = [0; WORD];
    word.copy_from_slice(&entry[HEAD..]);
    match entry[1] {
        I64 => LabelValue::I64(i64::from_le_bytes(word)),
        F64 => LabelValue::F64(f64::from_le_bytes(word)),
        _ => LabelValue::Bool(word != [0; WORD]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(labels: &LabelBuf) -> Vec<(String, String)> {
        labels
            .decode(|slot| format!("{slot:03}").into())
            .iter()
            .map(|label| (label.key().to_owned(), label.value().to_string()))
            .collect()
    }

    #[test]
    fn labels_come_back_with_their_types() {
        let mut labels = LabelBuf::default();
        labels.set(0, &Value::Str("eu"), 99);
        labels.set(1, &Value::I64(-5), 99);
        labels.set(2, &Value::F64(0.5), 99);
        labels.set(3, &Value::Bool(true), 99);
        labels.set(4, &Value::U64(u64::MAX), 99);
        let decoded = labels.decode(|slot| slot.to_string().into());
        assert_eq!(decoded.get("0"), Some(&LabelValue::Str("eu".into())));
        assert_eq!(decoded.get("1"), Some(&LabelValue::I64(-5)));
        assert_eq!(decoded.get("2"), Some(&LabelValue::F64(0.5)));
        assert_eq!(decoded.get("3"), Some(&LabelValue::Bool(true)));
        assert_eq!(
            decoded.get("4"),
            Some(&LabelValue::Str("18446744073709551615".into()))
        );
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let mut labels = LabelBuf::default();
        labels.set(0, &Value::Str("aéé"), 4);
        labels.set(1, &Value::Text(&format_args!("{}{}", "aé", "éb")), 4);
        assert_eq!(
            decoded(&labels),
            [("000".into(), "aé".into()), ("001".into(), "aé".into())]
        );
    }

    #[test]
    fn the_first_of_two_labels_with_one_key_counts() {
        let mut labels = LabelBuf::default();
        labels.set(0, &Value::Str("own"), 99);
        labels.set(1, &Value::Str("inherited"), 99);
        let labels = labels.decode(|_| "tenant".into());
        assert_eq!(labels.get("tenant"), Some(&LabelValue::Str("own".into())));
        assert_eq!(labels.len(), 1);
    }

    proptest! {
        /// Whatever order labels are set and overwritten in, the buffer is the
        /// same as if each had been set once, in order, with its last value.
        #[test]
        fn the_order_of_setting_leaves_no_trace(
            writes in prop::collection::vec((0_u8..8, ".{0,12}"), 0..24),
        ) {
            let mut labels = LabelBuf::default();
            let mut last = std::collections::BTreeMap::new();
            for (slot, text) in &writes {
                labels.set(*slot, &Value::Str(text), 64);
                last.insert(*slot, text);
            }
            let mut expected = LabelBuf::default();
            for (slot, text) in last {
                expected.set(slot, &Value::Str(text), 64);
            }
            prop_assert_eq!(labels.as_bytes(), expected.as_bytes());
        }
    }
}
