//! Ids for which the table has no slot: another registry may give any.
//!
//! Invariant: the map is read and changed under a lock, which is not held while a slot is
//! looked at. The number of ids is written under the lock and read without it: a thread that
//! has an id has seen it come.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sync::Mutex;

/// Slots in a map.
pub(super) struct Overflow<T> {
    slots: Mutex<HashMap<u64, Arc<T>>>,
    len: AtomicUsize,
}

impl<T: Default> Overflow<T> {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    pub(super) fn insert(&self, id: u64, fill: impl FnOnce(&T)) {
        let slot = Arc::new(T::default());
        fill(&slot);
        let mut slots = self.slots.lock();
        slots.insert(id, slot);
        self.len.store(slots.len(), Ordering::Relaxed);
    }

    #[inline(never)]
    pub(super) fn with<R>(&self, id: u64, call: impl FnOnce(&T) -> R) -> Option<R> {
        let slot = self.slots.lock().get(&id).cloned()?;
        Some(call(&slot))
    }

    #[inline]
    pub(super) fn remove(&self, id: u64) {
        if !self.is_empty() {
            self.remove_one(id);
        }
    }

    pub(super) fn each(&self, call: impl FnMut(&T)) {
        let slots: Vec<_> = self.slots.lock().values().cloned().collect();
        slots.iter().map(AsRef::as_ref).for_each(call);
    }

    #[cold]
    fn remove_one(&self, id: u64) {
        let mut slots = self.slots.lock();
        let removed = slots.remove(&id);
        if slots.is_empty() {
            slots.shrink_to_fit();
        }
        self.len.store(slots.len(), Ordering::Relaxed);
        drop(slots);
        // Without the lock: to drop a slot may call foreign code.
        drop(removed);
    }
}

impl<T> Default for Overflow<T> {
    fn default() -> Self {
        Self {
            slots: Mutex::default(),
            len: AtomicUsize::new(0),
        }
    }
}
