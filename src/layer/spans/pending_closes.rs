//! What was in flight when its span closed inside a sink, which must not be called there.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::plan::KeptSeries;
use crate::reentrancy::is_inside_a_sink;
use crate::sync::Mutex;

/// Series from which 1 is to be taken back: with the next event or span outside of
/// any sink, or when the layer goes.
#[derive(Default)]
pub(in crate::layer) struct PendingCloses {
    series: Mutex<KeptSeries>,
    has_any: AtomicBool,
}

impl PendingCloses {
    pub(super) fn add(&self, series: KeptSeries) {
        self.series.lock().extend(series);
        self.has_any.store(true, Ordering::Release);
    }

    #[inline]
    pub(in crate::layer) fn settle_outside_a_sink(&self) {
        if self.has_any.load(Ordering::Acquire) && !is_inside_a_sink() {
            self.settle();
        }
    }

    #[cold]
    pub(super) fn settle(&self) {
        self.has_any.store(false, Ordering::Relaxed);
        let series = std::mem::take(&mut *self.series.lock());
        series.iter().for_each(|series| series.record(-1.0));
    }
}
