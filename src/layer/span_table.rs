//! What open spans carry, in a table beside the registry.
//!
//! The registry's own extensions would do, but cost a map look-up, a lock and
//! an allocation more for each span, and two layers of one type share them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::labels::LabelBuf;
use crate::meter::PlanPosition;
use crate::no_poison::NoPoison;
use crate::plan::{KeptSeries, Plan, Route, RoutePosition};

/// The span failed.
pub(super) const FAILED: u8 = 1;
/// A panic left the span.
pub(super) const PANICKED: u8 = 2;
/// Its exits are of interest.
pub(super) const TIMED: u8 = 4;
/// It was opened while its thread was panicking already.
pub(super) const OPENED_IN_PANIC: u8 = 8;
/// Its in-flight series are those of the route that it opened on.
pub(super) const ON_ROUTE: u8 = 16;
/// Its labels are not those of that route.
pub(super) const LABELS_APART: u8 = 32;

const FREE: u64 = 0;
/// How many slots of a segment a span may take: half a cache line of ids.
const GROUP: usize = 4;
/// In groups, as below.
const FIRST_SEGMENT: usize = 128;
const GROWTH: usize = 4;
const LARGEST_SEGMENT: usize = 16 * 1024;

/// The registry's span ids hold the index inside a thread's pages, then the
/// thread, then a generation.
const THREAD_SHIFT: u32 = 38;
const THREAD_STRIDE: u64 = 61;

/// Open spans by id.
///
/// A span has one group of slots in each segment and takes the first that is
/// free. Segments are added, never removed, so that finding a span takes no lock.
#[derive(Default)]
pub(super) struct SpanTable {
    first: OnceLock<Segment>,
}

struct Segment {
    groups: Box<[Group]>,
    next: OnceLock<Box<Segment>>,
}

/// The slots that a span may take, and whose they are.
#[derive(Default)]
struct Group {
    ids: [AtomicU64; GROUP],
    slots: [Slot; GROUP],
}

/// The place of a span.
///
/// Whoever has a span's id has it from where the span was opened, which happened
/// after its slot was filled: so nothing here needs an order of its own.
#[derive(Default)]
struct Slot {
    marks: AtomicU8,
    /// How often it was entered, and not yet left, while its thread was panicking.
    visits_in_panic: AtomicU8,
    plan: AtomicU32,
    route: AtomicU32,
    opened: AtomicU64,
    last_exit: AtomicU64,
    apart: NoPoison<Apart>,
}

/// What a span carries that no route has.
#[derive(Default)]
struct Apart {
    /// The words of a `LabelBuf`. The buffer outlives the span, for the slot's next.
    labels: Vec<u64>,
    in_flight: KeptSeries,
}

/// An open span.
#[derive(Clone, Copy)]
pub(super) struct OpenSpan<'a> {
    id: &'a AtomicU64,
    slot: &'a Slot,
}

impl SpanTable {
    /// A slot for a span that opens.
    #[inline(always)]
    pub(super) fn insert(&self, id: u64) -> OpenSpan<'_> {
        let mut size = FIRST_SEGMENT;
        let mut segment = self.first.get_or_init(|| Segment::new(size));
        loop {
            if let Some(open) = segment.group(id).all().find(|open| open.take(id)) {
                return open;
            }
            size = (size * GROWTH).min(LARGEST_SEGMENT);
            segment = segment.next.get_or_init(|| Box::new(Segment::new(size)));
        }
    }

    /// The open span, if it is one of ours.
    #[inline(always)]
    pub(super) fn get(&self, id: u64) -> Option<OpenSpan<'_>> {
        let mut segment = self.first.get()?;
        loop {
            let found = segment.group(id).all().find(|open| open.is(id));
            if found.is_some() {
                return found;
            }
            segment = segment.next.get()?;
        }
    }

    /// Spans that are still open.
    pub(super) fn all(&self) -> impl Iterator<Item = OpenSpan<'_>> {
        let segments =
            std::iter::successors(self.first.get(), |here| here.next.get().map(AsRef::as_ref));
        segments
            .flat_map(|segment| segment.groups.iter().flat_map(Group::all))
            .filter(|open| !open.is(FREE))
    }
}

impl Segment {
    fn new(size: usize) -> Self {
        Self {
            groups: (0..size).map(|_| Group::default()).collect(),
            next: OnceLock::new(),
        }
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "masked")]
    fn group(&self, id: u64) -> &Group {
        let spread = id.wrapping_add((id >> THREAD_SHIFT).wrapping_mul(THREAD_STRIDE));
        &self.groups[spread as usize & (self.groups.len() - 1)]
    }
}

impl Group {
    #[inline(always)]
    fn all(&self) -> impl Iterator<Item = OpenSpan<'_>> {
        let places = self.ids.iter().zip(&self.slots);
        places.map(|(id, slot)| OpenSpan { id, slot })
    }
}

