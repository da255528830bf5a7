//! Label values on their way from fields to series.
//!
//! While a callsite is measured its label values stand in a [`LabelBuf`], as
//! bytes on the stack: that is what is hashed and compared. Only a series that
//! is seen for the first time turns them into [`Labels`].

use std::fmt;
use std::sync::Arc;

use super::{Label, LabelValue, Labels};
use crate::cut::{cut, write_cut};
use crate::value::Value;

/// The slot of `outcome`: after every other label, so that it can be taken off.
pub(crate) const OUTCOME: u8 = u8::MAX;

/// Label values by slot, encoded and in the order of their slots.
///
/// An entry is a head of 8 bytes, with its slot, its tag and its length, and then
/// its value: 8 bytes, or text.
#[derive(Clone, Debug)]
pub(crate) struct LabelBuf {
    inline: [u8; INLINE],
    /// How many bytes stand inline, or `SPILLED`.
    len: usize,
    /// All bytes, once they are too many to stand inline.
    spilled: Vec<u8>,
    /// The slot of the last entry, or -1: fields mostly come in the order of
    /// their slots, and then there is no place to look for.
    last_slot: i16,
}

/// Enough for half a dozen labels of ordinary length without an allocation.
const INLINE: usize = 128;

/// Longer than any buffer, so that nothing more fits inline.
const SPILLED: usize = usize::MAX >> 1;

const STR: u8 = 0;
const I64: u8 = 1;
const F64: u8 = 2;
const BOOL: u8 = 3;
const WORD: usize = 8;
const HEAD: usize = 8;

impl Default for LabelBuf {
    #[inline]
    fn default() -> Self {
        Self {
            inline: [0; INLINE],
            len: 0,
            spilled: Vec::new(),
            last_slot: -1,
        }
    }
}

impl LabelBuf {
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.inline.get(..self.len).unwrap_or(&self.spilled)
    }

    /// The labels that were stored as bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let mut labels = Self::default();
        labels.restore(bytes);
        labels
    }

    /// The same, into an empty buffer.
    pub(crate) fn restore(&mut self, bytes: &[u8]) {
        self.push(bytes);
        let last = entries(bytes).last();
        self.last_slot = last.map_or(-1, |entry| i16::from(entry[0]));
    }

    /// Sets the label in a slot. Text is cut at `limit` bytes, between characters.
    #[inline(always)]
    pub(crate) fn set(&mut self, slot: u8, value: &Value<'_>, limit: usize) {
        let start = self.as_bytes().len();
        self.append(slot, value, limit);
        self.place(slot, start);
    }

    /// Copies the label in a slot of stored labels, if there is one.
    pub(crate) fn set_from(&mut self, slot: u8, stored: &[u8], stored_slot: u8) {
        if let Some(entry) = entries(stored).find(|entry| entry[0] == stored_slot) {
            self.set_entry(slot, entry);
        }
    }

    pub(crate) fn has(&self, slot: u8) -> bool {
        self.range(slot).is_some()
    }

    /// Overwrites this buffer's labels with those that another one has.
    pub(crate) fn merge(&mut self, newer: &Self) {
        for entry in entries(newer.as_bytes()) {
            self.set_entry(entry[0], entry);
        }
    }

    /// The bytes without the label in the last slot of all.
    pub(crate) fn before_outcome(&self) -> &[u8] {
        match self.range(OUTCOME) {
            Some((start, _)) => &self.as_bytes()[..start],
            None => self.as_bytes(),
        }
    }

    fn set_entry(&mut self, slot: u8, entry: &[u8]) {
        let start = self.as_bytes().len();
        self.push(&[slot]);
        self.push(&entry[1..]);
        self.place(slot, start);
    }

    #[inline(always)]
    fn append(&mut self, slot: u8, value: &Value<'_>, limit: usize) {
        match *value {
            Value::Str(v) => self.append_str(slot, limit, v),
            Value::I64(v) => self.append_word(slot, I64, v.to_le_bytes()),
            Value::U64(v) => match i64::try_from(v) {
                Ok(v) => self.append_word(slot, I64, v.to_le_bytes()),
                Err(_) => self.append_text(slot, limit, format_args!("{v}")),
            },
            Value::F64(v) => self.append_word(slot, F64, v.to_le_bytes()),
            Value::Bool(v) => self.append_word(slot, BOOL, u64::from(v).to_le_bytes()),
            Value::I128(_) | Value::U128(_) | Value::Text(_) | Value::Error(_) => {
                self.append_text(slot, limit, format_args!("{value}"));
            }
        }
    }

    #[inline]
    fn append_word(&mut self, slot: u8, tag: u8, word: [u8; WORD]) {
        self.push(&head(slot, tag, WORD));
        self.push(&word);
    }

    #[inline]
    fn append_str(&mut self, slot: u8, limit: usize, text: &str) {
        let text = cut(text, limit);
        self.push(&head(slot, STR, text.len()));
        self.push(text.as_bytes());
    }

    fn append_text(&mut self, slot: u8, limit: usize, text: fmt::Arguments<'_>) {
        self.push(&head(slot, STR, 0));
        let start = self.as_bytes().len();
        write_cut(text, limit, |part| self.push(part.as_bytes()));
        let written = self.as_bytes().len() - start;
        self.bytes_mut()[start - HEAD..start].copy_from_slice(&head(slot, STR, written));
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        match self.inline.get_mut(self.len..end) {
            Some(free) => {
                free.copy_from_slice(bytes);
                self.len = end;
            }
            None => self.spill(bytes),
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        if let Some(inline) = self.inline.get(..self.len) {
            self.spilled.extend_from_slice(inline);
            self.len = SPILLED;
        }
        self.spilled.extend_from_slice(bytes);
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.inline.get_mut(..self.len).unwrap_or(&mut self.spilled)
    }

    fn remove_range(&mut self, start: usize, end: usize) {
        if self.len == SPILLED {
            self.spilled.drain(start..end);
        } else {
            self.inline.copy_within(end..self.len, start);
            self.len -= end - start;
        }
    }

    /// Puts the entry that was appended at `start` where its slot belongs.
    #[inline]
    fn place(&mut self, slot: u8, start: usize) {
        if i16::from(slot) > self.last_slot {
            self.last_slot = i16::from(slot);
        } else {
            self.move_into_place(slot, start);
        }
    }

    /// Drops an older entry of the same slot, too.
    #[cold]
    fn move_into_place(&mut self, slot: u8, start: usize) {
        let bytes = self.bytes_mut();
        let mut at = 0;
        while at < start && bytes[at] < slot {
            at += entry_len(&bytes[at..]);
        }
        let added = bytes.len() - start;
        bytes[at..].rotate_right(added);
        let older = at + added;
        if bytes.get(older) == Some(&slot) {
            let end = older + entry_len(&bytes[older..]);
            self.remove_range(older, end);
        }
    }

    fn range(&self, slot: u8) -> Option<(usize, usize)> {
        let mut start = 0;
        for entry in entries(self.as_bytes()) {
            if entry[0] == slot {
                return Some((start, start + entry.len()));
            }
            start += entry.len();
        }
        None
    }
}

