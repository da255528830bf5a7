//! Blocks that stay, of the few ids that most threads have at once.
//!
//! Invariant: a tag is set after its slot is filled, and set free after its slot is cleared, by
//! a thread that has the id. Any thread may read tags.

use std::array::from_fn;

use super::address::{Address, BLOCK};
use super::slot::Slot;
use super::tag::{AtomicTag, State, Tag};

/// The slots of neighbouring ids, and their tags, which are looked at first and often alone.
pub(super) struct Block<T> {
    tags: Tags,
    slots: Slots<T>,
}

pub(super) struct Tags([AtomicTag; BLOCK]);

pub(super) type Slots<T> = [T; BLOCK];

/// The slot of an id in a block that stays.
pub(crate) struct NearSlot<'a, T> {
    slot: &'a T,
    tag: &'a AtomicTag,
    /// The tag while the id is present.
    present: Tag,
}

impl<T: Slot> Block<T> {
    #[inline]
    pub(super) fn tag(&self, address: Address) -> Tag {
        self.tags.of(address).get()
    }

    #[inline]
    pub(super) fn slot(&self, address: Address) -> &T {
        &self.slots[address.slot()]
    }

    #[inline]
    pub(super) fn near_slot(&self, address: Address) -> NearSlot<'_, T> {
        NearSlot {
            slot: self.slot(address),
            tag: self.tags.of(address),
            present: address.tag(State::Present),
        }
    }

    pub(super) fn each(&self, call: impl FnMut(&T)) {
        self.tags.each_present(&self.slots, call);
    }
}

impl<'a, T: Slot> NearSlot<'a, T> {
    #[inline]
    pub(crate) fn slot(&self) -> &'a T {
        self.slot
    }

    /// Lets the id in, after a call that fills its slot.
    #[inline]
    pub(crate) fn occupy(self, fill: impl FnOnce(&T)) {
        self.put(self.present, fill);
    }

    /// Clears the slot, and lets the id out.
    #[inline]
    pub(crate) fn release(self) {
        self.slot.clear();
        self.tag.set(Tag::FREE);
    }

    #[inline]
    pub(super) fn put(&self, tag: Tag, fill: impl FnOnce(&T)) {
        fill(self.slot);
        self.tag.set(tag);
    }

    #[inline]
    pub(super) fn tag(&self) -> Tag {
        self.tag.get()
    }

    #[inline]
    pub(super) fn present(&self) -> Tag {
        self.present
    }
}

impl Tags {
    #[inline]
    pub(super) fn of(&self, address: Address) -> &AtomicTag {
        &self.0[address.slot()]
    }

    pub(super) fn each_present<T>(&self, slots: &Slots<T>, call: impl FnMut(&T)) {
        let tagged = self.0.iter().zip(slots);
        let present = tagged.filter(|(tag, _)| tag.acquire().is_present());
        present.map(|(_, slot)| slot).for_each(call);
    }
}

impl<T: Default> Default for Block<T> {
    fn default() -> Self {
        Self {
            tags: Tags::default(),
            slots: empty_slots(),
        }
    }
}

impl Default for Tags {
    fn default() -> Self {
        Self(from_fn(|_| AtomicTag::default()))
    }
}

pub(super) fn empty_slots<T: Default>() -> Slots<T> {
    from_fn(|_| T::default())
}
