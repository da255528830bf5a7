//! A level of which the changes are counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// The previous sample of a level, a NaN before the first one.
pub(super) struct Level(AtomicU64);

impl Level {
    /// How much higher a sample is than the previous one, 0 for the first.
    pub(super) fn rise_to(&self, level: f64) -> f64 {
        self.replace(level)
            .map_or(0.0, |before| difference(level, before))
    }

    /// How much lower a sample is than the previous one, 0 for the first.
    pub(super) fn fall_to(&self, level: f64) -> f64 {
        self.replace(level)
            .map_or(0.0, |before| difference(before, level))
    }

    fn replace(&self, level: f64) -> Option<f64> {
        let before = f64::from_bits(self.0.swap(level.to_bits(), Ordering::Relaxed));
        Some(before).filter(|before| !before.is_nan())
    }
}

impl Default for Level {
    fn default() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }
}

/// How much higher the first is, finite even between the ends of `f64`.
fn difference(higher: f64, lower: f64) -> f64 {
    (higher - lower).clamp(0.0, f64::MAX)
}
