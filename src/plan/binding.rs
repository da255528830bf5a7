//! Label values bound to series, remembered.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use once_cell::race::OnceBox;
use smallvec::SmallVec;

use super::outcome::Outcome;
use crate::labels::{LabelKey, Seed};
use crate::pending::BufferSlot;
use crate::series::Series;
use crate::sync::once_map::{Entry, HalfLine, Inserted, OnceMap, Position};

/// A plan's bindings, by what was recorded.
///
/// Invariant: their number is bounded. Each of those beyond `insert_within` leads to a series
/// that was new, or to the end of such a one.
pub(super) struct Bindings {
    pub(super) seed: Seed,
    measures: usize,
    map: OnceMap<BindingKey, Ends, 8, HalfLine>,
}

/// Label values, and where they lead.
pub(crate) type Binding = Entry<BindingKey, Ends>;

/// With its cell's state a line and a half.
const _: () = assert!(size_of::<Binding>() <= 88);

/// Where a binding is, for spans to keep.
pub(crate) type BindingPosition = Position;

/// The words of a `LabelBuf`. Those of two short labels stand in place.
pub(crate) type BindingKey = SmallVec<[u64; 4]>;

/// Where the labels lead.
pub(crate) struct Ends {
    /// For each measure of the plan.
    of_measures: SmallVec<[End; 1]>,
    rare: OnceBox<Rare>,
}

/// What the bindings of most events never need.
struct Rare {
    /// The bindings of the same labels with each of the outcomes.
    with_outcome: [AtomicU32; Outcome::COUNT],
    /// How often values that a map leads here were bound as they are.
    unmapped: AtomicU8,
}

/// As many statuses as a class has, and more.
const MOST_UNMAPPED: u8 = 16;

/// Where one measure leads.
#[derive(Default)]
pub(crate) struct End {
    /// None if these values are nothing to the measure.
    pub(super) series: OnceLock<Option<Arc<Series>>>,
    /// Where the series' measurements wait, once nothing else needs to be looked at.
    pub(super) buffer_slot: OnceLock<BufferSlot>,
}

impl Bindings {
    pub(super) fn new(measures: usize) -> Self {
        Self {
            seed: Seed::random(),
            measures,
            map: OnceMap::new(),
        }
    }

    #[inline(always)]
    pub(super) fn find(&self, key: LabelKey<'_>) -> Option<(BindingPosition, &Binding)> {
        self.map.get(key.hash, |known| is_same(known, key.words))
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    #[inline(always)]
    pub(super) fn at(&self, position: BindingPosition) -> Option<&Binding> {
        self.map.at(position)
    }

    /// The binding of these values, which is new unless it is known.
    pub(super) fn insert(&self, key: LabelKey<'_>) -> (BindingPosition, &Binding) {
        self.map.insert(key.hash, key.words.into(), self.ends())
    }

    /// The same, unless it would be new and there are so many already.
    pub(super) fn insert_within(&self, most: usize, key: LabelKey<'_>) -> Option<&Binding> {
        let is_key = |known: &BindingKey| is_same(known, key.words);
        let new = || (key.words.into(), self.ends());
        match self.map.insert_within(most, key.hash, is_key, new) {
            Inserted::Before(binding) | Inserted::Now(binding) => Some(binding),
            Inserted::NoRoom => None,
        }
    }

    fn ends(&self) -> Ends {
        Ends {
            of_measures: (0..self.measures).map(|_| End::default()).collect(),
            rare: OnceBox::new(),
        }
    }
}

impl Default for Rare {
    fn default() -> Self {
        Self {
            with_outcome: [const { AtomicU32::new(Position::NONE.to_bits()) }; Outcome::COUNT],
            unmapped: AtomicU8::new(0),
        }
    }
}

impl Binding {
    #[inline(always)]
    pub(crate) fn label_key(&self) -> LabelKey<'_> {
        LabelKey {
            words: &self.key,
            hash: self.hash,
        }
    }

    #[inline(always)]
    pub(super) fn end(&self, measure: u8) -> Option<&End> {
        self.value.of_measures.get(usize::from(measure))
    }

    #[inline(always)]
    pub(super) fn series(&self, measure: u8) -> Option<&Arc<Series>> {
        self.end(measure)?.series.get()?.as_ref()
    }

    /// Whether one more of the values that a map leads here may be bound as it is.
    pub(super) fn takes_unmapped(&self) -> bool {
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        let one_more = |count: u8| (count < MOST_UNMAPPED).then_some(count + 1);
        let unmapped = &self.value.rare.get_or_init(Box::default).unmapped;
        unmapped.fetch_update(set, get, one_more).is_ok()
    }

    /// Whether it is known where it leads.
    #[inline(always)]
    pub(super) fn is_known(&self, measure: u8) -> bool {
        self.end(measure)
            .is_some_and(|end| end.series.get().is_some())
    }

    /// The first series counts: another thread may have found the same one.
    pub(super) fn set_series(&self, measure: u8, series: Option<&Arc<Series>>) {
        if let Some(end) = self.end(measure) {
            let _ = end.series.set(series.cloned());
        }
    }

    /// Where the binding of the same labels with this outcome is, if that is known.
    #[inline(always)]
    pub(super) fn with_outcome(&self, outcome: Outcome) -> Option<BindingPosition> {
        let all = &self.value.rare.get()?.with_outcome;
        let bits = all[outcome as usize].load(Ordering::Relaxed);
        Some(Position::from_bits(bits))
    }

    pub(super) fn set_with_outcome(&self, outcome: Outcome, binding: BindingPosition) {
        let all = &self.value.rare.get_or_init(Box::default).with_outcome;
        all[outcome as usize].store(binding.to_bits(), Ordering::Relaxed);
    }
}

/// Word by word: there are few, and a call of `memcmp` costs more than comparing
/// them, on some processors a hundred nanoseconds where there is nothing to compare.
#[inline(always)]
fn is_same(known: &[u64], wanted: &[u64]) -> bool {
    known.len() == wanted.len() && known.iter().zip(wanted).all(|(a, b)| a == b)
}
