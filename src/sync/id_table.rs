//! A table by span id that is read without a lock, laid out as the registry lays out spans.
//!
//! Invariant: a slot belongs to the id in its tag, from `insert` to `remove`, and only threads
//! that have the id may write there. They have it from the thread that inserted it, so a
//! look-up needs no ordering; `each` meets ids that it was not given, so it acquires a tag,
//! which is released after its slot is filled.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::segmented::Segmented;

mod address;
mod far;
#[cfg(test)]
mod model;
mod near;
mod overflow;
mod slot;
mod tag;
#[cfg(test)]
mod tests;

use address::{Address, NEAR};
use far::Far;
use near::Block;
pub(crate) use near::NearSlot;
use overflow::Overflow;
pub(crate) use slot::Slot;
use tag::{State, Tag};

/// Slots by id, each at the thread, block and index that the id gives.
///
/// A tag has the id that a slot belongs to: one look finds an id, or shows that it is absent,
/// however many there ever were.
pub(crate) struct IdTable<T> {
    near: [OnceLock<Box<Block<T>>>; NEAR],
    /// By thread.
    far: Segmented<OnceLock<Box<Far<T>>>, 16>,
    /// Whether indices have no bound: blocks up to the highest would fill the memory.
    is_sparse: AtomicBool,
    overflow: Overflow<T>,
}

/// What one look shows of an id.
pub(crate) enum Location<'a, T> {
    Nowhere,
    Near(NearSlot<'a, T>),
    /// To be removed by the table, which looks for it.
    Unknown,
}

impl<T: Slot> IdTable<T> {
    /// Ids are those of another registry, which may be any. Called before one is inserted.
    pub(crate) fn expect_any_ids(&self) {
        self.is_sparse.store(true, Ordering::Relaxed);
    }

    /// Calls with the slot of an id that is present.
    #[inline]
    pub(crate) fn with<R>(&self, id: u64, call: impl FnOnce(&T) -> R) -> Option<R> {
        let address = Address::of(id);
        if let Some(block) = self.near(address)
            && block.tag(address) == address.tag(State::Present)
        {
            return Some(call(block.slot(address)));
        }
        if address.near().is_some() && self.overflow.is_empty() {
            return None;
        }
        self.with_farther(id, address, call)
    }

    #[inline]
    pub(crate) fn contains(&self, id: u64) -> bool {
        self.with(id, |_| ()).is_some()
    }

    /// The slot of an id that is to be inserted, if that slot stays and is free.
    #[inline]
    pub(crate) fn vacant(&self, id: u64) -> Option<NearSlot<'_, T>> {
        let address = Address::of(id);
        let near = self.near(address)?.near_slot(address);
        (!near.tag().is_present()).then_some(near)
    }

    /// Inserts an id.
    ///
    /// Another one may be in its slot: in the registry, one whose end was hidden from the
    /// caller. `make_room` may remove it.
    #[inline(never)]
    pub(crate) fn insert(&self, id: u64, fill: impl FnOnce(&T), make_room: impl FnOnce(u64)) {
        let address = Address::of(id);
        let tag = self.tag(address);
        if tag.is_present() {
            make_room(address.id_of(tag));
        }
        if self.has_no_slot(address) || self.tag(address).is_present() {
            self.overflow.insert(id, fill);
        } else {
            self.put(address, State::Present, fill);
        }
    }

    /// Where an id is that is to be removed.
    #[inline]
    pub(crate) fn locate(&self, id: u64) -> Location<'_, T> {
        let address = Address::of(id);
        let near = self.near(address).map(|block| block.near_slot(address));
        let tag = near.as_ref().map_or(Tag::FREE, NearSlot::tag);
        match near {
            Some(near) if tag == near.present() => Location::Near(near),
            _ if tag == Tag::FREE && address.near().is_some() && self.overflow.is_empty() => {
                Location::Nowhere
            }
            _ => Location::Unknown,
        }
    }

    /// Removes an id, and what is noted of it, after a call with it if it is present.
    #[inline(never)]
    pub(crate) fn remove<R>(&self, id: u64, call: impl FnOnce(&T) -> R) -> Option<R> {
        let address = Address::of(id);
        let has_slot = address.is_of(self.tag(address));
        let called = self.with(id, call);
        if !has_slot {
            self.overflow.remove(id);
        } else if let Some(block) = self.near(address) {
            block.near_slot(address).release();
        } else if let Some(far) = self.far(address) {
            far.clear(address);
        }
        called
    }

    /// Calls with the slot of an id that is present, or of which something is noted.
    pub(crate) fn with_noted<R>(&self, id: u64, call: impl FnOnce(&T) -> R) -> Option<R> {
        let address = Address::of(id);
        if !address.is_of(self.tag(address)) {
            self.overflow.with(id, call)
        } else if let Some(block) = self.near(address) {
            Some(call(block.slot(address)))
        } else {
            let slots = self.far(address)?.slots(address)?;
            Some(call(&slots[address.slot()]))
        }
    }

    /// Writes to the slot of an id, which need not be present, and stays absent then.
    ///
    /// Nothing is noted of an absent id that has no slot.
    pub(crate) fn note(&self, id: u64, write: impl FnOnce(&T)) {
        let address = Address::of(id);
        if self.has_no_slot(address) || self.tag(address).is_present() {
            let _ = self.with(id, write);
        } else {
            self.put(address, State::Noted, write);
        }
    }

    /// Calls with each slot whose id is present.
    pub(crate) fn each(&self, mut call: impl FnMut(&T)) {
        let near = self.near.iter().filter_map(OnceLock::get);
        near.for_each(|block| block.each(&mut call));
        let far = self.far.iter().filter_map(OnceLock::get);
        far.for_each(|far| far.each(&mut call));
        self.overflow.each(call);
    }

    #[inline(never)]
    fn with_farther<R>(&self, id: u64, address: Address, call: impl FnOnce(&T) -> R) -> Option<R> {
        if let Some(far) = self.far(address)
            && far.tag(address) == address.tag(State::Present)
            && let Some(slots) = far.slots(address)
        {
            return Some(call(&slots[address.slot()]));
        }
        if self.overflow.is_empty() {
            return None;
        }
        self.overflow.with(id, call)
    }

    fn put(&self, address: Address, state: State, fill: impl FnOnce(&T)) {
        if let Some(near) = address.near() {
            let block = self.near[near].get_or_init(Box::default);
            block.near_slot(address).put(address.tag(state), fill);
        } else {
            let far = self.far.get_or_grow(address.thread());
            far.get_or_init(Box::default).put(address, state, fill);
        }
    }

    fn tag(&self, address: Address) -> Tag {
        match self.near(address) {
            Some(block) => block.tag(address),
            None => self.far(address).map_or(Tag::FREE, |far| far.tag(address)),
        }
    }

    #[inline]
    fn near(&self, address: Address) -> Option<&Block<T>> {
        let block = self.near.get(address.near()?)?;
        block.get().map(AsRef::as_ref)
    }

    #[inline]
    fn far(&self, address: Address) -> Option<&Far<T>> {
        if self.has_no_slot(address) {
            return None;
        }
        self.far.get(address.thread())?.get().map(AsRef::as_ref)
    }

    fn has_no_slot(&self, address: Address) -> bool {
        address.is_out_of_range()
            || address.near().is_none() && self.is_sparse.load(Ordering::Relaxed)
    }
}

impl<T> Default for IdTable<T> {
    fn default() -> Self {
        Self {
            near: [const { OnceLock::new() }; NEAR],
            far: Segmented::new(),
            is_sparse: AtomicBool::new(false),
            overflow: Overflow::default(),
        }
    }
}