/// Stored labels under the names that `key` gives to the slots.
pub(crate) fn decode(stored: &[u8], key: impl Fn(u8) -> Arc<str>) -> Labels {
    let labels = entries(stored)
        .map(|entry| Label {
            key: key(entry[0]),
            value: decode_value(entry),
        })
        .collect();
    Labels::new(labels)
}

/// One number, so that it is stored in one go: read back while its parts are on
/// their way to memory, it would stall the processor.
#[inline]
fn head(slot: u8, tag: u8, len: usize) -> [u8; HEAD] {
    (u64::from(slot) | u64::from(tag) << 8 | (len as u64) << 16).to_le_bytes()
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

/// The length stands above the slot and the tag.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the length of something in memory"
)]
fn entry_len(entry: &[u8]) -> usize {
    HEAD + (first_word(entry) >> 16) as usize
}

fn first_word(bytes: &[u8]) -> u64 {
    let mut word = [0; WORD];
    word.copy_from_slice(&bytes[..WORD]);
    u64::from_le_bytes(word)
}

fn decode_value(entry: &[u8]) -> LabelValue {
    let (tag, value) = (entry[1], &entry[HEAD..]);
    match tag {
        STR => LabelValue::Str(String::from_utf8_lossy(value).into()),
        I64 => LabelValue::I64(first_word(value).cast_signed()),
        F64 => LabelValue::F64(f64::from_bits(first_word(value))),
        _ => LabelValue::Bool(first_word(value) != 0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(labels: &LabelBuf) -> Vec<(String, String)> {
        decode(labels.as_bytes(), |slot| format!("{slot:03}").into())
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
        let decoded = decode(labels.as_bytes(), |slot| slot.to_string().into());
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
        let labels = decode(labels.as_bytes(), |_| "tenant".into());
        assert_eq!(labels.get("tenant"), Some(&LabelValue::Str("own".into())));
        assert_eq!(labels.len(), 1);
    }

    proptest! {
        /// Whatever order labels are set and overwritten in, the buffer is the
        /// same as if each had been set once, in order, with its last value.
        #[test]
        fn the_order_of_setting_leaves_no_trace(
            writes in prop::collection::vec((0_u8..8, ".{0,20}"), 0..24),
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
