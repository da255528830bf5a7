//! Open spans by id: what each of them carries, and which measured span is around it.
//!
//! The registry's own extensions would do, but cost a map look-up, a lock and an
//! allocation more for each span, and two layers of one type share them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use super::open_span::{OpenSpan, Outer};
use crate::registry_id::RegistryId;
use crate::sync::segmented::Segmented;

mod elsewhere;
mod far;
#[cfg(test)]
mod model;
mod place;

use elsewhere::Elsewhere;
use far::Far;
use place::{BLOCK, NEAR, Place};

/// The spans that are open and measured, laid out as the registry lays out its own: by
/// thread, block and slot. A tag says which span stands in a slot, so that looking at one
/// place finds a span, or tells that it is not measured, whatever was open before.
///
/// Invariant: a slot is of the span whose generation its tag has, and has an owner from
/// the span's opening to its close. Only the tag is read of a slot that is another's.
pub(super) struct SpanTable {
    near: [OnceLock<Box<Block>>; NEAR],
    /// By thread.
    far: Segmented<OnceLock<Box<Far>>, 16>,
    /// Whether there is no bound to indices: blocks up to the highest would fill the memory.
    is_sparse: AtomicBool,
    elsewhere: Elsewhere,
}

/// Spans with neighbouring indices.
struct Block {
    tags: Tags,
    slots: Slots,
}

/// Which spans stand in the slots of a block: that is looked at first, and often alone.
struct Tags([AtomicU16; BLOCK]);

type Slots = [OpenSpan; BLOCK];

/// A slot of a block that stays.
#[derive(Clone, Copy)]
pub(super) struct Near<'a> {
    pub(super) open: &'a OpenSpan,
    tag: &'a AtomicU16,
    /// What the tag says if its span stands there.
    ours: u16,
}

/// What is known of a span that closes.
pub(super) enum Closing<'a> {
    /// Nothing: it is not measured.
    Ordinary,
    Near(Near<'a>),
    /// It has to be looked for.
    Apart,
}

const FREE: u16 = 0;
/// In a tag: the span is measured.
const OURS: u16 = 1 << 15;
/// In a tag: the span is not measured, and it is known which measured span is around it.
const PASSED: u16 = 1 << 14;

impl SpanTable {
    /// Ids are those of another registry, which may be any. Said before a span opens.
    pub(super) fn expect_any_ids(&self) {
        self.is_sparse.store(true, Ordering::Relaxed);
    }

    /// Calls with a span, if it is open and measured.
    #[inline(always)]
    pub(super) fn with<R>(&self, id: u64, call: impl FnOnce(&OpenSpan) -> R) -> Option<R> {
        let place = Place::of(id);
        if let Some(block) = self.near(place)
            && block.tags.get(place) == place.tag(OURS)
        {
            return Some(call(&block.slots[place.at()]));
        }
        if place.near().is_some() && self.elsewhere.is_empty() {
            return None;
        }
        self.with_apart(id, place, call)
    }

    /// Whether the span is open and measured.
    #[inline]
    pub(super) fn is_open(&self, id: u64) -> bool {
        self.with(id, |_| ()).is_some()
    }

