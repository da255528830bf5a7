//! The guard around calls that leave this crate.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(feature = "otel")]
use std::{panic::resume_unwind, thread::Builder};

#[cfg(feature = "otel")]
use tracing_core::dispatcher::{Dispatch, with_default};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a sink.
///
/// An SDK may log through `tracing` while it holds a lock of its own: measuring
/// that event could ask for the same lock again.
#[inline]
pub(crate) fn is_inside_a_sink() -> bool {
    INSIDE.try_with(Cell::get).unwrap_or(false)
}

/// Calls into a sink. A panic ends here: it is the sink's, not the application's.
#[inline]
pub(crate) fn call_sink<R>(call: impl FnOnce() -> R) -> Result<R, SinkPanicked> {
    let _inside = Inside::enter();
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| SinkPanicked)
}

/// Calls on a thread where nobody listens, and waits for it.
///
/// An SDK logs while it creates something, in the middle of an event or a span of the
/// application. A subscriber that is asked about an event inside of another one forgets
/// what its filters have said of that: the layers behind this one would get what they
/// refuse, and a `fmt` layer panics about a span that it does not know. On this thread
/// the subscriber cannot be changed: `tracing` may have borrowed it.
#[cfg(feature = "otel")]
pub(crate) fn unheard<R: Send>(call: impl Fn() -> R + Sync) -> R {
    let nobody = Dispatch::none();
    std::thread::scope(|scope| {
        let thread = Builder::new().name("tracing-meter-sink".to_owned());
        match thread.spawn_scoped(scope, || with_default(&nobody, &call)) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // Where no thread is to be had there are worse things than a line too many.
            Err(_) => call(),
        }
    })
}

/// A sink panicked. The panic's message went to the panic hook.
#[derive(Debug)]
pub(crate) struct SinkPanicked;

struct Inside {
    before: bool,
}

impl Inside {
    fn enter() -> Self {
        let before = INSIDE.try_with(|inside| inside.replace(true));
        Self {
            before: before.unwrap_or(false),
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // The thread may be ending: then nobody asks any more.
        let _ = INSIDE.try_with(|inside| inside.set(self.before));
    }
}
