//! A series that a recorder has registered, until it has to be registered anew.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

use super::idle::Idle;
use super::series::FacadeSeries;

/// Where a series is kept once a recorder has registered it.
pub(super) enum Registration {
    /// Once: the recorder keeps it.
    Once(OnceLock<FacadeSeries>),
    /// An exporter forgets a series that idles, and its handle records into nothing.
    Renewed(Box<Renewed>),
}

/// A series that is registered anew after it idled, which finds the old one if the exporter
/// still has it.
pub(super) struct Renewed {
    after: Idle,
    used: AtomicU64,
    is_stale: AtomicBool,
    latest: ArcSwapOption<FacadeSeries>,
}

impl Registration {
    pub(super) fn new(renew_after: Option<&Idle>) -> Self {
        match renew_after {
            None => Self::Once(OnceLock::new()),
            Some(after) => Self::Renewed(Box::new(Renewed {
                used: AtomicU64::new(after.now()),
                after: after.clone(),
                is_stale: AtomicBool::new(false),
                latest: ArcSwapOption::empty(),
            })),
        }
    }

    /// Uses the series, unless it has to be registered first, or anew. What is in flight
    /// gives back to the gauge that it was taken from.
    #[inline]
    pub(super) fn try_use(
        &self,
        is_in_flight: impl Fn() -> bool,
        call: impl FnOnce(&FacadeSeries),
    ) -> bool {
        match self {
            Self::Renewed(renewed) if renewed.is_due() && !is_in_flight() => false,
            _ => self.use_latest(call),
        }
    }

    /// Uses the series that was registered last, if there is one.
    #[inline]
    pub(super) fn use_latest(&self, call: impl FnOnce(&FacadeSeries)) -> bool {
        match self {
            Self::Once(series) => series.get().map(call).is_some(),
            Self::Renewed(renewed) => renewed.latest.load().as_deref().map(call).is_some(),
        }
    }

    pub(super) fn keep(&self, new: FacadeSeries) {
        match self {
            Self::Once(series) => _ = series.set(new),
            Self::Renewed(renewed) => {
                renewed.latest.store(Some(Arc::new(new)));
                // Only now, so that no other thread goes on with the old one.
                renewed.is_stale.store(false, Ordering::Release);
            }
        }
    }
}

impl Renewed {
    fn is_due(&self) -> bool {
        let now = self.after.now();
        let before = self.used.load(Ordering::Acquire);
        if self.after.is_over(before, now) {
            self.is_stale.store(true, Ordering::Relaxed);
        }
        // A thread that sees the new time sees that the handle is stale, too.
        self.used.store(now, Ordering::Release);
        self.is_stale.load(Ordering::Acquire)
    }
}
