//! What is buffered on each thread, and handed over when a sink is read.
//!
//! To add to a number that all threads share is an atomic read-modify-write, which
//! threads that count the same thing do in turn; a histogram of the OpenTelemetry
//! SDK is behind a mutex. A sum that only its own thread writes takes neither, and
//! observations that wait in a ring take the mutex one after the other. Both take
//! some memory: only series that are measured often get a place, and only for sinks
//! that say when they are about to be read.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crate::kind::Kind;
use crate::series::Series;
use crate::sync::Mutex;
use crate::sync::segmented::Segmented;

mod thread_buffer;

pub(crate) use thread_buffer::{Place, SamplesIndex, SumIndex};
use thread_buffer::{Places, ThreadBuffer};

thread_local! {
    /// The pending that this thread has met last, and its slot there. Without a
    /// destructor, so that it can be read as long as the thread runs.
    static MINE: Cell<(u64, u32)> = const { Cell::new(NOBODY) };
    /// This thread's slots, which are given back when it ends.
    static JOINED: RefCell<Vec<Joined>> = const { RefCell::new(Vec::new()) };
}

const NOBODY: (u64, u32) = (0, 0);

/// The measurements of a layer that sinks have not seen yet.
pub(crate) struct Pending {
    this: Weak<Self>,
    /// Never that of another one, not even later.
    id: u64,
    /// What waits on each thread, by slot.
    buffers: Segmented<ThreadBuffer, 4>,
    slots: Mutex<Slots>,
    /// The sinks that have ever said that they are about to be read, by bit.
    readers: AtomicU32,
    /// How often any of them has, from 1.
    collections: AtomicU32,
    /// The last collection of each sink.
    collected: [AtomicU32; SinkSet::MOST],
    hot: Mutex<Hot>,
}

/// How many collections there had been when something was measured. As long as a program
/// runs they do not wrap around: there are a few in a second, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Collection(pub(crate) u32);

#[derive(Default)]
struct Slots {
    ever: u32,
    /// Of threads that have ended, for those that come.
    free: Vec<u32>,
}

struct Joined {
    pending: Weak<Pending>,
    slot: u32,
}

impl Drop for Joined {
    fn drop(&mut self) {
        let _ = MINE.try_with(|mine| mine.set(NOBODY));
        if let Some(pending) = self.pending.upgrade() {
            pending.slots.lock().free.push(self.slot);
        }
    }
}

/// The series that have a place.
#[derive(Default)]
struct Hot {
    all: Vec<Weak<Series>>,
    places: Places,
    /// At this number those that are gone are swept out: seldom enough that a
    /// new one costs the same however many there are.
    sweep_at: usize,
}

/// Brings a sink everything that was measured until now.
///
/// A sink gets it from the layer, in [`Sink::flush_with`](crate::Sink::flush_with).
#[derive(Clone, Debug)]
pub struct Flusher {
    pending: Weak<Pending>,
    sink: usize,
}

impl Flusher {
    /// Records in the sink's handles what was measured on all threads.
    ///
    /// To be called whenever the sink is about to be read, on any thread, while the
    /// sink holds no lock that its handles take, and never by a handle that records.
    /// Measurements may wait from the first call on; before it, or if it is never
    /// called, none do.
    pub fn flush(&self) {
        if let Some(pending) = self.pending.upgrade() {
            pending.flush(self.sink);
        }
    }
}

