//! The sum of what a series was given, and the whole part of it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::value::Amount;

/// What a counter stops at, far below where 64 bits would wrap around.
const MAX_SUM: f64 = 9_223_372_036_854_775_808.0;
/// Ten times 0.1 is 1, although the sum of the floats is a little less.
const ROUNDING: f64 = 1e-9;

/// A sum that any thread adds to, as the bits of a float.
#[derive(Default)]
pub(super) struct Sum(AtomicU64);

/// What a recorder, which counts in `u64`, sees of one addition.
pub(super) struct Whole {
    /// How much the whole part of the sum has grown.
    pub(super) growth: f64,
    /// Whether the sum is over what it stops at.
    pub(super) is_full: bool,
}

impl Sum {
    /// Whether a counter's amount has to be summed up, before its whole part is passed on.
    #[inline]
    pub(super) fn is_needed_for(amount: f64) -> bool {
        // Only a sum of large amounts exceeds 64 bits, and only one of fractions grows by
        // another whole than they do.
        Amount::from(amount).as_whole().is_none()
    }

    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Adds to the sum, and returns what it was.
    pub(super) fn add(&self, value: f64) -> f64 {
        let relaxed = Ordering::Relaxed;
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        let before = self.0.fetch_update(relaxed, relaxed, add);
        f64::from_bits(before.unwrap_or_else(|bits| bits))
    }

    pub(super) fn add_whole(&self, value: f64) -> Whole {
        let before = self.add(value);
        let whole = |sum: f64| (sum + ROUNDING).floor().min(MAX_SUM);
        Whole {
            growth: whole(before + value) - whole(before),
            is_full: before + value > MAX_SUM,
        }
    }

    /// Sets something to the sum, until that is what was set: another thread may have set a
    /// later one before.
    pub(super) fn show(&self, set: impl Fn(f64)) {
        loop {
            let sum = self.get();
            set(sum);
            if sum.to_bits() == self.get().to_bits() {
                return;
            }
        }
    }
}
