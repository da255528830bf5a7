//! Open spans by id: what each of them carries, and which measured span is around it.
//!
//! The registry's own extensions would do, but cost a map look-up, a lock and an
//! allocation more for each span, and two layers of one type share them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::open_span::{OpenSpan, Outer};
use crate::no_poison::NoPoison;
use crate::segmented::Segmented;
use crate::span_place::SpanPlace;

mod far;

use far::Far;

/// How many spans share a block.
const BLOCK: usize = 64;
/// So many blocks of each thread stay for good: 72 kB, if all of them were ever needed.
const NEAR_BLOCKS: usize = 16;
/// The threads that stand in place: one load less for each span.
const FIRST_THREADS: usize = 16;
/// An id beyond this is not one of `tracing-subscriber`'s registry.
const MOST_BLOCKS: u64 = 1 << 20;

/// The spans that are open and measured, laid out as the registry lays out its own: by
/// thread, block and slot. A tag says which span stands in a slot, so that looking at one
/// place finds a span, or tells that it is not measured, whatever was open before.
///
/// Invariant: a slot is of the span whose generation its tag has, and has an owner from
/// the span's opening to its close. Only the tag is read of a slot that is another's.
#[derive(Default)]
pub(super) struct SpanTable {
    first: [OfThread; FIRST_THREADS],
    more: Segmented<OfThread, FIRST_THREADS>,
    elsewhere: Elsewhere,
}

/// The places of the spans that one thread opens.
#[derive(Default)]
struct OfThread {
    near: [OnceLock<Box<Block>>; NEAR_BLOCKS],
    far: OnceLock<Box<Far>>,
}

/// Spans with neighbouring indices.
struct Block {
    tags: Tags,
    slots: Slots,
}

/// Which spans stand in the slots of a block: that is looked at first, and often alone.
struct Tags([AtomicU16; BLOCK]);

type Slots = [OpenSpan; BLOCK];

/// Spans for which there is no place, by id: another registry may give any ids.
#[derive(Default)]
struct Elsewhere {
    spans: NoPoison<HashMap<u64, Arc<OpenSpan>>>,
    len: AtomicUsize,
}

const FREE: u16 = 0;
/// In a tag: the span is measured.
const OURS: u16 = 1 << 15;
/// In a tag: the span is not measured, and it is known which measured span is around it.
const PASSED: u16 = 1 << 14;

/// Where a span's slot is, and what its tag says without the marks.
#[derive(Clone, Copy)]
struct Place {
    thread: u32,
    block: u32,
    at: usize,
    generation: u16,
    /// Its block does not stay, if there is a place at all.
    is_far: bool,
    /// There is no place.
    is_elsewhere: bool,
}

impl SpanTable {
    /// Calls with a span, if it is open and measured.
    #[inline(always)]
    pub(super) fn with<R>(&self, id: u64, call: impl FnOnce(&OpenSpan) -> R) -> Option<R> {
        let place = Place::of(id);
        if place.is_far {
            return self.with_far(id, place, call);
        }
        match self.near(place) {
            Some(block) if block.tags.get(place) == place.generation | OURS => {
                Some(call(&block.slots[place.at]))
            }
            _ if self.elsewhere.is_empty() => None,
            _ => self.elsewhere.with(id, call),
        }
    }

    /// Whether the span is open and measured.
    #[inline]
    pub(super) fn is_open(&self, id: u64) -> bool {
        self.with(id, |_| ()).is_some()
    }

    /// The other span that is measured and stands in this one's place.
    ///
    /// In the registry there is none: that span's end was not seen, because somebody held
    /// the layer back.
    #[inline(always)]
    pub(super) fn occupant(&self, id: u64) -> Option<u64> {
        let place = Place::of(id);
        let tag = self.tag(place);
        (tag & OURS != 0 && tag != place.generation | OURS).then(|| {
            let generation = u64::from(tag & !OURS);
            let of_the_other = SpanPlace {
                generation,
                ..SpanPlace::of(id)
            };
            of_the_other.id()
        })
    }

    /// Adds a span that opens.
    #[inline(always)]
    pub(super) fn insert(&self, id: u64, outer: Outer, fill: impl FnOnce(&OpenSpan)) {
        let place = Place::of(id);
        let fill = |slot: &OpenSpan| {
            slot.set_outer(outer);
            fill(slot);
        };
        if place.is_elsewhere || self.tag(place) & OURS != 0 {
            self.elsewhere.insert(id, fill);
        } else if place.is_far {
            self.far_or_new(place)
                .put(place, place.generation | OURS, fill);
        } else {
            self.near_or_new(place)
                .put(place, place.generation | OURS, fill);
        }
    }

