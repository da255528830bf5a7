//! One label as words.
//!
//! A head with its slot, its tag and its length in bytes, and then its value: one
//! word, or text in as many words as it takes, filled with zeros.

use super::{Label, LabelValue, Labels, SharedKey};

pub(super) const STR: u8 = 0;
pub(super) const I64: u8 = 1;
pub(super) const F64: u8 = 2;
pub(super) const BOOL: u8 = 3;
/// How many bytes a word has.
pub(crate) const WORD: usize = 8;

/// The bits of a head that say the type, and the one that says that a map gave the value.
const TAG: u64 = 0x7F;
const MAPPED: u64 = 0x80 << 8;

/// Stored labels under the names that `key` gives to the slots.
pub(super) fn decode(stored: &[u64], key: impl Fn(u8) -> SharedKey) -> Labels {
    let labels = entries(stored)
        .map(|entry| Label {
            key: key(slot_of(entry)),
            value: decode_value(entry),
        })
        .collect();
    Labels::new(labels)
}

/// The value in a slot of stored labels.
pub(crate) fn value_in(stored: &[u64], slot: u8) -> Option<LabelValue> {
    let entry = entries(stored).find(|entry| slot_of(entry) == slot)?;
    Some(decode_value(entry))
}

/// Whether a map gave the value in a slot of stored labels.
pub(crate) fn is_mapped_in(stored: &[u64], slot: u8) -> bool {
    let mut entries = entries(stored);
    entries.any(|entry| slot_of(entry) == slot && is_mapped(entry))
}

/// Whether `true` stands in a slot of stored labels.
pub(crate) fn is_true_in(stored: &[u64], slot: u8) -> bool {
    let mut entries = entries(stored);
    entries.any(|entry| slot_of(entry) == slot && is_value(entry, &LabelValue::Bool(true)))
}

pub(super) fn is_mapped(entry: &[u64]) -> bool {
    entry[0] & MAPPED != 0
}

pub(super) fn mark_mapped(entry: &mut [u64]) {
    entry[0] |= MAPPED;
}

#[inline(always)]
pub(super) const fn head(slot: u8, tag: u8, len: usize) -> u64 {
    slot as u64 | (tag as u64) << 8 | (len as u64) << 16
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the lowest byte is the slot"
)]
pub(super) fn slot_of(entry: &[u64]) -> u8 {
    entry[0] as u8
}

/// How many words the entry with this head takes. An empty text takes one, too.
pub(super) fn entry_len(head: u64) -> usize {
    1 + text_len(head).div_ceil(WORD).max(1)
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the length of something in memory"
)]
pub(super) fn text_len(head: u64) -> usize {
    (head >> 16) as usize
}

pub(super) fn entries(mut rest: &[u64]) -> impl Iterator<Item = &[u64]> {
    std::iter::from_fn(move || {
        let (entry, tail) = rest.split_at(entry_len(*rest.first()?));
        rest = tail;
        Some(entry)
    })
}

/// Eight bytes at most, which are not copied one by one.
#[inline(always)]
pub(super) fn short_word(text: &[u8]) -> u64 {
    let u32_at = |at: usize| {
        let bytes = text[at..at + 4].try_into().expect("four bytes");
        u64::from(u32::from_le_bytes(bytes))
    };
    let len = text.len();
    match len {
        WORD => word_of(text),
        4..WORD => u32_at(0) | u32_at(len - 4) << ((len - 4) * 8),
        1..4 => {
            let byte = |at: usize| u64::from(text[at]) << (at * 8);
            byte(0) | byte(len / 2) | byte(len - 1)
        }
        _ => 0,
    }
}

#[inline(always)]
pub(super) fn word_of(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

/// Whether an entry holds this value.
pub(super) fn is_value(entry: &[u64], value: &LabelValue) -> bool {
    let tag = entry[0] >> 8 & TAG;
    let is_word = |of: u8, word: u64| tag == u64::from(of) && entry[1] == word;
    match value {
        LabelValue::Str(text) => {
            let words = text.as_bytes().chunks(WORD).map(|chunk| match chunk.len() {
                WORD => word_of(chunk),
                _ => short_word(chunk),
            });
            tag == u64::from(STR)
                && text_len(entry[0]) == text.len()
                && words.zip(&entry[1..]).all(|(word, stored)| word == *stored)
        }
        LabelValue::I64(value) => is_word(I64, value.cast_unsigned()),
        LabelValue::F64(value) => is_word(F64, value.to_bits()),
        LabelValue::Bool(value) => is_word(BOOL, u64::from(*value)),
    }
}

pub(super) fn decode_value(entry: &[u64]) -> LabelValue {
    let (tag, word) = (entry[0] >> 8 & TAG, entry[1]);
    if tag == u64::from(STR) {
        let bytes = entry[1..].iter().flat_map(|word| word.to_le_bytes());
        let text: Vec<u8> = bytes.take(text_len(entry[0])).collect();
        LabelValue::Str(String::from_utf8_lossy(&text).into())
    } else if tag == u64::from(I64) {
        LabelValue::I64(word.cast_signed())
    } else if tag == u64::from(F64) {
        LabelValue::F64(f64::from_bits(word))
    } else {
        LabelValue::Bool(word != 0)
    }
}
