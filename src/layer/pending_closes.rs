//! What was in flight when its span closed inside a sink, which must not be called
//! there.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::plan::KeptSeries;
use crate::reentrancy::is_inside_a_sink;
use crate::sync::Mutex;

/// Series that have to get their 1 back: with the next event or span outside of
/// any sink, or when the layer goes.
#[derive(Default)]
pub(super) struct PendingCloses {
    owed: Mutex<KeptSeries>,
    owes: AtomicBool,
}

impl PendingCloses {
    pub(super) fn add(&self, series: KeptSeries) {
        self.owed.lock().extend(series);
        self.owes.store(true, Ordering::Release);
    }

    #[inline]
    pub(super) fn settle_outside_a_sink(&self) {
        if self.owes.load(Ordering::Acquire) && !is_inside_a_sink() {
            self.pay();
        }
    }

    #[cold]
    pub(super) fn pay(&self) {
        self.owes.store(false, Ordering::Relaxed);
        let owed = std::mem::take(&mut *self.owed.lock());
        owed.iter().for_each(|series| series.record(-1.0));
    }
}
