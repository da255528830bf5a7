//! Blocks that are there as long as a span stands in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::{ArcSwapOption, Guard};

use super::{BLOCK, Block, FREE, NEAR_BLOCKS, OpenSpan, Place};
use crate::no_poison::NoPoison;
use crate::segmented::Segmented;

/// The blocks of a thread that has more spans open than it mostly does.
///
/// Readers take no lock, and keep a block alive while they look at it. Only a span that
/// comes or goes takes turns with others.
///
/// Invariant: a block without a span in it is let go, but for the one that became empty
/// last: a program that opens and closes a single span there would make one each time.
#[derive(Default)]
pub(super) struct Far {
    blocks: Segmented<ArcSwapOption<Counted>, 16>,
    became_empty: NoPoison<Option<u32>>,
}

/// A block that knows how many spans stand in it.
#[derive(Default)]
pub(super) struct Counted {
    block: Block,
    /// Changed under the lock of `became_empty` only.
    spans: AtomicU32,
}

/// A block that is being looked at.
pub(super) struct Reading(Guard<Option<Arc<Counted>>>);

impl std::ops::Deref for Reading {
    type Target = Block;

    fn deref(&self) -> &Block {
        let counted = self.0.as_ref().expect("only made of a block that is there");
        &counted.block
    }
}

impl Far {
    #[inline]
    pub(super) fn block(&self, place: Place) -> Option<Reading> {
        let block = self.blocks.get(index(place))?.load();
        block.is_some().then(|| Reading(block))
    }

    /// Lets a span into its slot, which is free, or its own already.
    pub(super) fn put(&self, place: Place, tag: u32, fill: impl FnOnce(&OpenSpan)) {
        let held = self.became_empty.lock();
        let at = self.blocks.get_or_grow(index(place));
        let counted = at.load_full().unwrap_or_else(|| {
            let new = Arc::<Counted>::default();
            at.store(Some(Arc::clone(&new)));
            new
        });
        if counted.block.tag(place) == FREE {
            counted.spans.fetch_add(1, Ordering::Relaxed);
        }
        counted.block.put(place, tag, fill);
        drop(held);
    }

    /// Whether the span with this mark stood there, and is gone now.
    pub(super) fn clear(&self, place: Place, mark: u32) -> bool {
        let Some(reading) = self.block(place) else {
            return false;
        };
        if reading.tag(place) != place.generation | mark {
            return false;
        }
        // Not under the lock: the last owner of a series calls its sinks.
        reading.slot(place).clear();
        let mut became_empty = self.became_empty.lock();
        reading.tags[place.at % BLOCK].store(FREE, Ordering::Release);
        let spans = reading.0.as_ref().map(|counted| &counted.spans);
        let is_last = spans.is_some_and(|spans| spans.fetch_sub(1, Ordering::Relaxed) == 1);
        let before = is_last.then(|| became_empty.replace(index(place)));
        let let_go = before
            .flatten()
            .and_then(|before| self.let_go(before, place));
        drop(became_empty);
        drop(let_go);
        true
    }

    /// Lets the block go that became empty before, if it still is.
    fn let_go(&self, before: u32, place: Place) -> Option<Arc<Counted>> {
        let at = self.blocks.get(before).filter(|_| before != index(place))?;
        let is_empty = at
            .load()
            .as_ref()
            .is_some_and(|counted| counted.spans.load(Ordering::Relaxed) == 0);
        if is_empty { at.swap(None) } else { None }
    }

    pub(super) fn each(&self, mut call: impl FnMut(&Block)) {
        for at in self.blocks.iter() {
            if let Some(counted) = &*at.load() {
                call(&counted.block);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn blocks(&self) -> usize {
        let mut count = 0;
        self.each(|_| count += 1);
        count
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a few blocks are near")]
const fn index(place: Place) -> u32 {
    place.block - NEAR_BLOCKS as u32
}
