//! The labels that were recorded at a callsite, under their keys.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};

use super::entry::{decode, entries, is_value, slot_of};
use super::hash::{LabelHash, Seed};
use super::{Labels, OUTCOME};

/// The keys of a callsite's labels, by slot.
pub(crate) struct LabelNames {
    by_slot: Box<[Name]>,
    outcome: Name,
    /// Whether two slots have one key: then the first that has a value counts.
    may_repeat: bool,
}

struct Name {
    key: Arc<str>,
    hash: u64,
}

/// The words of a `LabelBuf`, under the keys of its slots.
///
/// Callsites give their slots to keys in different orders. As sets their labels can be
/// compared with each other's, and with those of a series, without an allocation.
#[derive(Clone, Copy)]
pub(crate) struct LabelSet<'a> {
    names: &'a LabelNames,
    words: &'a [u64],
}

/// One for the process, so that a set has the same hash at every callsite.
static SEED: LazyLock<Seed> = LazyLock::new(Seed::random);
static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl LabelNames {
    pub(crate) fn new(keys: impl IntoIterator<Item = Arc<str>>) -> Self {
        let by_slot: Box<[Name]> = keys.into_iter().map(Name::new).collect();
        let outcome = Name::new("outcome".into());
        let mut all: Vec<&str> = by_slot.iter().map(|name| &*name.key).collect();
        all.push(&outcome.key);
        all.sort_unstable();
        let may_repeat = all.windows(2).any(|pair| pair[0] == pair[1]);
        Self {
            by_slot,
            outcome,
            may_repeat,
        }
    }

    pub(crate) const fn of<'a>(&'a self, words: &'a [u64]) -> LabelSet<'a> {
        LabelSet { names: self, words }
    }

    /// The slot after all others is that of the outcome.
    fn name(&self, slot: u8) -> &Name {
        debug_assert!(usize::from(slot) < self.by_slot.len() || slot == OUTCOME);
        self.by_slot.get(usize::from(slot)).unwrap_or(&self.outcome)
    }
}

impl Name {
    fn new(key: Arc<str>) -> Self {
        let hash = KEYS.hash_one(&*key);
        Self { key, hash }
    }
}

impl<'a> LabelSet<'a> {
    /// The same for the same labels in any order.
    pub(crate) fn hash(self) -> u64 {
        let seed = *SEED;
        let hashes = self.each().map(|(name, entry)| {
            let mut hash = LabelHash::new(seed);
            // Without its slot, the head has the type of the value and its length.
            hash.write(name.hash ^ entry[0] >> 8, entry[1]);
            entry[2..].iter().for_each(|word| hash.write(0, *word));
            hash.finish()
        });
        hashes.fold(0, u64::wrapping_add)
    }

    /// Whether these are a series' labels.
    pub(crate) fn is(self, labels: &Labels) -> bool {
        let mut len = 0;
        self.each().all(|(name, entry)| {
            len += 1;
            labels
                .get(&name.key)
                .is_some_and(|value| is_value(entry, value))
        }) && len == labels.len()
    }

    pub(crate) fn to_labels(self) -> Labels {
        decode(self.words, |slot| Arc::clone(&self.names.name(slot).key))
    }

    fn each(self) -> impl Iterator<Item = (&'a Name, &'a [u64])> {
        let named = move |words| {
            let entries = entries(words);
            entries.map(move |entry| (self.names.name(slot_of(entry)), entry))
        };
        let is_first = move |name: &Name, entry: &[u64]| {
            let mut before = named(self.words).take_while(|(_, it)| !std::ptr::eq(*it, entry));
            !before.any(|(other, _)| other.key == name.key)
        };
        let counts =
            move |name: &Name, entry: &[u64]| !self.names.may_repeat || is_first(name, entry);
        named(self.words).filter(move |(name, entry)| counts(name, entry))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::labels::{LabelBuf, LabelValue};
    use crate::value::Value;

    fn words(values: &[(u8, LabelValue)]) -> LabelBuf {
        let mut labels = LabelBuf::new(Seed::random());
        for (slot, value) in values {
            let value = match value {
                LabelValue::Str(text) => Value::Str(text),
                LabelValue::I64(number) => Value::I64(*number),
                LabelValue::F64(number) => Value::F64(*number),
                LabelValue::Bool(it) => Value::Bool(*it),
            };
            labels.set(*slot, &value, 99);
        }
        labels
    }

    fn value() -> impl Strategy<Value = LabelValue> {
        prop_oneof![
            "[ab]{0,18}".prop_map(|text| LabelValue::Str(text.into())),
            (-1_i64..2).prop_map(LabelValue::I64),
            prop::sample::select(vec![0.0, -0.0, 1.0]).prop_map(LabelValue::F64),
            any::<bool>().prop_map(LabelValue::Bool),
        ]
    }

    proptest! {
        /// Two callsites that give their slots in other orders.
        #[test]
        fn sets_are_the_same_if_their_labels_are(
            one in prop::collection::btree_map(0_u8..3, value(), 0..3),
            other in prop::collection::btree_map(0_u8..3, value(), 0..3),
            is_same in any::<bool>(),
        ) {
            let other = if is_same { one.clone() } else { other };
            let forwards = LabelNames::new(["a", "b", "c"].map(Arc::from));
            let backwards = LabelNames::new(["c", "b", "a"].map(Arc::from));
            let one = words(&one.into_iter().collect::<Vec<_>>());
            let turned: Vec<_> = other.into_iter().map(|(slot, value)| (2 - slot, value)).collect();
            let other = words(&turned);
            let (one, other) = (forwards.of(one.as_words()), backwards.of(other.as_words()));
            let (labels, other_labels) = (one.to_labels(), other.to_labels());
            prop_assert!(one.is(&labels) && other.is(&other_labels));
            prop_assert_eq!(one.is(&other_labels), labels == other_labels);
            prop_assert_eq!(one.hash() == other.hash(), labels == other_labels);
        }
    }

    #[test]
    fn of_two_labels_with_one_key_the_first_counts() {
        let twice = LabelNames::new(["tenant", "zone", "tenant"].map(Arc::from));
        let text = |text: &str| LabelValue::Str(text.into());
        let both = words(&[(0, text("own")), (1, text("z")), (2, text("inherited"))]);
        let own = words(&[(0, text("own")), (1, text("z"))]);
        let (both, own) = (twice.of(both.as_words()), twice.of(own.as_words()));
        assert_eq!(both.hash(), own.hash());
        assert!(both.is(&own.to_labels()) && own.is(&both.to_labels()));
    }
}
