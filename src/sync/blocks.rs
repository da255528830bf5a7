//! A sparse append-only array that is read without a lock.
//!
//! Invariant: a block never moves or goes once it is there. Any thread may read and may
//! allocate; `OnceLock` shows a block to others after all its slots are made, and one
//! thread's block wins. What is in a slot is the slot's own business.

use std::sync::OnceLock;

use super::segmented::Segmented;

/// Slots that never move, of which only the blocks that are asked for are allocated.
///
/// A thread that needs one slot of many takes one block, where [`Segmented`] would
/// allocate as many slots as there are before it. Nor is much allocated at once.
pub(crate) struct Blocks<T, const SIZE: usize> {
    /// One look away, because most slots that are ever used are in it.
    first: OnceLock<Block<T, SIZE>>,
    /// The first has no slots here.
    blocks: Segmented<OnceLock<Block<T, SIZE>>, 16>,
}

type Block<T, const SIZE: usize> = Box<[T; SIZE]>;

impl<T, const SIZE: usize> Blocks<T, SIZE> {
    pub(crate) const fn new() -> Self {
        Self {
            first: OnceLock::new(),
            blocks: Segmented::new(),
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        if (index as usize) < SIZE {
            return Some(&self.first.get()?[index as usize]);
        }
        self.get_beyond_first(index)
    }

    #[inline]
    fn get_beyond_first(&self, index: u32) -> Option<&T> {
        let (block, at) = Self::locate(index);
        Some(&self.blocks.get(block)?.get()?[at])
    }

    /// Allocates the block of this slot if it is not there.
    #[cold]
    pub(crate) fn get_or_grow(&self, index: u32) -> &T
    where
        T: Default,
    {
        let (block, at) = Self::locate(index);
        let new = || Box::new(std::array::from_fn(|_| T::default()));
        let block = match block {
            0 => &self.first,
            block => self.blocks.get_or_grow(block),
        };
        &block.get_or_init(new)[at]
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a block is small")]
    const fn locate(index: u32) -> (u32, usize) {
        (index / SIZE as u32, index as usize % SIZE)
    }
}

impl<T, const SIZE: usize> Default for Blocks<T, SIZE> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

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
