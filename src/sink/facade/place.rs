//! Where a series of a recorder is kept, once it was taken.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::handle::Resolved;
use crate::clock::Clock;

/// A series in a recorder.
pub(super) enum Place {
    /// Taken once: the recorder keeps it.
    Once(OnceLock<Resolved>),
    /// An exporter forgets a series that idles, and its handle records into nothing.
    Renewed(Box<Renewed>),
}

/// After how long without a measurement a series is taken anew.
#[derive(Clone)]
pub(super) struct Idle {
    nanos: u64,
    clock: Arc<Clock>,
}

/// A series that is taken anew after it idled, which finds the old one if the exporter
/// still has it.
pub(super) struct Renewed {
    after: Idle,
    used: AtomicU64,
    is_stale: AtomicBool,
    resolved: ArcSwapOption<Resolved>,
}

impl Idle {
    pub(super) fn of(duration: Duration) -> Self {
        Self {
            nanos: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
            clock: Arc::new(Clock::new()),
        }
    }
}

impl Place {
    pub(super) fn new(renew_after: Option<&Idle>) -> Self {
        match renew_after {
            None => Self::Once(OnceLock::new()),
            Some(after) => Self::Renewed(Box::new(Renewed {
                used: AtomicU64::new(after.clock.now()),
                after: after.clone(),
                is_stale: AtomicBool::new(false),
                resolved: ArcSwapOption::empty(),
            })),
        }
    }

    /// Uses the series, unless it has to be taken first, or anew. What is in flight gives
    /// back to the gauge that it was taken from.
    #[inline]
    pub(super) fn try_use(
        &self,
        is_in_flight: impl Fn() -> bool,
        call: impl FnOnce(&Resolved),
    ) -> bool {
        match self {
            Self::Renewed(renewed) if renewed.is_due() && !is_in_flight() => false,
            _ => self.use_latest(call),
        }
    }

    /// Uses the series that was taken last, if there is one.
    #[inline]
    pub(super) fn use_latest(&self, call: impl FnOnce(&Resolved)) -> bool {
        match self {
            Self::Once(resolved) => resolved.get().map(call).is_some(),
            Self::Renewed(renewed) => renewed.resolved.load().as_deref().map(call).is_some(),
        }
    }

    pub(super) fn keep(&self, taken: Resolved) {
        match self {
            Self::Once(resolved) => _ = resolved.set(taken),
            Self::Renewed(renewed) => {
                renewed.resolved.store(Some(Arc::new(taken)));
                // Only now, so that no other thread goes on with the old one.
                renewed.is_stale.store(false, Ordering::Release);
            }
        }
    }
}

impl Renewed {
    fn is_due(&self) -> bool {
        let Idle { nanos, clock } = &self.after;
        let now = clock.now();
        let before = self.used.load(Ordering::Acquire);
        if clock.nanos_between(before, now) >= *nanos {
            self.is_stale.store(true, Ordering::Relaxed);
        }
        // Whoever sees the new time sees that the handle is stale, too.
        self.used.store(now, Ordering::Release);
        self.is_stale.load(Ordering::Acquire)
    }
}
