//! Measurements that are pending: buffered on each thread until a sink is collected.
//!
//! To add to a number that all threads share is an atomic read-modify-write, which
//! threads that count the same thing do in turn; a histogram of the OpenTelemetry
//! SDK takes a mutex. A sum that only its own thread writes takes neither, and
//! buffered observations take the mutex one after the other. Both take some memory: only
//! series that are measured often are buffered, and only for sinks that flush before
//! they are collected.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use crate::kind::Kind;
use crate::sync::{Mutex, PerThread};
use crate::value::Amount;

mod buffer_slot;
mod buffer_slots;
mod flusher;
mod sink_set;
mod thread_buffer;

pub(crate) use buffer_slot::{Buffer, BufferSlot, SamplesIndex, SumIndex};
use buffer_slots::BufferSlots;
pub use flusher::Flusher;
pub(crate) use sink_set::SinkSet;
pub(crate) use thread_buffer::ThreadBuffer;

/// The measurements of a layer that sinks have not seen yet.
pub(crate) struct Pending {
    buffers: PerThread<ThreadBuffer>,
    /// The sinks that have ever flushed, by bit.
    flushing: AtomicU32,
    /// How often any of them has, from 1.
    collections: AtomicU32,
    /// The last collection of each sink.
    collected: [AtomicU32; SinkSet::MOST],
    buffered: Mutex<BufferedSeries>,
}

/// A series of which measurements may be pending.
pub(crate) trait Flush: Send + Sync {
    /// Brings its sinks what is pending.
    fn flush(&self);
}

/// How many collections there had been when something was measured. As long as a program
/// runs they do not wrap around: there are a few in a second, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Collection(pub(crate) u32);

/// The thread or threads whose measurements are meant.
#[derive(Clone, Copy)]
pub(crate) enum Whose {
    This,
    All,
}

#[derive(Default)]
struct BufferedSeries {
    all: Vec<Weak<dyn Flush>>,
    slots: BufferSlots,
    /// At this number those that are gone are swept out: seldom enough that a
    /// new one costs the same however many there are.
    sweep_at: usize,
}

impl Pending {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            buffers: PerThread::default(),
            flushing: AtomicU32::new(0),
            collections: AtomicU32::new(1),
            collected: [const { AtomicU32::new(1) }; SinkSet::MOST],
            buffered: Mutex::default(),
        })
    }

    /// What a sink calls before it is collected. Of many sinks not all can.
    pub(crate) fn flusher(self: &Arc<Self>, sink: usize) -> Option<Flusher> {
        let pending = Arc::downgrade(self);
        (sink < SinkSet::MOST).then_some(Flusher { pending, sink })
    }

    /// The collection that something measured now comes after.
    #[inline(always)]
    pub(crate) fn collection(&self) -> Collection {
        Collection(self.collections.load(Ordering::Relaxed))
    }

    /// The last collection of a sink, or the beginning.
    pub(crate) fn last_collection(&self, sink: usize) -> Collection {
        let collected = self.collected.get(sink);
        Collection(collected.map_or(1, |it| it.load(Ordering::Relaxed)))
    }

    /// The sinks that flush.
    pub(crate) fn flushing(&self) -> SinkSet {
        SinkSet(self.flushing.load(Ordering::Relaxed))
    }

    /// Room in the buffers for a series that is hot, while there is some left.
    pub(crate) fn buffer(&self, series: Weak<dyn Flush>, kind: Kind) -> Option<BufferSlot> {
        let mut buffered = self.buffered.lock();
        let slot = buffered.slots.take(kind)?;
        if buffered.all.len() >= buffered.sweep_at {
            buffered.all.retain(|series| series.strong_count() > 0);
            buffered.sweep_at = 2 * buffered.all.len() + 16;
        }
        buffered.all.push(series);
        Some(slot)
    }

    /// What is pending on this thread, if it has measured something that is.
    #[inline(always)]
    pub(crate) fn mine(&self) -> Option<&ThreadBuffer> {
        self.buffers.mine()
    }

    /// Adds to this thread's buffer. Whether the value is pending there now.
    #[inline(always)]
    pub(crate) fn add(
        &self,
        mine: Option<&ThreadBuffer>,
        slot: BufferSlot,
        amount: Amount,
    ) -> bool {
        match mine {
            Some(buffer) => buffer.add(slot, amount),
            None => self.add_first(slot, amount),
        }
    }

    #[cold]
    fn add_first(&self, slot: BufferSlot, amount: Amount) -> bool {
        let joined = self.buffers.join();
        joined.is_some_and(|buffer| buffer.add(slot, amount))
    }

    pub(crate) fn sum(&self, at: SumIndex) -> f64 {
        self.buffers.all().map(|buffer| buffer.sum(at)).sum()
    }

    /// Empties this thread's ring, or all of them. Only one thread may at a time.
    pub(crate) fn drain(&self, at: SamplesIndex, whose: Whose, mut take: impl FnMut(f64)) {
        let drain = |buffer: &ThreadBuffer| buffer.drain(at, &mut take);
        match whose {
            Whose::This => self.buffers.mine().into_iter().for_each(drain),
            Whose::All => self.buffers.all().for_each(drain),
        }
    }

    /// Whether samples are pending on any thread.
    pub(crate) fn holds(&self, at: SamplesIndex) -> bool {
        self.buffers.all().any(|buffer| buffer.holds(at))
    }

    fn flush(&self, sink: usize) {
        self.flushing.fetch_or(1 << sink, Ordering::Relaxed);
        let buffered = self.buffered.lock().all.clone();
        for series in buffered.iter().filter_map(Weak::upgrade) {
            series.flush();
        }
        // What is measured from now on may miss this collection, although it need not.
        let collection = self.collections.fetch_add(1, Ordering::Relaxed) + 1;
        self.collected[sink].store(collection, Ordering::Relaxed);
    }
}
