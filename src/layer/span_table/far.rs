//! Slots that are there as long as a span stands near them.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::{ArcSwapOption, Guard};

use super::{FREE, OpenSpan, Place, Slots, Tags};
use crate::sync::Mutex;
use crate::sync::segmented::Segmented;

/// The blocks of a thread that has more spans open than it mostly does.
///
/// Readers take no lock, and keep slots alive while they look at them. Only a span that
/// comes or goes takes turns with others.
///
/// Invariant: a block without a span has no slots, but for the one that became empty last:
/// a program that opens and closes a single span there would make them each time. Tags
/// stay: two megabytes after a burst of a million spans.
#[derive(Default)]
pub(super) struct Far {
    blocks: Segmented<FarBlock, 16>,
    became_empty: Mutex<Option<u32>>,
}

#[derive(Default)]
struct FarBlock {
    tags: Tags,
    /// How many spans stand here. Changed under the lock of `became_empty` only.
    spans: AtomicU32,
    slots: ArcSwapOption<Slots>,
}

/// Slots that are being looked at.
pub(super) struct Reading(Guard<Option<Arc<Slots>>>);

impl Deref for Reading {
    type Target = Slots;

    fn deref(&self) -> &Slots {
        self.0.as_ref().expect("only made of slots that are there")
    }
}

impl Far {
    #[inline]
    pub(super) fn tag(&self, place: Place) -> u16 {
        let block = self.blocks.get(index(place));
        block.map_or(FREE, |block| block.tags.get(place))
    }

    /// The slots around a span that stands there.
    pub(super) fn slots(&self, place: Place) -> Option<Reading> {
        let slots = self.blocks.get(index(place))?.slots.load();
        slots.is_some().then(|| Reading(slots))
    }

    /// Lets a span into its slot, which is free, or its own already.
    pub(super) fn put(&self, place: Place, mark: u16, fill: impl FnOnce(&OpenSpan)) {
        let held = self.became_empty.lock();
        let block = self.blocks.get_or_grow(index(place));
        let slots = block.slots.load_full().unwrap_or_else(|| {
            let new = Arc::new(super::slots());
            block.slots.store(Some(Arc::clone(&new)));
            new
        });
        if block.tags.get(place) == FREE {
            block.spans.fetch_add(1, Ordering::Relaxed);
        }
        fill(&slots[place.at()]);
        block.tags.set(place, place.tag(mark));
        drop(held);
    }

    /// Clears the slot of a span that goes.
    pub(super) fn clear(&self, place: Place) {
        let Some(block) = self.blocks.get(index(place)) else {
            return;
        };
        let Some(slots) = self.slots(place) else {
            return;
        };
        // Not under the lock: the last owner of a series calls its sinks.
        slots[place.at()].clear();
        let mut became_empty = self.became_empty.lock();
        block.tags.set(place, FREE);
        let mut unused = None;
        if block.spans.fetch_sub(1, Ordering::Relaxed) == 1 {
            let before = became_empty.replace(index(place));
            let before = before.filter(|before| *before != index(place));
            unused = before.and_then(|before| self.take_unused(before));
        }
        drop(became_empty);
        drop(unused);
    }

    /// The slots of a block that became empty, if it still is.
    fn take_unused(&self, block: u32) -> Option<Arc<Slots>> {
        let block = self.blocks.get(block)?;
        if block.spans.load(Ordering::Relaxed) > 0 {
            return None;
        }
        block.slots.swap(None)
    }

    pub(super) fn each(&self, mut call: impl FnMut(&Tags, &Slots)) {
        for block in self.blocks.iter() {
            if let Some(slots) = &*block.slots.load() {
                call(&block.tags, slots);
            }
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "there are bounds to a place"
)]
const fn index(place: Place) -> u32 {
    place.block() as u32
}
