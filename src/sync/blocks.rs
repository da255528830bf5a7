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
/// allocate as many slots as there are before it. Nor is much allocated at once: a block
/// should be of about 4 kB. The first may be smaller, for those who need few.
pub(crate) struct Blocks<T, const FIRST: usize, const SIZE: usize = FIRST> {
    /// One look away, because most slots that are ever used are in it.
    first: OnceLock<Block<T, FIRST>>,
    /// Those after the first.
    blocks: Segmented<OnceLock<Block<T, SIZE>>, 16>,
}

type Block<T, const SIZE: usize> = Box<[T; SIZE]>;

impl<T, const FIRST: usize, const SIZE: usize> Blocks<T, FIRST, SIZE> {
    pub(crate) const fn new() -> Self {
        Self {
            first: OnceLock::new(),
            blocks: Segmented::new(),
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        if (index as usize) < FIRST {
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
        if (index as usize) < FIRST {
            return &self.first.get_or_init(block)[index as usize];
        }
        let (at_block, at) = Self::locate(index);
        &self.blocks.get_or_grow(at_block).get_or_init(block)[at]
    }

    /// Only called with what is not in the first block.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a block is small")]
    const fn locate(index: u32) -> (u32, usize) {
        let index = index - FIRST as u32;
        (index / SIZE as u32, index as usize % SIZE)
    }
}

#[allow(
    clippy::unnecessary_box_returns,
    reason = "it is made to be kept boxed"
)]
fn block<T: Default, const SIZE: usize>() -> Block<T, SIZE> {
    Box::new(std::array::from_fn(|_| T::default()))
}

impl<T, const FIRST: usize, const SIZE: usize> Default for Blocks<T, FIRST, SIZE> {
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
        let blocks = Blocks::<AtomicU32, 4, 16>::default();
        for index in (0..1000).step_by(100) {
            blocks.get_or_grow(index).store(index, Ordering::Relaxed);
        }
        // The first one ends where the index is 4.
        let block = |index: u32| (index + 12) / 16;
        for index in 0..1000_u32 {
            let value = blocks.get(index).map(|it| it.load(Ordering::Relaxed));
            let mut asked = (0..1000).step_by(100);
            let is_there = asked.any(|asked| block(asked) == block(index));
            assert_eq!(value.is_some(), is_there, "{index}");
            if index % 100 == 0 {
                assert_eq!(value, Some(index));
            }
        }
    }
}
