//! The clock that spans are timed by.

use std::time::Instant;

/// Nanoseconds since the layer was built.
pub(super) struct Clock {
    epoch: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            epoch: Instant::now(),
        }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "584 years")]
    pub(super) fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }
}