    /// The slot of a span that opens, if it is one that stays and is free. Else it is to be
    /// inserted.
    #[inline(always)]
    pub(super) fn free(&self, id: u64) -> Option<Near<'_>> {
        let place = Place::of(id);
        let near = self.near(place)?.slot(place);
        (near.tag.load(Ordering::Relaxed) & OURS == 0).then_some(near)
    }

    /// Adds a span that opens.
    ///
    /// Another one may stand in its place: in the registry that is one whose close was not
    /// seen, because somebody held the layer back. `make_room` may close it.
    #[inline(never)]
    pub(super) fn insert(
        &self,
        id: u64,
        fill: impl FnOnce(&OpenSpan),
        make_room: impl FnOnce(u64),
    ) {
        let place = Place::of(id);
        let tag = self.tag(place);
        if tag & OURS != 0 {
            let generation = u64::from(tag & !OURS);
            let there = RegistryId {
                generation,
                ..place.0
            };
            make_room(there.id());
        }
        if self.is_elsewhere(place) || self.tag(place) & OURS != 0 {
            self.elsewhere.insert(id, fill);
        } else {
            self.put(place, OURS, fill);
        }
    }

    /// What is known of a span that closes.
    #[inline(always)]
    pub(super) fn closing(&self, id: u64) -> Closing<'_> {
        let place = Place::of(id);
        let near = self.near(place).map(|block| block.slot(place));
        let tag = near.map_or(FREE, |near| near.tag.load(Ordering::Relaxed));
        match near {
            Some(near) if tag == near.ours => Closing::Near(near),
            _ if tag == FREE && place.near().is_some() && self.elsewhere.is_empty() => {
                Closing::Ordinary
            }
            _ => Closing::Apart,
        }
    }

    /// Removes a span that closes, after a call with it if it is measured.
    #[inline(never)]
    pub(super) fn close<R>(&self, id: u64, call: impl FnOnce(&OpenSpan) -> R) -> Option<R> {
        let place = Place::of(id);
        let tag = self.tag(place);
        let called = self.with(id, call);
        if tag != place.tag(OURS) && tag != place.tag(PASSED) {
            self.elsewhere.remove(id);
        } else if let Some(block) = self.near(place) {
            block.slot(place).release();
        } else if let Some(far) = self.far(place) {
            far.clear(place);
        }
        called
    }

    /// The measured span around this one, if that was looked for before.
    pub(super) fn outer(&self, id: u64) -> Outer {
        let place = Place::of(id);
        let tag = self.tag(place);
        let outer = if tag != place.tag(OURS) && tag != place.tag(PASSED) {
            self.elsewhere.with(id, OpenSpan::outer)
        } else if let Some(block) = self.near(place) {
            Some(block.slots[place.at()].outer())
        } else {
            let slots = self.far(place).and_then(|far| far.slots(place));
            slots.map(|slots| slots[place.at()].outer())
        };
        outer.unwrap_or(Outer::Unknown)
    }

    /// Remembers it. What is around a span stays there, and open, as long as the span is.
    pub(super) fn set_outer(&self, id: u64, outer: Outer) {
        let place = Place::of(id);
        if self.is_elsewhere(place) || self.tag(place) & OURS != 0 {
            let _ = self.with(id, |open| open.set_outer(outer));
        } else {
            self.put(place, PASSED, |open| open.set_outer(outer));
        }
    }

    /// Calls with each span that is open.
    pub(super) fn each(&self, mut call: impl FnMut(&OpenSpan)) {
        let mut of_block = |tags: &Tags, slots: &Slots| {
            let places = tags.0.iter().zip(slots);
            let ours = places.filter(|(tag, _)| tag.load(Ordering::Acquire) & OURS != 0);
            ours.for_each(|(_, open)| call(open));
        };
        let near = self.near.iter().filter_map(OnceLock::get);
        near.for_each(|block| of_block(&block.tags, &block.slots));
        let far = self.far.iter().filter_map(OnceLock::get);
        far.for_each(|far| far.each(&mut of_block));
        self.elsewhere.each(call);
    }

    #[inline(never)]
    fn with_apart<R>(&self, id: u64, place: Place, call: impl FnOnce(&OpenSpan) -> R) -> Option<R> {
        if let Some(far) = self.far(place)
            && far.tag(place) == place.tag(OURS)
            && let Some(slots) = far.slots(place)
        {
            return Some(call(&slots[place.at()]));
        }
        if self.elsewhere.is_empty() {
            return None;
        }
        self.elsewhere.with(id, call)
    }

    fn put(&self, place: Place, mark: u16, fill: impl FnOnce(&OpenSpan)) {
        if let Some(near) = place.near() {
            let near = self.near[near].get_or_init(Box::default).slot(place);
            fill(near.open);
            near.tag.store(place.tag(mark), Ordering::Release);
        } else {
            let far = self.far.get_or_grow(place.thread());
            far.get_or_init(Box::default).put(place, mark, fill);
        }
    }

    fn tag(&self, place: Place) -> u16 {
        match self.near(place) {
            Some(block) => block.tags.get(place),
            None => self.far(place).map_or(FREE, |far| far.tag(place)),
        }
    }

    /// The block around a span, if it is one of those that stay.
    #[inline(always)]
    fn near(&self, place: Place) -> Option<&Block> {
        let block = self.near.get(place.near()?)?;
        block.get().map(AsRef::as_ref)
    }

    /// Whether there is no place for a span.
    fn is_elsewhere(&self, place: Place) -> bool {
        place.is_beyond() || place.near().is_none() && self.is_sparse.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn far(&self, place: Place) -> Option<&Far> {
        if self.is_elsewhere(place) {
            return None;
        }
        self.far.get(place.thread())?.get().map(AsRef::as_ref)
    }
}

impl Default for SpanTable {
    fn default() -> Self {
        Self {
            near: [const { OnceLock::new() }; NEAR],
            far: Segmented::new(),
            is_sparse: AtomicBool::new(false),
            elsewhere: Elsewhere::default(),
        }
    }
}

impl Block {
    #[inline(always)]
    fn slot(&self, place: Place) -> Near<'_> {
        Near {
            open: &self.slots[place.at()],
            tag: &self.tags.0[place.at()],
            ours: place.tag(OURS),
        }
    }
}

