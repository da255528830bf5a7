//! The measured span around another.

use std::sync::atomic::{AtomicU64, Ordering};

/// The nearest measured span around another, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outer {
    Unknown,
    None,
    Some(u64),
}

/// An [`Outer`] that any thread may look for: all of them find the same.
pub(super) struct AtomicOuter(AtomicU64);

impl Outer {
    const NONE: u64 = u64::MAX;

    /// No span has the id 0, and none the highest: each of its bits would have to be one.
    const fn to_bits(self) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::None => Self::NONE,
            Self::Some(id) => id,
        }
    }

    const fn from_bits(bits: u64) -> Self {
        match bits {
            0 => Self::Unknown,
            Self::NONE => Self::None,
            id => Self::Some(id),
        }
    }
}

impl From<Option<u64>> for Outer {
    fn from(id: Option<u64>) -> Self {
        id.map_or(Self::None, Self::Some)
    }
}

impl AtomicOuter {
    pub(super) fn get(&self) -> Outer {
        Outer::from_bits(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, outer: Outer) {
        self.0.store(outer.to_bits(), Ordering::Relaxed);
    }
}

impl Default for AtomicOuter {
    fn default() -> Self {
        Self(AtomicU64::new(Outer::Unknown.to_bits()))
    }
}
