//! What open spans carry, in a table beside the registry.
//!
//! The registry's own extensions would do, but cost a map look-up, a lock and
//! an allocation more for each span, and two layers of one type share them.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;
use tracing_core::{Dispatch, Metadata};

use crate::labels::LabelBuf;
use crate::no_poison::NoPoison;
use crate::series::Series;

/// The span failed.
pub(super) const FAILED: u8 = 1;
/// A panic left the span.
pub(super) const PANICKED: u8 = 2;
/// Its exits are of interest.
pub(super) const TIMED: u8 = 4;
/// It was opened while its thread was panicking already.
pub(super) const OPENED_IN_PANIC: u8 = 8;

const FREE: u64 = 0;
/// How many slots of a segment a span may take: half a cache line of ids.
const GROUP: usize = 4;
const FIRST_SEGMENT: usize = 512;
const GROWTH: usize = 4;
const LARGEST_SEGMENT: usize = 64 * 1024;

/// The registry's span ids hold the index inside a thread's pages, then the
/// thread, then a generation.
const THREAD_SHIFT: u32 = 38;
const THREAD_STRIDE: u64 = 61;

/// Open spans by id.
///
/// A span has one group of slots in each segment and takes the first that is
/// free. Segments are added, never removed, so that finding a span takes no
/// lock: only reading what it carries does, and that lock is nearly never shared.
#[derive(Default)]
pub(super) struct SpanTable {
    first: OnceLock<Segment>,
}

struct Segment {
    ids: Box<[AtomicU64]>,
    slots: Box<[Slot]>,
    next: OnceLock<Box<Segment>>,
}

/// The place of one open span.
#[derive(Default)]
pub(super) struct Slot {
    marks: AtomicU8,
    last_exit: AtomicU64,
    /// How often it was entered, and not yet left, while its thread was panicking.
    visits_in_panic: AtomicU8,
    state: NoPoison<SpanState>,
}

/// What an open span carries. Its buffers outlive it, for the slot's next span.
#[derive(Default)]
pub(super) struct SpanState {
    pub(super) callsite: Option<&'static Metadata<'static>>,
    pub(super) opened: u64,
    /// The words of a `LabelBuf`.
    pub(super) labels: Vec<u64>,
    pub(super) in_flight: SmallVec<[Arc<Series>; 2]>,
}

/// What a span carried until it closed.
#[derive(Default)]
pub(super) struct Closed {
    pub(super) callsite: Option<&'static Metadata<'static>>,
    pub(super) opened: u64,
    pub(super) labels: Vec<u64>,
    pub(super) in_flight: SmallVec<[Arc<Series>; 2]>,
}

impl SpanTable {
    /// A slot for a span that opens.
    pub(super) fn insert(&self, id: u64, marks: u8) -> &Slot {
        let mut size = FIRST_SEGMENT;
        let mut segment = self.first.get_or_init(|| Segment::new(size));
        loop {
            for at in segment.group(id) {
                let (taken, not) = (Ordering::Acquire, Ordering::Relaxed);
                let taken = segment.ids[at].compare_exchange(FREE, id, taken, not);
                if taken.is_ok() {
                    let slot = &segment.slots[at];
                    slot.marks.store(marks, Ordering::Relaxed);
                    return slot;
                }
            }
            size = (size * GROWTH).min(LARGEST_SEGMENT);
            segment = segment.next.get_or_init(|| Box::new(Segment::new(size)));
        }
    }

    /// The slot of an open span, if it is one of ours.
    #[inline]
    pub(super) fn get(&self, id: u64) -> Option<&Slot> {
        let (segment, at) = self.find(id)?;
        Some(&segment.slots[at])
    }

    /// Takes what a span carries, and gives its slot back, empty.
    pub(super) fn remove(&self, id: u64) -> Closed {
        let Some((segment, at)) = self.find(id) else {
            return Closed::default();
        };
        let closed = segment.slots[at].take();
        segment.ids[at].store(FREE, Ordering::Release);
        closed
    }

