//! Label values on their way from fields to series.
//!
//! While a callsite is measured its label values stand in a [`LabelBuf`], as
//! words on the stack: that is what is compared, and its hash is there when the
//! last of them is written. Only a series that is seen for the first time turns
//! them into `Labels`.

use std::fmt;

use smallvec::SmallVec;

use super::LabelValue;
use super::entry::{
    BOOL, F64, I64, STR, WORD, decode_value, entries, entry_len, head, is_mapped, mark_mapped,
    short_word, slot_of, word_of,
};
use super::hash::{LabelHash, Seed};
use crate::cut::{cut, write_cut};
use crate::value::Value;

/// The slot of how a span has ended: after every other value.
pub(crate) const OUTCOME: u8 = u8::MAX;

/// Label values by slot, encoded and in the order of their slots.
///
/// Each is an entry of words.
#[derive(Clone, Debug)]
pub(crate) struct LabelBuf {
    inline: [u64; INLINE],
    /// How many words stand inline, or `SPILLED`.
    len: usize,
    /// All words, once they are too many to stand inline.
    spilled: Vec<u64>,
    /// The slot of the last entry, or -1: fields mostly come in the order of
    /// their slots, and then there is no place to look for.
    last_slot: i16,
    seed: Seed,
    /// Of all entries, as long as they come in the order of their slots.
    hash: LabelHash,
    is_hashed: bool,
}

/// Label values, with their hash.
#[derive(Clone, Copy)]
pub(crate) struct LabelKey<'a> {
    pub(crate) words: &'a [u64],
    pub(crate) hash: u64,
}

/// Enough for the labels of a failed request, with its outcome, without an allocation.
const INLINE: usize = 24;

/// Longer than any buffer, so that nothing more fits inline.
const SPILLED: usize = usize::MAX >> 1;

