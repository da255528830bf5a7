//! Append-only arrays that are read without a lock.

use std::sync::OnceLock;

/// Enough for more places than there is memory for.
const SEGMENTS: usize = 28;

/// Places that never move, allocated in segments, each of which doubles the whole.
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
        let (segment, at) = Self::place(index);
        self.segments.get(segment)?.get()?.get(at)
    }

    /// Allocates the segment of this place if it is not there.
    pub(crate) fn get_or_grow(&self, index: u32) -> &T
    where
        T: Default,
    {
        let (segment, at) = Self::place(index);
        let places = self.segments[segment].get_or_init(|| {
            let size = FIRST << segment.saturating_sub(1);
            (0..size).map(|_| T::default()).collect()
        });
        &places[at]
    }

    /// All places that were ever allocated.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.segments.iter().filter_map(OnceLock::get).flatten()
    }

    /// The segments start at 0, FIRST, 2 * FIRST, 4 * FIRST and so on.
    #[inline]
    fn place(index: u32) -> (usize, usize) {
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

/// Places that never move, of which only the blocks that are asked for are allocated.
///
/// A thread that needs one place of many takes one block, where [`Segmented`] would
/// allocate as many places as there are before it.
pub(crate) struct Blocks<T, const SIZE: usize> {
    blocks: Segmented<OnceLock<Box<[T; SIZE]>>, 16>,
}

impl<T: Default, const SIZE: usize> Blocks<T, SIZE> {
    #[inline(always)]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let (block, at) = Self::place(index);
        Some(&self.blocks.get(block)?.get()?[at])
    }

    /// Allocates the block of this place if it is not there.
    #[cold]
    pub(crate) fn get_or_grow(&self, index: u32) -> &T {
        let (block, at) = Self::place(index);
        let new = || Box::new(std::array::from_fn(|_| T::default()));
        &self.blocks.get_or_grow(block).get_or_init(new)[at]
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "a block is small")]
    const fn place(index: u32) -> (u32, usize) {
        (index / SIZE as u32, index as usize % SIZE)
    }
}

impl<T, const SIZE: usize> Default for Blocks<T, SIZE> {
    fn default() -> Self {
        Self {
            blocks: Segmented::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn every_index_has_a_place_of_its_own() {
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

    #[test]
    fn only_the_blocks_that_are_asked_for_are_there() {
        let blocks = Blocks::<AtomicU32, 8>::default();
        for index in (0..1000).step_by(100) {
            blocks.get_or_grow(index).store(index, Ordering::Relaxed);
        }
        for index in 0..1000_u32 {
            let value = blocks.get(index).map(|it| it.load(Ordering::Relaxed));
            let is_there = (0..1000).step_by(100).any(|asked| asked / 8 == index / 8);
            assert_eq!(value.is_some(), is_there, "{index}");
            if index % 100 == 0 {
                assert_eq!(value, Some(index));
            }
        }
    }
}