impl OpenSpan<'_> {
    #[inline(always)]
    fn is(self, id: u64) -> bool {
        self.id.load(Ordering::Relaxed) == id
    }

    #[inline(always)]
    fn take(self, id: u64) -> bool {
        let (taken, not) = (Ordering::Acquire, Ordering::Relaxed);
        self.is(FREE) && self.id.compare_exchange(FREE, id, taken, not).is_ok()
    }

    /// Gives the slot back, empty.
    pub(super) fn release(self) {
        self.slot.last_exit.store(0, Ordering::Relaxed);
        self.slot.visits_in_panic.store(0, Ordering::Relaxed);
        self.id.store(FREE, Ordering::Release);
    }

    /// Fills the slot. The route counts if the marks say that there is one.
    #[inline]
    pub(super) fn fill(self, plan: PlanPosition, route: RoutePosition, opened: u64, marks: u8) {
        self.slot.plan.store(plan.to_bits(), Ordering::Relaxed);
        self.slot.route.store(route.to_bits(), Ordering::Relaxed);
        self.slot.opened.store(opened, Ordering::Relaxed);
        self.slot.marks.store(marks, Ordering::Relaxed);
    }

    pub(super) fn plan(self) -> PlanPosition {
        PlanPosition::from_bits(self.slot.plan.load(Ordering::Relaxed))
    }

    pub(super) fn opened(self) -> u64 {
        self.slot.opened.load(Ordering::Relaxed)
    }

    /// The route of its plan's that it opened on.
    #[inline(always)]
    pub(super) fn route(self, plan: &Plan) -> Option<&Route> {
        if !self.is_marked(ON_ROUTE) {
            return None;
        }
        let position = self.slot.route.load(Ordering::Relaxed);
        plan.route(RoutePosition::from_bits(position))
    }

    pub(super) fn keep_in_flight(self, in_flight: KeptSeries) {
        self.slot.apart.lock().in_flight = in_flight;
    }

    /// What was kept. Nothing is, of a span that opened on a route.
    pub(super) fn take_in_flight(self) -> KeptSeries {
        std::mem::take(&mut self.slot.apart.lock().in_flight)
    }

    pub(super) fn keep_labels(self, labels: &LabelBuf) {
        let mut apart = self.slot.apart.lock();
        apart.labels.clear();
        apart.labels.extend_from_slice(labels.as_words());
        self.mark(LABELS_APART);
    }

    /// Overwrites its own labels with newer ones, and gives all of them.
    ///
    /// Two threads may record at once, so that this is one step.
    pub(super) fn merge_labels(self, plan: &Plan, newer: &LabelBuf) -> LabelBuf {
        let mut apart = self.slot.apart.lock();
        let mut labels = plan.no_labels();
        match self.labels_on_route(plan) {
            Some(stored) => labels.set_all(stored),
            None => labels.set_all(&apart.labels),
        }
        labels.set_all(newer.as_words());
        apart.labels.clear();
        apart.labels.extend_from_slice(labels.as_words());
        self.mark(LABELS_APART);
        labels
    }

    /// Its own labels, as the words of a `LabelBuf`.
    pub(super) fn with_labels(self, plan: &Plan, read: impl FnOnce(&[u64])) {
        match self.labels_on_route(plan) {
            Some(stored) => read(stored),
            None => read(&self.slot.apart.lock().labels),
        }
    }

    fn labels_on_route(self, plan: &Plan) -> Option<&[u64]> {
        let route = self.route(plan).filter(|_| !self.is_marked(LABELS_APART))?;
        Some(route.label_key().words)
    }

    pub(super) fn mark(self, mark: u8) {
        self.slot.marks.fetch_or(mark, Ordering::Relaxed);
    }

    pub(super) fn marks(self) -> u8 {
        self.slot.marks.load(Ordering::Relaxed)
    }

    pub(super) fn is_marked(self, mark: u8) -> bool {
        self.marks() & mark != 0
    }

    pub(super) fn visit_in_panic(self) {
        self.slot.visits_in_panic.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether what is left was entered during the panic, too.
    pub(super) fn ends_visit_in_panic(self) -> bool {
        let less = |visits: u8| visits.checked_sub(1);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        let visits = &self.slot.visits_in_panic;
        visits.fetch_update(set, get, less).is_ok()
    }

    pub(super) fn set_last_exit(self, at: u64) {
        self.slot.last_exit.store(at, Ordering::Relaxed);
    }

    /// When the span was left for the last time, if it ever was.
    pub(super) fn last_exit(self) -> Option<u64> {
        Some(self.slot.last_exit.load(Ordering::Relaxed)).filter(|at| *at != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSITION: PlanPosition = PlanPosition::from_bits(0);

    #[test]
    fn spans_that_share_a_slot_are_told_apart() {
        let table = SpanTable::default();
        let ids: Vec<u64> = (0..20).map(|n| 1 + n * 4096 * 4096).collect();
        for id in &ids {
            table.insert(*id).fill(POSITION, POSITION, *id, 0);
        }
        for id in &ids {
            assert_eq!(table.get(*id).map(OpenSpan::opened), Some(*id));
        }
        table.get(ids[0]).unwrap().release();
        assert!(table.get(ids[0]).is_none());
        assert!(ids[1..].iter().all(|id| table.get(*id).is_some()));
        assert_eq!(table.all().count(), 19);
    }

    #[test]
    fn a_released_slot_is_empty_for_the_next_span() {
        let table = SpanTable::default();
        let open = table.insert(1);
        open.fill(POSITION, POSITION, 7, FAILED);
        open.set_last_exit(9);
        open.release();
        let again = table.insert(1);
        again.fill(POSITION, POSITION, 7, 0);
        assert!(again.marks() == 0 && again.last_exit().is_none());
    }
}
