//! The system's allocator, with an account of allocations for each thread, and one of
//! bytes for all of them.
//!
//! Threads that clean up after the case before do not count as allocating, and no
//! thread waits for another one's account. Memory is measured by itself: what a series
//! takes may be allocated on a thread that the event did not come from.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

static COUNTS_BYTES: AtomicBool = AtomicBool::new(false);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

/// How often this thread has allocated.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// How many bytes all threads have after this more than before.
pub(crate) fn grown(by: impl FnOnce()) -> i64 {
    COUNTS_BYTES.store(true, Ordering::Relaxed);
    let before = LIVE_BYTES.load(Ordering::Relaxed);
    by();
    let after = LIVE_BYTES.load(Ordering::Relaxed);
    COUNTS_BYTES.store(false, Ordering::Relaxed);
    after - before
}

fn account(allocations: u64, allocated: usize, freed: usize) {
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + allocations));
    if COUNTS_BYTES.load(Ordering::Relaxed) {
        let bytes = allocated.cast_signed() - freed.cast_signed();
        LIVE_BYTES.fetch_add(bytes as i64, Ordering::Relaxed);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

#[allow(unsafe_code, reason = "the trait's contract; all calls are passed on")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        account(1, layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        account(1, layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        account(1, size, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        account(0, 0, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}
