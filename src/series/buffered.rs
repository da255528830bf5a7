//! What is pending of a series, and was flushed before.

use crate::pending::{Buffer, BufferSlot, Pending, SinkSet, SumIndex, Whose};
use crate::sync::Mutex;

/// How often a level is read to see it at one moment. Threads that never rest could go on
/// for ever.
const MOST_READINGS: usize = 100;

/// The buffers of a series that is hot.
///
/// Invariant: of two threads that flush one is done before the other begins: the later one
/// may have to take back what the earlier one adds.
pub(super) struct Buffered {
    pub(super) slot: BufferSlot,
    /// The sinks that flush. The others are called each time.
    pub(super) sinks: SinkSet,
    pub(super) by_all: bool,
    /// How much of a sum was flushed. Held until that is recorded.
    flushed: Mutex<f64>,
}

impl Buffered {
    pub(super) fn new(slot: BufferSlot, sinks: SinkSet, by_all: bool) -> Self {
        Self {
            slot,
            sinks,
            by_all,
            flushed: Mutex::default(),
        }
    }

    /// Calls with what is pending on all threads.
    pub(super) fn flush(&self, pending: &Pending, mut record: impl FnMut(f64)) {
        let mut flushed = self.flushed.lock();
        match self.slot.buffer() {
            Buffer::Histogram(at) => pending.drain(at, Whose::All, record),
            Buffer::Counter { .. } | Buffer::UpDownCounter { .. } => {
                let sum = self.sum(pending);
                let due = std::mem::replace(&mut *flushed, sum);
                if let Some(due) = difference(sum, due) {
                    record(due);
                }
            }
        }
    }

    /// Calls with what this thread has observed, unless another one is flushing.
    pub(super) fn make_room(&self, pending: &Pending, record: impl FnMut(f64)) {
        if let Buffer::Histogram(at) = self.slot.buffer()
            && let Some(_flushed) = self.flushed.try_lock()
        {
            pending.drain(at, Whose::This, record);
        }
    }

    /// Whether a flush would bring anything.
    pub(super) fn holds_any(&self, pending: &Pending) -> bool {
        let flushed = self.flushed.lock();
        match self.slot.buffer() {
            Buffer::Histogram(at) => pending.holds(at),
            Buffer::Counter { .. } | Buffer::UpDownCounter { .. } => {
                difference(self.sum(pending), *flushed).is_some()
            }
        }
    }

    fn sum(&self, pending: &Pending) -> f64 {
        match self.slot.buffer() {
            Buffer::Counter { added } => pending.sum(added),
            Buffer::UpDownCounter { added, taken_back } => level(pending, added, taken_back),
            Buffer::Histogram(_) => 0.0,
        }
    }
}

/// What was taken back had been added before, maybe on another thread: read first, it
/// is never seen before that. If it has grown meanwhile, there may be any number of
/// spans of which the beginning was seen and not the end.
fn level(pending: &Pending, added: SumIndex, taken_back: SumIndex) -> f64 {
    let mut before = pending.sum(taken_back);
    for _ in 0..MOST_READINGS {
        let (added, after) = (pending.sum(added), pending.sum(taken_back));
        if after <= before {
            return added - before;
        }
        before = after;
    }
    pending.sum(added) - before
}

fn difference(sum: f64, flushed: f64) -> Option<f64> {
    Some(sum - flushed).filter(|due| *due != 0.0)
}