impl LabelBuf {
    #[inline(always)]
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            inline: [0; INLINE],
            len: 0,
            spilled: Vec::new(),
            last_slot: -1,
            seed,
            hash: LabelHash::new(seed),
            is_hashed: true,
        }
    }

    /// Drops it, without a call where nothing was allocated.
    #[inline(always)]
    pub(crate) fn end(self) {
        if self.spilled.capacity() > 0 {
            drop_spilled(self.spilled);
        }
    }

    #[inline]
    pub(crate) fn as_words(&self) -> &[u64] {
        self.inline.get(..self.len).unwrap_or(&self.spilled)
    }

    #[inline]
    pub(crate) fn key(&self) -> LabelKey<'_> {
        if !self.is_hashed {
            return hashed(self.as_words(), self.seed);
        }
        LabelKey {
            words: self.as_words(),
            hash: self.hash.finish(),
        }
    }

    /// Appends the label in a slot, if that comes after all others, there is room on the
    /// stack, and its value is one word; text up to `limit` is. Whether it was.
    #[inline(always)]
    pub(crate) fn append(&mut self, slot: u8, value: &Value<'_>, limit: usize) -> bool {
        let (tag, len, word) = match *value {
            Value::Str(v) if v.len() <= limit => (STR, v.len(), short_word(v.as_bytes())),
            Value::I64(v) => (I64, WORD, v.cast_unsigned()),
            Value::U64(v) if i64::try_from(v).is_ok() => (I64, WORD, v),
            Value::F64(v) => (F64, WORD, v.to_bits()),
            Value::Bool(v) => (BOOL, WORD, u64::from(v)),
            _ => return false,
        };
        let at = self.len;
        if i16::from(slot) <= self.last_slot || at > INLINE - 2 {
            return false;
        }
        let head = head(slot, tag, len);
        self.hash.write(head, word);
        // One by one: copied together, they would be read back while they are on their
        // way to memory, which stalls the processor.
        self.inline[at] = head;
        self.inline[at + 1] = word;
        self.len = at + 2;
        self.last_slot = i16::from(slot);
        true
    }

    /// Sets the label in a slot. Text is cut at `limit` bytes, between characters.
    #[inline(always)]
    pub(crate) fn set(&mut self, slot: u8, value: &Value<'_>, limit: usize) {
        match *value {
            Value::Str(v) => self.set_text(slot, cut(v, limit)),
            Value::I64(v) => self.set_word(slot, I64, v.cast_unsigned()),
            Value::U64(v) => match i64::try_from(v) {
                Ok(v) => self.set_word(slot, I64, v.cast_unsigned()),
                Err(_) => self.set_formatted(slot, limit, format_args!("{v}")),
            },
            Value::F64(v) => self.set_word(slot, F64, v.to_bits()),
            Value::Bool(v) => self.set_word(slot, BOOL, u64::from(v)),
            Value::I128(_) | Value::U128(_) | Value::Text(_) | Value::Error(_) => {
                self.set_formatted(slot, limit, format_args!("{value}"));
            }
        }
    }

    /// Copies the label in a slot of stored labels. Whether there is one.
    pub(crate) fn set_from(&mut self, slot: u8, stored: &[u64], stored_slot: u8) -> bool {
        let found = entries(stored).find(|entry| slot_of(entry) == stored_slot);
        if let Some(entry) = found {
            self.set_entry(slot, entry);
        }
        found.is_some()
    }

    /// Sets all labels that were stored as words.
    pub(crate) fn set_all(&mut self, stored: &[u64]) {
        for entry in entries(stored) {
            self.set_entry(slot_of(entry), entry);
        }
    }

    /// Sets stored labels, and newer ones in their places: in the order of their slots, so
    /// that the hash is there at once.
    pub(crate) fn set_merged(&mut self, stored: &[u64], newer: &[u64]) {
        let (mut stored, mut newer) = (entries(stored).peekable(), entries(newer).peekable());
        while let Some(slot) = first_slot(stored.peek(), newer.peek()) {
            let old = stored.next_if(|entry| slot_of(entry) == slot);
            let new = newer.next_if(|entry| slot_of(entry) == slot);
            if let Some(entry) = new.or(old) {
                self.set_entry(slot, entry);
            }
        }
    }

    /// The same with the values of some slots mapped. What is changed is marked, so that it
    /// is not mapped again.
    pub(crate) fn mapped<F>(&self, map_of: impl Fn(u8) -> Option<F>, limit: usize) -> Self
    where
        F: Fn(&LabelValue) -> Option<LabelValue>,
    {
        let mut mapped = Self::new(self.seed);
        for entry in entries(self.as_words()) {
            let slot = slot_of(entry);
            let Some(map) = map_of(slot).filter(|_| !is_mapped(entry)) else {
                mapped.set_entry(slot, entry);
                continue;
            };
            let before = decode_value(entry);
            let after = map(&before);
            if after.as_ref() == Some(&before) {
                mapped.set_entry(slot, entry);
            } else if let Some(after) = after {
                let mut new = Self::new(self.seed);
                new.set(slot, &after.as_value(), limit);
                let mut entry: SmallVec<[u64; 8]> = new.as_words().into();
                mark_mapped(&mut entry);
                mapped.set_entry(slot, &entry);
            }
        }
        mapped
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn has(&self, slot: u8) -> bool {
        entries(self.as_words()).any(|entry| slot_of(entry) == slot)
    }

    #[inline(always)]
    fn set_word(&mut self, slot: u8, tag: u8, word: u64) {
        let head = head(slot, tag, WORD);
        self.hash.write(head, word);
        let start = self.push([head, word]);
        self.place(slot, start);
    }

    #[inline(always)]
    fn set_text(&mut self, slot: u8, text: &str) {
        if text.len() > WORD {
            return self.set_long_text(slot, text.as_bytes());
        }
        let head = head(slot, STR, text.len());
        let word = short_word(text.as_bytes());
        self.hash.write(head, word);
        let start = self.push([head, word]);
        self.place(slot, start);
    }

    #[inline(never)]
    fn set_long_text(&mut self, slot: u8, text: &[u8]) {
        let mut head = head(slot, STR, text.len());
        let start = self.push([head]);
        let whole = text.chunks_exact(WORD).map(word_of);
        // The last bytes once more, without those that stand there already.
        let rest = text.len() % WORD;
        let last = word_of(&text[text.len() - WORD..]) >> ((WORD - rest) * 8 % 64);
        for word in whole.chain((rest > 0).then_some(last)) {
            self.hash.write(head, word);
            self.push([word]);
            head = 0;
        }
        self.place(slot, start);
    }

    fn set_formatted(&mut self, slot: u8, limit: usize, text: fmt::Arguments<'_>) {
        let mut formatted = SmallVec::<[u8; 128]>::new();
        write_cut(text, limit, |part| {
            formatted.extend_from_slice(part.as_bytes());
        });
        let formatted = std::str::from_utf8(&formatted).expect("it was cut between characters");
        self.set_text(slot, formatted);
    }

    fn set_entry(&mut self, slot: u8, entry: &[u64]) {
        let head = entry[0] & !0xFF | u64::from(slot);
        write_entry(&mut self.hash, head, &entry[1..]);
        let start = self.push([head]);
        for word in &entry[1..] {
            self.push([*word]);
        }
        self.place(slot, start);
    }

    /// Appends words, and returns where they start.
    #[inline(always)]
    fn push<const N: usize>(&mut self, words: [u64; N]) -> usize {
        let start = self.len;
        match self.inline.get_mut(start..start + N) {
            Some(free) => {
                // One by one: copied together, they would be read back while they
                // are on their way to memory, which stalls the processor.
                for (place, word) in free.iter_mut().zip(words) {
                    *place = word;
                }
                self.len += N;
                start
            }
            None => self.spill(&words),
        }
    }

    #[cold]
    fn spill(&mut self, words: &[u64]) -> usize {
        if let Some(inline) = self.inline.get(..self.len) {
            self.spilled.extend_from_slice(inline);
            self.len = SPILLED;
        }
        let start = self.spilled.len();
        self.spilled.extend_from_slice(words);
        start
    }

    /// Puts the entry that was appended at `start` where its slot belongs.
    #[inline(always)]
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
        self.is_hashed = false;
        let words = self.words_mut();
        let mut at = 0;
        while at < start && slot_of(&words[at..]) < slot {
            at += entry_len(words[at]);
        }
        let added = words.len() - start;
        words[at..].rotate_right(added);
        let older = at + added;
        if older < words.len() && slot_of(&words[older..]) == slot {
            let end = older + entry_len(words[older]);
            self.remove_range(older, end);
        }
    }

    fn words_mut(&mut self) -> &mut [u64] {
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
}

