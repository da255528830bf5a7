//! The guard around calls that leave this crate.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::sync::Scoped;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a sink.
///
/// An SDK may log through `tracing` while it holds one of its locks: measuring
/// that event could ask for the same lock again.
#[inline]
pub(crate) fn is_inside_a_sink() -> bool {
    INSIDE.try_with(Cell::get).unwrap_or(false)
}

/// Calls into a sink. A panic ends here: it is the sink's, not the application's.
#[inline]
pub(crate) fn call_sink<R>(call: impl FnOnce() -> R) -> Result<R, SinkPanicked> {
    let _inside = Scoped::set(&INSIDE, true);
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| SinkPanicked)
}

/// A sink panicked. The panic's message went to the panic hook.
#[derive(Debug)]
pub(crate) struct SinkPanicked;