impl Pending {
    pub(crate) fn new() -> Arc<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            buffers: Segmented::new(),
            slots: Mutex::default(),
            readers: AtomicU32::new(0),
            collections: AtomicU32::new(1),
            collected: [const { AtomicU32::new(1) }; SinkSet::MOST],
            hot: Mutex::default(),
        })
    }

    /// What a sink calls when it is about to be read. Of many sinks not all can.
    pub(crate) fn reader(self: &Arc<Self>, sink: usize) -> Option<Flusher> {
        let pending = Arc::downgrade(self);
        (sink < SinkSet::MOST).then_some(Flusher { pending, sink })
    }

    fn flush(&self, sink: usize) {
        self.readers.fetch_or(1 << sink, Ordering::Relaxed);
        let hot = self.hot.lock().all.clone();
        for series in hot.iter().filter_map(Weak::upgrade) {
            series.flush();
        }
        // What is measured from now on may miss this collection, although it need not.
        let collection = self.collections.fetch_add(1, Ordering::Relaxed) + 1;
        self.collected[sink].store(collection, Ordering::Relaxed);
    }

    /// The one that something measured now comes after.
    #[inline(always)]
    pub(crate) fn collection(&self) -> Collection {
        Collection(self.collections.load(Ordering::Relaxed))
    }

    /// The last one of a sink, or the beginning.
    pub(crate) fn last_collection(&self, sink: usize) -> Collection {
        let collected = self.collected.get(sink);
        Collection(collected.map_or(1, |it| it.load(Ordering::Relaxed)))
    }

    pub(crate) fn readers(&self) -> SinkSet {
        SinkSet(self.readers.load(Ordering::Relaxed))
    }

    /// A place for a series that is hot, while there are some left.
    pub(crate) fn add_series(&self, series: &Weak<Series>, kind: Kind) -> Option<Place> {
        let mut hot = self.hot.lock();
        let place = hot.places.take(kind)?;
        if hot.all.len() >= hot.sweep_at {
            hot.all.retain(|series| series.strong_count() > 0);
            hot.sweep_at = 2 * hot.all.len() + 16;
        }
        hot.all.push(Weak::clone(series));
        Some(place)
    }

    /// Whether the value waits on this thread now.
    #[inline(always)]
    pub(crate) fn add(&self, place: Place, value: f64) -> bool {
        let waiting = self.mine().or_else(|| self.join());
        waiting.is_some_and(|waiting| waiting.add(place, value))
    }

    pub(crate) fn sum(&self, at: SumIndex) -> f64 {
        self.all().map(|waiting| waiting.sum(at)).sum()
    }

    /// Empties this thread's ring, or all of them. Only one thread may at a time.
    pub(crate) fn drain(&self, at: SamplesIndex, whose: Whose, mut take: impl FnMut(f64)) {
        match whose {
            Whose::This => self.mine().into_iter().for_each(|w| w.drain(at, &mut take)),
            Whose::All => self.all().for_each(|w| w.drain(at, &mut take)),
        }
    }

    /// Whether samples wait on any thread.
    pub(crate) fn holds(&self, at: SamplesIndex) -> bool {
        self.all().any(|waiting| waiting.holds(at))
    }

    fn all(&self) -> impl Iterator<Item = &ThreadBuffer> {
        let slots = 0..self.slots.lock().ever;
        slots.filter_map(|slot| self.buffers.get(slot))
    }

    #[inline(always)]
    fn mine(&self) -> Option<&ThreadBuffer> {
        let (id, slot) = MINE.try_with(Cell::get).unwrap_or(NOBODY);
        if id != self.id {
            return None;
        }
        self.buffers.get(slot)
    }

    /// This thread's slot, if it was another pending's that it has met last, or a new
    /// one. A thread that is about to end gets none: nobody would give it back.
    #[cold]
    fn join(&self) -> Option<&ThreadBuffer> {
        let slot = JOINED.try_with(|joined| {
            let mut joined = joined.try_borrow_mut().ok()?;
            let is_ours = |joined: &&Joined| std::ptr::eq(joined.pending.as_ptr(), self);
            if let Some(known) = joined.iter().find(is_ours) {
                return Some(known.slot);
            }
            joined.retain(|joined| joined.pending.strong_count() > 0);
            let slot = self.slots.lock().take();
            joined.push(Joined {
                pending: Weak::clone(&self.this),
                slot,
            });
            Some(slot)
        });
        let slot = slot.ok().flatten()?;
        MINE.try_with(|mine| mine.set((self.id, slot))).ok()?;
        Some(self.buffers.get_or_grow(slot))
    }
}

impl Slots {
    fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.ever += 1;
            self.ever - 1
        })
    }
}

/// The thread or threads whose measurements are meant.
#[derive(Clone, Copy)]
pub(crate) enum Whose {
    This,
    All,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

/// A set of sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SinkSet(u32);

impl SinkSet {
    const MOST: usize = 32;

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn remove(&mut self, sink: usize) {
        if sink < Self::MOST {
            self.0 &= !(1 << sink);
        }
    }

    #[inline]
    pub(crate) const fn contain(self, sink: usize) -> bool {
        sink < Self::MOST && self.0 & (1 << sink) != 0
    }
}
