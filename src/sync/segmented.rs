//! An append-only array that is read without a lock.
//!
//! Invariant: a segment never moves or goes once it is there. Any thread may read and may
//! allocate; `OnceLock` shows a segment to others after all its slots are made, and one
//! thread's segment wins. What is in a slot is the slot's own business.

use std::sync::OnceLock;

/// Enough for more slots than there is memory for.
const SEGMENTS: usize = 28;

/// Slots that never move, allocated in segments, each of which doubles the whole.
pub(crate) struct Segmented<T, const FIRST: usize> {
    segments: [OnceLock<Box<[T]>>; SEGMENTS],
}

impl<T, const FIRST: usize> Segmented<T, FIRST> {
    pub(crate) const fn new() -> Self {
        assert!(FIRST.is_power_of_two());
        Self {
            segments: [const { OnceLock::new() }; SEGMENTS],
        }
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let (segment, at) = Self::locate(index);
        self.segments.get(segment)?.get()?.get(at)
    }

    /// Allocates the segment of this slot if it is not there.
    pub(crate) fn get_or_grow(&self, index: u32) -> &T
    where
        T: Default,
    {
        let (segment, at) = Self::locate(index);
        let slots = self.segments[segment].get_or_init(|| {
            let size = FIRST << segment.saturating_sub(1);
            (0..size).map(|_| T::default()).collect()
        });
        &slots[at]
    }

    /// All slots that were ever allocated.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.segments.iter().filter_map(OnceLock::get).flatten()
    }

    /// The segments start at 0, FIRST, 2 * FIRST, 4 * FIRST and so on.
    #[inline]
    fn locate(index: u32) -> (usize, usize) {
        let index = index as usize;
        match (index / FIRST).checked_ilog2() {
            None => (0, index),
            Some(doublings) => (1 + doublings as usize, index - (FIRST << doublings)),
        }
    }
}

impl<T, const FIRST: usize> Default for Segmented<T, FIRST> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn every_index_has_its_own_slot() {
        let array = Segmented::<AtomicU32, 8>::new();
        for index in 0..10_000 {
            array.get_or_grow(index).store(index, Ordering::Relaxed);
        }
        for index in 0..10_000 {
            assert_eq!(array.get(index).unwrap().load(Ordering::Relaxed), index);
        }
    }

    #[test]
    fn what_was_never_asked_for_is_not_there() {
        let array = Segmented::<AtomicU32, 8>::new();
        array.get_or_grow(9);
        assert!(array.get(8).is_some() && array.get(7).is_none() && array.get(16).is_none());
    }
}
