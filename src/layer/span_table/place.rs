//! Where the table keeps a span.

use super::PASSED;
use crate::registry_id::RegistryId;

/// How many spans share a block.
pub(super) const BLOCK: usize = 64;
/// So many blocks of each of so many threads stay for good: 33 kB a thread, if all of them
/// were ever needed.
const NEAR_BLOCKS: u64 = 8;
const NEAR_THREADS: u64 = 64;
#[allow(clippy::cast_possible_truncation, reason = "it is 512")]
pub(super) const NEAR: usize = (NEAR_BLOCKS * NEAR_THREADS) as usize;
/// A span beyond this is not one of `tracing-subscriber`'s registry.
const MOST_BLOCKS: u64 = 1 << 20;

/// Where a span's slot is.
#[derive(Clone, Copy)]
pub(super) struct Place(pub(super) RegistryId);

#[allow(
    clippy::cast_possible_truncation,
    reason = "bounded, or of a span that has no place"
)]
impl Place {
    #[inline(always)]
    pub(super) const fn of(id: u64) -> Self {
        Self(RegistryId::of(id))
    }

    /// Which of the blocks that stay is the span's.
    #[inline(always)]
    pub(super) const fn near(self) -> Option<usize> {
        let is_near = self.block() < NEAR_BLOCKS
            && self.0.thread < NEAR_THREADS
            && self.0.generation < PASSED as u64;
        if is_near {
            Some((self.0.thread * NEAR_BLOCKS + self.block()) as usize)
        } else {
            None
        }
    }

    #[inline(always)]
    pub(super) const fn block(self) -> u64 {
        self.0.index / BLOCK as u64
    }

    #[inline(always)]
    pub(super) const fn thread(self) -> u32 {
        self.0.thread as u32
    }

    #[inline(always)]
    pub(super) const fn at(self) -> usize {
        self.0.index as usize % BLOCK
    }

    /// What the tag of its slot says, if the span stands there, with one of the marks.
    #[inline(always)]
    pub(super) const fn tag(self, mark: u16) -> u16 {
        self.0.generation as u16 | mark
    }

    /// Whether no span of that registry stands so far out.
    #[inline(always)]
    pub(super) const fn is_beyond(self) -> bool {
        self.block() >= MOST_BLOCKS || self.0.generation >= PASSED as u64
    }
}
