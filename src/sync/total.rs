//! A sum that only grows, of one thread.
//!
//! Invariant: one thread adds, without a read-modify-write, and any thread reads. It is
//! released and acquired: a thread that sees a total sees what happened before it.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(crate) struct Total(AtomicU64);

/// A total up to this, and one more value, is exact as a float.
const MOST: u64 = 1 << 52;

impl Total {
    /// Whether there was room.
    #[inline]
    pub(crate) fn add(&self, value: u32) -> bool {
        let total = self.0.load(Ordering::Relaxed);
        let has_room = total < MOST;
        if has_room {
            self.0.store(total + u64::from(value), Ordering::Release);
        }
        has_room
    }

    #[allow(clippy::cast_precision_loss, reason = "it is exact")]
    pub(crate) fn get(&self) -> f64 {
        self.0.load(Ordering::Acquire) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_total_has_no_room_for_changes_nothing() {
        let total = Total::default();
        total.0.store(MOST - 1, Ordering::Relaxed);
        assert!(total.add(u32::MAX));
        assert!(!total.add(1));
        let sum = 4_503_599_627_370_495.0 + f64::from(u32::MAX);
        assert_eq!(total.get().to_bits(), sum.to_bits());
    }
}
