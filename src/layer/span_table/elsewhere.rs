//! Spans for which the table has no place.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::layer::open_span::OpenSpan;
use crate::sync::Mutex;

/// Spans for which there is no place, by id: another registry may give any ids.
#[derive(Default)]
pub(super) struct Elsewhere {
    spans: Mutex<HashMap<u64, Arc<OpenSpan>>>,
    len: AtomicUsize,
}

impl Elsewhere {
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    pub(super) fn insert(&self, id: u64, fill: impl FnOnce(&OpenSpan)) {
        let slot = Arc::new(OpenSpan::default());
        fill(&slot);
        let mut spans = self.spans.lock();
        spans.insert(id, slot);
        self.len.store(spans.len(), Ordering::Relaxed);
    }

    #[inline(never)]
    pub(super) fn with<R>(&self, id: u64, call: impl FnOnce(&OpenSpan) -> R) -> Option<R> {
        // The lock is given back before anything is called.
        let slot = self.spans.lock().get(&id).cloned()?;
        Some(call(&slot))
    }

    #[inline(always)]
    pub(super) fn remove(&self, id: u64) {
        if !self.is_empty() {
            self.remove_one(id);
        }
    }

    #[cold]
    fn remove_one(&self, id: u64) {
        let mut spans = self.spans.lock();
        let removed = spans.remove(&id);
        if spans.is_empty() {
            spans.shrink_to_fit();
        }
        self.len.store(spans.len(), Ordering::Relaxed);
        drop(spans);
        // Without the lock: the last owner of a series calls its sinks.
        drop(removed);
    }

    pub(super) fn each(&self, mut call: impl FnMut(&OpenSpan)) {
        let spans: Vec<_> = self.spans.lock().values().cloned().collect();
        for slot in &spans {
            call(slot);
        }
    }
}
