//! Which id the slot of a table belongs to.

use std::sync::atomic::{AtomicU16, Ordering};

/// A generation, and what that id has in the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u16);

/// What an id has in its slot.
#[derive(Clone, Copy)]
#[repr(u16)]
pub(super) enum State {
    /// The id is absent, and something is noted of it.
    Noted = 1 << 14,
    Present = 1 << 15,
}

impl Tag {
    pub(super) const FREE: Self = Self(0);
    /// A tag has room for the generations below this one.
    pub(super) const GENERATIONS: u64 = State::Noted as u64;

    #[inline]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "bounded, or of an id that has no slot"
    )]
    pub(super) const fn new(generation: u64, state: State) -> Self {
        Self(generation as u16 | state as u16)
    }

    #[inline]
    pub(super) const fn is_present(self) -> bool {
        self.0 & State::Present as u16 != 0
    }

    pub(super) fn generation(self) -> u64 {
        u64::from(self.0) % Self::GENERATIONS
    }
}

/// The tag of one slot. It is released, and acquired by `acquire` alone: all other readers
/// have an id, and what they see of it with the id.
pub(super) struct AtomicTag(AtomicU16);

impl AtomicTag {
    #[inline]
    pub(super) fn get(&self) -> Tag {
        Tag(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn acquire(&self) -> Tag {
        Tag(self.0.load(Ordering::Acquire))
    }

    #[inline]
    pub(super) fn set(&self, tag: Tag) {
        self.0.store(tag.0, Ordering::Release);
    }
}

impl Default for AtomicTag {
    fn default() -> Self {
        Self(AtomicU16::new(Tag::FREE.0))
    }
}
