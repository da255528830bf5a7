//! What a sink calls before it is collected.

use std::fmt;
use std::sync::Weak;

use super::Pending;

/// Flushes what is pending for a sink.
///
/// A sink gets it from the layer, in [`Sink::flush_with`](crate::Sink::flush_with).
#[derive(Clone)]
pub struct Flusher {
    pub(super) pending: Weak<Pending>,
    pub(super) sink: usize,
}

impl Flusher {
    /// Records in the sink's handles what was measured on all threads until now.
    ///
    /// To be called before each collection, on any thread, while the sink holds no lock
    /// that its handles take, and never by a handle that records. Measurements may be
    /// pending from the first call on; before it, or if it is never called, none are.
    pub fn flush(&self) {
        if let Some(pending) = self.pending.upgrade() {
            pending.flush(self.sink);
        }
    }
}

impl fmt::Debug for Flusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Flusher");
        debug.field("sink", &self.sink).finish_non_exhaustive()
    }
}