    /// Removes a span that closes.
    #[inline(always)]
    pub(super) fn remove(&self, id: u64) {
        self.clear(id, OURS);
    }

    /// Forgets what is known of a span that closes and is not measured.
    pub(super) fn forget(&self, id: u64) {
        self.clear(id, PASSED);
    }

    /// The measured span around this one, if that was looked for before.
    pub(super) fn outer(&self, id: u64) -> Outer {
        let place = Place::of(id);
        let tag = self.tag(place);
        let outer = if tag == FREE || tag & !(OURS | PASSED) != place.generation {
            self.elsewhere.with(id, OpenSpan::outer)
        } else if place.is_far {
            let slots = self.far(place).and_then(|far| far.slots(place));
            slots.map(|slots| slots[place.at].outer())
        } else {
            self.near(place).map(|block| block.slots[place.at].outer())
        };
        outer.unwrap_or(Outer::Unknown)
    }

    /// Remembers it. What is around a span stays there, and open, as long as the span is.
    pub(super) fn set_outer(&self, id: u64, outer: Outer) {
        let place = Place::of(id);
        let tag = self.tag(place);
        if place.is_elsewhere || tag & OURS != 0 {
            let _ = self.with(id, |open| open.set_outer(outer));
            return;
        }
        let fill = |slot: &OpenSpan| slot.set_outer(outer);
        if place.is_far {
            self.far_or_new(place)
                .put(place, place.generation | PASSED, fill);
        } else {
            self.near_or_new(place)
                .put(place, place.generation | PASSED, fill);
        }
    }

    /// Calls with each span that is open.
    pub(super) fn each(&self, mut call: impl FnMut(&OpenSpan)) {
        let mut of_block = |tags: &Tags, slots: &Slots| {
            let places = tags.0.iter().zip(slots);
            let ours = places.filter(|(tag, _)| tag.load(Ordering::Acquire) & OURS != 0);
            ours.for_each(|(_, open)| call(open));
        };
        for thread in self.first.iter().chain(self.more.iter()) {
            let near = thread.near.iter().filter_map(OnceLock::get);
            near.for_each(|block| of_block(&block.tags, &block.slots));
            if let Some(far) = thread.far.get() {
                far.each(&mut of_block);
            }
        }
        self.elsewhere.each(call);
    }

    #[inline(never)]
    fn with_far<R>(&self, id: u64, place: Place, call: impl FnOnce(&OpenSpan) -> R) -> Option<R> {
        if let Some(far) = self.far(place)
            && far.tag(place) == place.generation | OURS
            && let Some(slots) = far.slots(place)
        {
            return Some(call(&slots[place.at]));
        }
        if self.elsewhere.is_empty() {
            return None;
        }
        self.elsewhere.with(id, call)
    }

    /// Clears the slot of a span with this mark.
    #[inline(always)]
    fn clear(&self, id: u64, mark: u16) {
        let place = Place::of(id);
        if place.is_far {
            return self.clear_far(id, place, mark);
        }
        match self.near(place) {
            Some(block) if block.tags.get(place) == place.generation | mark => block.clear(place),
            _ if mark == OURS => self.elsewhere.remove(id),
            _ => {}
        }
    }

    #[inline(never)]
    fn clear_far(&self, id: u64, place: Place, mark: u16) {
        let is_cleared = self.far(place).is_some_and(|far| far.clear(place, mark));
        if !is_cleared && mark == OURS {
            self.elsewhere.remove(id);
        }
    }

    #[inline(always)]
    fn tag(&self, place: Place) -> u16 {
        if place.is_far {
            return self.far(place).map_or(FREE, |far| far.tag(place));
        }
        self.near(place).map_or(FREE, |block| block.tags.get(place))
    }

    #[inline(always)]
    fn near(&self, place: Place) -> Option<&Block> {
        let block = self.thread(place)?.near.get(place.block as usize)?;
        block.get().map(AsRef::as_ref)
    }

    #[inline(always)]
    fn near_or_new(&self, place: Place) -> &Block {
        self.near(place).unwrap_or_else(|| {
            let block = &self.thread_or_new(place).near[place.block as usize];
            block.get_or_init(Box::default)
        })
    }