impl Near<'_> {
    /// Lets the span in, whose slot is filled.
    #[inline(always)]
    pub(super) fn occupy(self) {
        self.tag.store(self.ours, Ordering::Release);
    }

    /// Lets the span out.
    #[inline(always)]
    pub(super) fn release(self) {
        self.open.clear();
        self.tag.store(FREE, Ordering::Release);
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
        self.0[place.at()].load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn set(&self, place: Place, tag: u16) {
        self.0[place.at()].store(tag, Ordering::Release);
    }
}

impl Default for Tags {
    fn default() -> Self {
        Self([const { AtomicU16::new(FREE) }; BLOCK])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callsites::PlanPosition;
    use crate::layer::open_span::FAILED;
    use crate::plan::BindingPosition;

    const POSITION: PlanPosition = PlanPosition::from_bits(0);

    fn insert(table: &SpanTable, id: u64) {
        let fill = |open: &OpenSpan| open.fill(POSITION, BindingPosition::NONE, id, 0);
        table.insert(id, fill, |_| {});
    }

    fn close(table: &SpanTable, id: u64) -> Option<u64> {
        table.close(id, OpenSpan::opened)
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
        RegistryId {
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
            close(&table, *id);
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
                assert_eq!(close(&table, other), None);
            }
            let there = id(index, 1, 1);
            assert_eq!(opened(&table, there), Some(there));
        }
    }

    #[test]
    fn a_span_whose_close_was_not_seen_may_be_closed_by_the_next() {
        for index in [7, 5000] {
            let table = SpanTable::default();
            let [unseen, next] = [id(index, 1, 1), id(index, 1, 2)];
            insert(&table, unseen);
            let fill = |open: &OpenSpan| open.fill(POSITION, BindingPosition::NONE, next, 0);
            table.insert(next, fill, |there| {
                assert_eq!(close(&table, there), Some(unseen));
            });
            assert_eq!(opened(&table, unseen), None);
            assert_eq!(close(&table, next), Some(next));
            assert_eq!(count(&table), 0);
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
        close(&table, both[0]);
        assert_eq!(both.map(|id| opened(&table, id)), [None, Some(both[1])]);
        close(&table, both[1]);
        assert_eq!(count(&table), 0);
    }

    #[test]
    fn ids_without_a_bound_take_no_room_for_those_between_them() {
        let table = SpanTable::default();
        table.expect_any_ids();
        for id in ids() {
            insert(&table, id);
            assert_eq!(opened(&table, id), Some(id));
        }
        assert_eq!(count(&table), ids().len());
        assert_eq!(table.far.iter().filter_map(OnceLock::get).count(), 0);
        for id in ids() {
            assert_eq!(close(&table, id), Some(id));
        }
        assert_eq!(count(&table), 0);
    }

    #[test]
    fn a_released_slot_is_empty_for_the_next_span() {
        let table = SpanTable::default();
        let fill = |open: &OpenSpan| {
            open.fill(POSITION, BindingPosition::NONE, 7, FAILED);
            open.set_outer(Outer::Some(9));
            open.set_last_exit(9);
        };
        table.insert(1, fill, |_| {});
        close(&table, 1);
        insert(&table, 1);
        let again = table.with(1, |open| (open.marks(), open.last_exit(), open.outer()));
        assert_eq!(again, Some((0, None, Outer::Unknown)));
    }

    #[test]
    fn what_is_around_a_span_is_known_until_the_span_closes() {
        let (table, ids) = (SpanTable::default(), ids());
        for id in &ids {
            table.set_outer(*id, Outer::Some(4));
            let expected = if table.is_elsewhere(Place::of(*id)) {
                Outer::Unknown
            } else {
                Outer::Some(4)
            };
            assert_eq!(table.outer(*id), expected);
            assert!(opened(&table, *id).is_none());
            assert_eq!(close(&table, *id), None);
            assert_eq!(table.outer(*id), Outer::Unknown);
            insert(&table, *id);
            table.set_outer(*id, Outer::None);
            assert_eq!(table.outer(*id), Outer::None);
            assert_eq!(opened(&table, *id), Some(*id));
            close(&table, *id);
            assert_eq!(table.outer(*id), Outer::Unknown);
        }
    }

    #[test]
    fn what_a_burst_has_needed_is_given_back() {
        let table = SpanTable::default();
        for round in 0..3 {
            (0..20_000).for_each(|index| insert(&table, id(index, 0, round)));
            (0..20_000).for_each(|index| _ = close(&table, id(index, 0, round)));
        }
        let mut blocks = 0;
        let far = table.far.get(0).and_then(OnceLock::get).unwrap();
        far.each(|_, _| blocks += 1);
        assert!(blocks <= 1, "{blocks}");
    }
}
