//! Blocks that are there as long as one of their slots is in use.
//!
//! Invariant: insertions and removals take turns, under a lock. Readers take none: they keep
//! slots alive while they look at them, and slots are given back when no tag of their block is
//! set. The block that became empty last keeps its slots: a program that inserts and removes a
//! single id there would make them each time.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::{ArcSwapOption, Guard};

use super::address::Address;
use super::near::{Slots, Tags, empty_slots};
use super::slot::Slot;
use super::tag::{State, Tag};
use crate::sync::Mutex;
use crate::sync::segmented::Segmented;

/// The blocks of a thread that has more ids than it mostly has.
///
/// Tags stay: two megabytes after a burst of a million ids.
pub(super) struct Far<T> {
    blocks: Segmented<FarBlock<T>, 16>,
    became_empty: Mutex<Option<u32>>,
}

struct FarBlock<T> {
    tags: Tags,
    /// How many slots are in use. Changed under the lock of `became_empty` only.
    used: AtomicU32,
    slots: ArcSwapOption<Slots<T>>,
}

/// Slots that are being looked at.
pub(super) struct Reading<T>(Guard<Option<Arc<Slots<T>>>>);

impl<T> Deref for Reading<T> {
    type Target = Slots<T>;

    fn deref(&self) -> &Slots<T> {
        self.0.as_ref().expect("only made of slots that are there")
    }
}

impl<T: Slot> Far<T> {
    #[inline]
    pub(super) fn tag(&self, address: Address) -> Tag {
        let block = self.blocks.get(address.block());
        block.map_or(Tag::FREE, |block| block.tags.of(address).get())
    }

    /// The slots around that of an id which is in use.
    pub(super) fn slots(&self, address: Address) -> Option<Reading<T>> {
        let slots = self.blocks.get(address.block())?.slots.load();
        slots.is_some().then(|| Reading(slots))
    }

    /// Lets an id into its slot, which is free, or its already.
    pub(super) fn put(&self, address: Address, state: State, fill: impl FnOnce(&T)) {
        let held = self.became_empty.lock();
        let block = self.blocks.get_or_grow(address.block());
        let slots = block.slots.load_full().unwrap_or_else(|| {
            let new = Arc::new(empty_slots());
            block.slots.store(Some(Arc::clone(&new)));
            new
        });
        let tag = block.tags.of(address);
        if tag.get() == Tag::FREE {
            block.used.fetch_add(1, Ordering::Relaxed);
        }
        fill(&slots[address.slot()]);
        tag.set(address.tag(state));
        drop(held);
    }

    /// Clears the slot of an id, and lets the id out.
    pub(super) fn clear(&self, address: Address) {
        let Some(block) = self.blocks.get(address.block()) else {
            return;
        };
        let Some(slots) = self.slots(address) else {
            return;
        };
        // Not under the lock: to clear a slot may call foreign code.
        slots[address.slot()].clear();
        let mut became_empty = self.became_empty.lock();
        block.tags.of(address).set(Tag::FREE);
        let mut unused = None;
        if block.used.fetch_sub(1, Ordering::Relaxed) == 1 {
            let before = became_empty.replace(address.block());
            let before = before.filter(|before| *before != address.block());
            unused = before.and_then(|before| self.take_unused(before));
        }
        drop(became_empty);
        drop(unused);
    }

    pub(super) fn each(&self, mut call: impl FnMut(&T)) {
        for block in self.blocks.iter() {
            if let Some(slots) = &*block.slots.load() {
                block.tags.each_present(slots, &mut call);
            }
        }
    }

    /// How many blocks have slots.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        let blocks = self.blocks.iter();
        blocks.filter(|block| block.slots.load().is_some()).count()
    }

    /// The slots of a block that became empty, if it still is.
    fn take_unused(&self, block: u32) -> Option<Arc<Slots<T>>> {
        let block = self.blocks.get(block)?;
        if block.used.load(Ordering::Relaxed) > 0 {
            return None;
        }
        block.slots.swap(None)
    }
}

impl<T> Default for Far<T> {
    fn default() -> Self {
        Self {
            blocks: Segmented::new(),
            became_empty: Mutex::default(),
        }
    }
}

impl<T> Default for FarBlock<T> {
    fn default() -> Self {
        Self {
            tags: Tags::default(),
            used: AtomicU32::new(0),
            slots: ArcSwapOption::empty(),
        }
    }
}
