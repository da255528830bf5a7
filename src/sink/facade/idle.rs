//! After how long without a measurement a series is registered anew.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;

/// A duration, and the clock that it is measured by.
#[derive(Clone)]
pub(super) struct Idle {
    nanos: u64,
    clock: Arc<Clock>,
}

impl Idle {
    pub(super) fn of(duration: Duration) -> Self {
        Self {
            nanos: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
            clock: Arc::new(Clock::new()),
        }
    }

    /// The time of the clock, from any beginning.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Whether it is over at a time of the clock, counted from an earlier one.
    #[inline]
    pub(super) fn is_over(&self, since: u64, now: u64) -> bool {
        self.clock.nanos_between(since, now) >= self.nanos
    }
}