    #[inline]
    fn find(&self, id: u64) -> Option<(&Segment, usize)> {
        let mut segment = self.first.get();
        while let Some(here) = segment {
            for at in here.group(id) {
                // Whoever has a span's id has it from where the span was opened,
                // which happened after its slot was taken.
                if here.ids[at].load(Ordering::Relaxed) == id {
                    return Some((here, at));
                }
            }
            segment = here.next.get().map(AsRef::as_ref);
        }
        None
    }

    fn slots_mut(&mut self) -> Vec<&mut Slot> {
        let mut slots = Vec::new();
        let mut segment = self.first.get_mut();
        while let Some(here) = segment {
            slots.extend(&mut here.slots);
            segment = here.next.get_mut().map(AsMut::as_mut);
        }
        slots
    }
}

impl Drop for SpanTable {
    /// Spans that are still open will close without this layer.
    fn drop(&mut self) {
        // The layer may be dropped under a lock of `reload`. A sink that logs
        // would ask for it again.
        tracing_core::dispatcher::with_default(&Dispatch::none(), || {
            for slot in self.slots_mut() {
                for series in slot.state.get_mut().in_flight.drain(..) {
                    series.record(-1.0);
                }
            }
        });
    }
}

impl Segment {
    fn new(size: usize) -> Self {
        Self {
            ids: (0..size).map(|_| AtomicU64::new(FREE)).collect(),
            slots: (0..size).map(|_| Slot::default()).collect(),
            next: OnceLock::new(),
        }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "masked")]
    fn group(&self, id: u64) -> std::ops::Range<usize> {
        let spread = id.wrapping_add((id >> THREAD_SHIFT).wrapping_mul(THREAD_STRIDE));
        let groups = self.slots.len() / GROUP;
        let start = (spread as usize & (groups - 1)) * GROUP;
        start..start + GROUP
    }
}

impl Slot {
    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, SpanState> {
        self.state.lock()
    }

    pub(super) fn mark(&self, mark: u8) {
        self.marks.fetch_or(mark, Ordering::Relaxed);
    }

    pub(super) fn visit_in_panic(&self) {
        self.visits_in_panic.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether what is left was entered during the panic, too.
    pub(super) fn ends_visit_in_panic(&self) -> bool {
        let less = |visits: u8| visits.checked_sub(1);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        self.visits_in_panic.fetch_update(set, get, less).is_ok()
    }

    pub(super) fn marks(&self) -> u8 {
        self.marks.load(Ordering::Relaxed)
    }

    pub(super) fn set_last_exit(&self, at: u64) {
        self.last_exit.store(at, Ordering::Relaxed);
    }

    /// When the span was left for the last time, if it ever was.
    pub(super) fn last_exit(&self) -> Option<u64> {
        Some(self.last_exit.load(Ordering::Relaxed)).filter(|at| *at != 0)
    }

    fn take(&self) -> Closed {
        let mut state = self.state.lock();
        let closed = Closed {
            callsite: state.callsite.take(),
            opened: state.opened,
            labels: std::mem::take(&mut state.labels),
            in_flight: std::mem::take(&mut state.in_flight),
        };
        drop(state);
        self.last_exit.store(0, Ordering::Relaxed);
        self.visits_in_panic.store(0, Ordering::Relaxed);
        closed
    }
}

impl SpanState {
    pub(super) fn set_labels(&mut self, labels: &LabelBuf) {
        self.labels.clear();
        self.labels.extend_from_slice(labels.as_words());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_share_a_slot_are_told_apart() {
        let table = SpanTable::default();
        let ids: Vec<u64> = (0..20).map(|n| 1 + n * 4096 * 4096).collect();
        for id in &ids {
            table.insert(*id, 0).state().opened = *id;
        }
        for id in &ids {
            assert_eq!(table.get(*id).map(|slot| slot.state().opened), Some(*id));
        }
        table.remove(ids[0]);
        assert!(table.get(ids[0]).is_none());
        assert!(ids[1..].iter().all(|id| table.get(*id).is_some()));
    }

    #[test]
    fn a_released_slot_is_empty_for_the_next_span() {
        let table = SpanTable::default();
        let slot = table.insert(1, 0);
        slot.mark(FAILED);
        slot.set_last_exit(9);
        table.remove(1);
        let again = table.insert(1, 0);
        assert!(again.marks() == 0 && again.last_exit().is_none());
    }
}