    fn far(&self, place: Place) -> Option<&Far> {
        if place.is_elsewhere {
            return None;
        }
        self.thread(place)?.far.get().map(AsRef::as_ref)
    }

    fn far_or_new(&self, place: Place) -> &Far {
        self.thread_or_new(place).far.get_or_init(Box::default)
    }

    #[inline(always)]
    fn thread(&self, place: Place) -> Option<&OfThread> {
        let first = self.first.get(place.thread as usize);
        first.or_else(|| self.more.get(place.thread))
    }

    #[cold]
    fn thread_or_new(&self, place: Place) -> &OfThread {
        let first = self.first.get(place.thread as usize);
        first.unwrap_or_else(|| self.more.get_or_grow(place.thread))
    }
}

impl Place {
    #[inline(always)]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "beyond the bounds it is not used"
    )]
    const fn of(id: u64) -> Self {
        let SpanPlace {
            index,
            thread,
            generation,
        } = SpanPlace::of(id);
        let block = index / BLOCK as u64;
        let is_elsewhere = block >= MOST_BLOCKS || generation >= PASSED as u64;
        Self {
            thread: thread as u32,
            block: block as u32,
            at: index as usize % BLOCK,
            generation: generation as u16,
            is_far: block >= NEAR_BLOCKS as u64 || is_elsewhere,
            is_elsewhere,
        }
    }
}

impl Block {
    #[inline(always)]
    fn put(&self, place: Place, tag: u16, fill: impl FnOnce(&OpenSpan)) {
        fill(&self.slots[place.at]);
        self.tags.set(place, tag);
    }

    #[inline(always)]
    fn clear(&self, place: Place) {
        self.slots[place.at].clear();
        self.tags.set(place, FREE);
    }
}

impl Default for Block {
    fn default() -> Self {
        Self {
            tags: Tags::default(),
            slots: slots(),
        }
    }
}

fn slots() -> Slots {
    std::array::from_fn(|_| OpenSpan::default())
}

impl Tags {
    #[inline(always)]
    fn get(&self, place: Place) -> u16 {
        self.0[place.at].load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn set(&self, place: Place, tag: u16) {
        self.0[place.at].store(tag, Ordering::Release);
    }
}

impl Default for Tags {
    fn default() -> Self {
        Self([const { AtomicU16::new(FREE) }; BLOCK])
    }
}

impl Elsewhere {
    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    fn insert(&self, id: u64, fill: impl FnOnce(&OpenSpan)) {
        let slot = Arc::new(OpenSpan::default());
        fill(&slot);
        let mut spans = self.spans.lock();
        spans.insert(id, slot);
        self.len.store(spans.len(), Ordering::Relaxed);
    }

    #[inline(never)]
    fn with<R>(&self, id: u64, call: impl FnOnce(&OpenSpan) -> R) -> Option<R> {
        // The lock is given back before anything is called.
        let slot = self.spans.lock().get(&id).cloned()?;
        Some(call(&slot))
    }

    #[inline(always)]
    fn remove(&self, id: u64) {
        if !self.is_empty() {
            self.remove_one(id);
        }
    }

    #[cold]
    fn remove_one(&self, id: u64) {
        let mut spans = self.spans.lock();
        let removed = spans.remove(&id);
        if spans.is_empty() {
            spans.shrink_to_fit();
        }
        self.len.store(spans.len(), Ordering::Relaxed);
        drop(spans);
        // Without the lock: the last owner of a series calls its sinks.
        drop(removed);
    }

