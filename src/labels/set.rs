//! The labels that were recorded at a callsite, under their keys.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};

use super::entry::{decode, entries, is_value, slot_of};
use super::hash::{LabelHash, Seed};
use super::{Labels, SharedKey};

/// The keys of labels, by slot: each key once.
pub(crate) struct LabelNames(Box<[Name]>);

struct Name {
    key: SharedKey,
    hash: u64,
}

/// The words of a `LabelBuf`, under the keys of its slots.
///
/// The keys of slots come in different orders. As sets their labels can be
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
        Self(keys.into_iter().map(Name::new).collect())
    }

    pub(crate) const fn of<'a>(&'a self, words: &'a [u64]) -> LabelSet<'a> {
        LabelSet { names: self, words }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().map(|name| name.key.as_arc())
    }

    /// Words have no slots but those of their names.
    fn name(&self, slot: u8) -> &Name {
        &self.0[usize::from(slot)]
    }
}

impl Name {
    fn new(key: Arc<str>) -> Self {
        let hash = KEYS.hash_one(&*key);
        let key = key.into();
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
        decode(self.words, |slot| self.names.name(slot).key.clone())
    }

    fn each(self) -> impl Iterator<Item = (&'a Name, &'a [u64])> {
        entries(self.words).map(move |entry| (self.names.name(slot_of(entry)), entry))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::labels::{LabelBuf, LabelValue};

    fn words(values: &[(u8, LabelValue)]) -> LabelBuf {
        let mut labels = LabelBuf::new(Seed::random());
        for (slot, value) in values {
            labels.set(*slot, &value.as_value(), 99);
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
}
