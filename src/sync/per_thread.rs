//! A value for each thread, found without a lock.
//!
//! Invariant: a slot is of one thread from the moment in which that thread joins until it
//! ends. So what only the slot's own thread writes has one writer at a time, and the next
//! owner sees what the last one wrote: both have held the lock of the slots in between.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::Mutex;
use super::blocks::Blocks;

thread_local! {
    /// Whose slot this thread has looked up last, and which it is. Without a destructor,
    /// so that it can be read as long as the thread runs.
    static LATEST: Cell<(u64, u32)> = const { Cell::new(NONE) };
    /// This thread's slots, which are given back when it ends.
    static JOINED: RefCell<Vec<Joined>> = const { RefCell::new(Vec::new()) };
}

const NONE: (u64, u32) = (0, 0);

/// As many values as threads have ever been there at once.
pub(crate) struct PerThread<T> {
    /// Never that of another one, not even later.
    id: u64,
    values: Blocks<T, 8>,
    slots: Arc<Mutex<Slots>>,
}

#[derive(Default)]
struct Slots {
    ever: u32,
    /// Of threads that have ended, for those that come.
    free: Vec<u32>,
}

struct Joined {
    slots: Weak<Mutex<Slots>>,
    slot: u32,
}

impl<T: Default> PerThread<T> {
    /// This thread's value, if it has joined. Another thread may still read it.
    #[inline(always)]
    pub(crate) fn mine(&self) -> Option<&T> {
        let (id, slot) = LATEST.try_with(Cell::get).unwrap_or(NONE);
        if id != self.id {
            return None;
        }
        self.values.get(slot)
    }

    /// The same for a thread that has not joined, or has looked up another one's since. A
    /// thread that is about to end gets none: its slot would never be given back.
    #[cold]
    pub(crate) fn join(&self) -> Option<&T> {
        let slot = JOINED.try_with(|joined| {
            let mut joined = joined.try_borrow_mut().ok()?;
            let is_ours = |joined: &&Joined| joined.slots.as_ptr() == Arc::as_ptr(&self.slots);
            if let Some(known) = joined.iter().find(is_ours) {
                return Some(known.slot);
            }
            joined.retain(|joined| joined.slots.strong_count() > 0);
            let slot = self.slots.lock().take();
            joined.push(Joined {
                slots: Arc::downgrade(&self.slots),
                slot,
            });
            Some(slot)
        });
        let slot = slot.ok().flatten()?;
        LATEST.try_with(|latest| latest.set((self.id, slot))).ok()?;
        Some(self.values.get_or_grow(slot))
    }

    /// The values of all threads that have ever joined.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        let slots = 0..self.slots.lock().ever;
        slots.filter_map(|slot| self.values.get(slot))
    }
}

impl<T> Default for PerThread<T> {
    fn default() -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            values: Blocks::new(),
            slots: Arc::default(),
        }
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

impl Drop for Joined {
    fn drop(&mut self) {
        let _ = LATEST.try_with(|latest| latest.set(NONE));
        if let Some(slots) = self.slots.upgrade() {
            slots.lock().free.push(self.slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    fn add_one(to: &PerThread<AtomicU32>) {
        let mine = to.mine().or_else(|| to.join()).unwrap();
        mine.fetch_add(1, Ordering::Relaxed);
    }

    fn values(of: &PerThread<AtomicU32>) -> Vec<u32> {
        of.all().map(|it| it.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn each_thread_has_a_value_and_those_of_ended_threads_stay() {
        let counts = PerThread::default();
        add_one(&counts);
        add_one(&counts);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                assert!(counts.mine().is_none());
                add_one(&counts);
            });
            other.join().unwrap();
        });
        assert_eq!(values(&counts), [2, 1]);
    }

    #[test]
    fn a_thread_that_comes_gets_the_slot_of_one_that_has_ended() {
        let counts = PerThread::default();
        for _ in 0..3 {
            std::thread::scope(|scope| scope.spawn(|| add_one(&counts)).join().unwrap());
        }
        assert_eq!(values(&counts), [3]);
    }

    #[test]
    fn one_thread_has_a_slot_in_each_of_many() {
        let many = [PerThread::default(), PerThread::default()];
        for _ in 0..3 {
            many.iter().for_each(add_one);
        }
        assert_eq!(many.each_ref().map(values), [vec![3], vec![3]]);
    }
}