#[cold]
#[inline(never)]
fn drop_spilled(spilled: Vec<u64>) {
    drop(spilled);
}

fn first_slot(stored: Option<&&[u64]>, newer: Option<&&[u64]>) -> Option<u8> {
    let (stored, newer) = (stored.map(|it| slot_of(it)), newer.map(|it| slot_of(it)));
    match (stored, newer) {
        (Some(stored), Some(newer)) => Some(stored.min(newer)),
        _ => stored.or(newer),
    }
}

fn hashed(words: &[u64], seed: Seed) -> LabelKey<'_> {
    let mut hash = LabelHash::new(seed);
    for entry in entries(words) {
        write_entry(&mut hash, entry[0], &entry[1..]);
    }
    LabelKey {
        words,
        hash: hash.finish(),
    }
}

fn write_entry(hash: &mut LabelHash, head: u64, value: &[u64]) {
    let mut head = head;
    for word in value {
        hash.write(head, *word);
        head = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::labels::entry::decode;

    fn buffer() -> LabelBuf {
        let seed = Seed::random();
        LabelBuf::new(seed)
    }

    fn decoded(labels: &LabelBuf) -> Vec<(String, String)> {
        decode(labels.as_words(), |slot| format!("{slot:03}").into())
            .iter()
            .map(|label| (label.key().to_owned(), label.value().to_string()))
            .collect()
    }

    #[test]
    fn labels_come_back_with_their_types() {
        let mut labels = buffer();
        labels.set(0, &Value::Str("eu"), 99);
        labels.set(1, &Value::I64(-5), 99);
        labels.set(2, &Value::F64(0.5), 99);
        labels.set(3, &Value::Bool(true), 99);
        labels.set(4, &Value::U64(u64::MAX), 99);
        let decoded = decode(labels.as_words(), |slot| slot.to_string().into());
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
        let mut labels = buffer();
        labels.set(0, &Value::Str("aéé"), 4);
        labels.set(1, &Value::Text(&format_args!("{}{}", "aé", "éb")), 4);
        assert_eq!(
            decoded(&labels),
            [("000".into(), "aé".into()), ("001".into(), "aé".into())]
        );
    }

    proptest! {
        /// Whatever order labels are set and overwritten in, the buffer is the
        /// same as if each had been set once, in order, with its last value.
        #[test]
        fn the_order_of_setting_leaves_no_trace(
            writes in prop::collection::vec((0_u8..8, ".{0,40}"), 0..24),
        ) {
            let seed = Seed::random();
            let mut labels = LabelBuf::new(seed);
            let mut last = std::collections::BTreeMap::new();
            for (slot, text) in &writes {
                labels.set(*slot, &Value::Str(text), 64);
                last.insert(*slot, text);
            }
            let mut expected = LabelBuf::new(seed);
            for (slot, text) in &last {
                expected.set(*slot, &Value::Str(text), 64);
            }
            prop_assert_eq!(labels.as_words(), expected.as_words());
            prop_assert_eq!(labels.key().hash, expected.key().hash);
            let (before, after) = writes.split_at(writes.len() / 2);
            let of = |writes: &[(u8, String)]| {
                let mut labels = LabelBuf::new(seed);
                for (slot, text) in writes {
                    labels.set(*slot, &Value::Str(text), 64);
                }
                labels
            };
            let mut merged = LabelBuf::new(seed);
            merged.set_merged(of(before).as_words(), of(after).as_words());
            prop_assert!(merged.is_hashed);
            prop_assert_eq!(merged.as_words(), expected.as_words());
            prop_assert_eq!(merged.key().hash, expected.key().hash);
            let expected: Vec<_> = last.iter().map(|(slot, text)| (format!("{slot:03}"), cut(text, 64).to_owned())).collect();
            prop_assert_eq!(decoded(&labels), expected);
        }
    }
}
