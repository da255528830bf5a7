//! What a thread allocates, and what all threads do.

#![allow(dead_code, reason = "each test uses its part of this")]
#![allow(unsafe_code, reason = "an allocator cannot be without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

struct CountBytes;

/// What all threads have allocated and not freed. It wraps around.
static LIVE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
    static FREED: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: CountBytes = CountBytes;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for CountBytes {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        let _ = ALLOCATED.try_with(|bytes| bytes.set(bytes.get() + layout.size()));
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        let _ = FREED.try_with(|bytes| bytes.set(bytes.get() + layout.size()));
        // SAFETY: as the caller says.
        unsafe { System.dealloc(at, layout) }
    }
}

/// The bytes that code allocates on this thread.
pub(crate) fn bytes(code: impl FnOnce()) -> usize {
    let before = ALLOCATED.get();
    code();
    ALLOCATED.get() - before
}

/// The bytes that code allocates on this thread, and does not free there.
pub(crate) fn kept_bytes(code: impl FnOnce()) -> usize {
    let freed = FREED.get();
    let allocated = bytes(code);
    allocated.saturating_sub(FREED.get() - freed)
}

/// The bytes that all threads have more of after the code than before.
pub(crate) fn kept_bytes_of_all_threads(code: impl FnOnce()) -> usize {
    let before = LIVE.load(Ordering::Relaxed);
    code();
    LIVE.load(Ordering::Relaxed).wrapping_sub(before)
}
