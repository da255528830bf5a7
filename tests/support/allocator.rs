//! What a thread allocates.

#![allow(dead_code, reason = "each test uses its part of this")]
#![allow(unsafe_code, reason = "an allocator cannot be without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct CountBytes;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
    static FREED: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: CountBytes = CountBytes;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for CountBytes {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATED.try_with(|bytes| bytes.set(bytes.get() + layout.size()));
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
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