    fn each(&self, mut call: impl FnMut(&OpenSpan)) {
        let spans: Vec<_> = self.spans.lock().values().cloned().collect();
        for slot in &spans {
            call(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::open_span::FAILED;
    use crate::meter::PlanPosition;

    const POSITION: PlanPosition = PlanPosition::from_bits(0);

    fn insert(table: &SpanTable, id: u64) {
        let fill = |open: &OpenSpan| open.fill(POSITION, POSITION, id, 0);
        table.insert(id, Outer::Unknown, fill);
    }

    fn opened(table: &SpanTable, id: u64) -> Option<u64> {
        table.with(id, OpenSpan::opened)
    }

    fn count(table: &SpanTable) -> usize {
        let mut count = 0;
        table.each(|_| count += 1);
        count
    }

    const fn id(index: u64, thread: u64, generation: u64) -> u64 {
        SpanPlace {
            index,
            thread,
            generation,
        }
        .id()
    }

    /// Near and far, of many threads, of another registry, and the highest of all.
    fn ids() -> Vec<u64> {
        let mut ids: Vec<u64> = (0..3000).map(|index| id(index, 0, 0)).collect();
        ids.extend((0..100).map(|thread| id(thread * 40, thread, 3)));
        ids.extend((1..100).map(|n| n << 44));
        ids.extend([u64::MAX, u64::MAX - 1, id(1 << 37, 5, 1)]);
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    #[test]
    fn every_open_span_is_found_and_no_other() {
        let (table, ids) = (SpanTable::default(), ids());
        for id in &ids {
            insert(&table, *id);
        }
        assert!(ids.iter().all(|id| opened(&table, *id) == Some(*id)));
        assert_eq!(count(&table), ids.len());
        let (closing, staying): (Vec<u64>, Vec<u64>) = ids.iter().partition(|id| **id % 3 == 0);
        for id in &closing {
            table.remove(*id);
        }
        assert!(closing.iter().all(|id| opened(&table, *id).is_none()));
        assert!(staying.iter().all(|id| opened(&table, *id) == Some(*id)));
        assert_eq!(count(&table), staying.len());
    }

    #[test]
    fn a_span_is_told_from_those_that_stood_in_its_place() {
        for index in [7, 5000] {
            let table = SpanTable::default();
            insert(&table, id(index, 1, 1));
            for generation in [0, 2, 8191] {
                let other = id(index, 1, generation);
                assert_eq!(opened(&table, other), None);
                assert_eq!(table.occupant(other), Some(id(index, 1, 1)));
                table.remove(other);
            }
            assert_eq!(opened(&table, id(index, 1, 1)), Some(id(index, 1, 1)));
            assert_eq!(table.occupant(id(index, 1, 1)), None);
        }
    }

    #[test]
    fn two_spans_of_another_registry_may_claim_one_place() {
        let table = SpanTable::default();
        let both = [id(7, 1, 1), id(7, 1, 2)];
        for id in both {
            insert(&table, id);
        }
        assert_eq!(both.map(|id| opened(&table, id)), both.map(Some));
        table.remove(both[0]);
        assert_eq!(both.map(|id| opened(&table, id)), [None, Some(both[1])]);
        table.remove(both[1]);
        assert_eq!(count(&table), 0);
    }

    #[test]
    fn a_released_slot_is_empty_for_the_next_span() {
        let table = SpanTable::default();
        table.insert(1, Outer::Some(9), |open| {
            open.fill(POSITION, POSITION, 7, FAILED);
            open.set_last_exit(9);
        });
        table.remove(1);
        insert(&table, 1);
        let again = table.with(1, |open| (open.marks(), open.last_exit(), open.outer()));
        assert_eq!(again, Some((0, None, Outer::Unknown)));
    }

    #[test]
    fn what_is_around_a_span_is_known_until_the_span_closes() {
        let (table, ids) = (SpanTable::default(), ids());
        for id in &ids {
            table.set_outer(*id, Outer::Some(4));
            let expected = if Place::of(*id).is_elsewhere {
                Outer::Unknown
            } else {
                Outer::Some(4)
            };
            assert_eq!(table.outer(*id), expected);
            assert!(opened(&table, *id).is_none());
            table.forget(*id);
            assert_eq!(table.outer(*id), Outer::Unknown);
            table.insert(*id, Outer::None, |open| open.fill(POSITION, POSITION, 1, 0));
            assert_eq!(table.outer(*id), Outer::None);
            table.forget(*id);
            assert_eq!(opened(&table, *id), Some(1));
            table.remove(*id);
            assert_eq!(table.outer(*id), Outer::Unknown);
        }
    }

    #[test]
    fn what_a_burst_has_needed_is_given_back() {
        let table = SpanTable::default();
        for round in 0..3 {
            (0..20_000).for_each(|index| insert(&table, id(index, 0, round)));
            (0..20_000).for_each(|index| table.remove(id(index, 0, round)));
        }
        let mut blocks = 0;
        let far = table.first[0].far.get().unwrap();
        far.each(|_, _| blocks += 1);
        assert!(blocks <= 1, "{blocks}");
    }
}
