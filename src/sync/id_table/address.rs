//! Where the slot of an id is.

use super::tag::{State, Tag};
use crate::sync::registry_id::RegistryId;

/// How many slots a block has.
pub(super) const BLOCK: usize = 64;
/// So many blocks of each of so many threads stay for good: 33 kB a thread for slots of 64
/// bytes, if all of them were ever needed.
const NEAR_BLOCKS: u64 = 8;
const NEAR_THREADS: u64 = 64;
#[allow(clippy::cast_possible_truncation, reason = "it is 512")]
pub(super) const NEAR: usize = (NEAR_BLOCKS * NEAR_THREADS) as usize;
/// `tracing-subscriber`'s registry gives no id beyond this.
const MOST_BLOCKS: u64 = 1 << 20;

/// Where the slot of an id is, and which ids of that slot it is.
#[derive(Clone, Copy)]
pub(super) struct Address(RegistryId);

#[allow(
    clippy::cast_possible_truncation,
    reason = "bounded, or of an id that has no slot"
)]
impl Address {
    #[inline]
    pub(super) const fn of(id: u64) -> Self {
        Self(RegistryId::of(id))
    }

    /// Which of the blocks that stay has the slot, if one has.
    #[inline]
    pub(super) const fn near(self) -> Option<usize> {
        let is_near = self.index_of_block() < NEAR_BLOCKS
            && self.0.thread < NEAR_THREADS
            && self.0.generation < Tag::GENERATIONS;
        if is_near {
            Some((self.0.thread * NEAR_BLOCKS + self.index_of_block()) as usize)
        } else {
            None
        }
    }

    #[inline]
    pub(super) const fn thread(self) -> u32 {
        self.0.thread as u32
    }

    /// Which block of its thread has the slot.
    #[inline]
    pub(super) const fn block(self) -> u32 {
        self.index_of_block() as u32
    }

    /// Which slot of its block it is.
    #[inline]
    pub(super) const fn slot(self) -> usize {
        self.0.index as usize % BLOCK
    }

    /// The slot's tag while this id is in that state.
    #[inline]
    pub(super) const fn tag(self, state: State) -> Tag {
        Tag::new(self.0.generation, state)
    }

    /// Whether the slot's tag is of this id, in any state.
    pub(super) fn is_of(self, tag: Tag) -> bool {
        tag == self.tag(State::Present) || tag == self.tag(State::Noted)
    }

    /// The id that a tag of the slot is of.
    pub(super) fn id_of(self, tag: Tag) -> u64 {
        let generation = tag.generation();
        RegistryId {
            generation,
            ..self.0
        }
        .id()
    }

    /// Whether no id of that registry is so far out.
    #[inline]
    pub(super) const fn is_out_of_range(self) -> bool {
        self.index_of_block() >= MOST_BLOCKS || self.0.generation >= Tag::GENERATIONS
    }

    #[inline]
    const fn index_of_block(self) -> u64 {
        self.0.index / BLOCK as u64
    }
}
