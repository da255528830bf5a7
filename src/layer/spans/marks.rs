//! What is true of an open span, or not.

use std::ops::BitOr;
use std::sync::atomic::{AtomicU8, Ordering};

/// A set of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks(u8);

/// The marks of a span, set by any thread.
#[derive(Default)]
pub(super) struct AtomicMarks(AtomicU8);

impl Marks {
    pub(super) const NONE: Self = Self(0);
    /// The span failed.
    pub(super) const FAILED: Self = Self(1);
    /// A panic left the span.
    pub(super) const PANICKED: Self = Self(1 << 1);
    /// Its exits are of interest.
    pub(super) const TIMED: Self = Self(1 << 2);
    /// It was opened while its thread was panicking already.
    pub(super) const OPENED_IN_PANIC: Self = Self(1 << 3);
    /// Its in-flight series are those of the binding that it opened on.
    pub(super) const BOUND: Self = Self(1 << 4);
    /// It is measured under more labels than its own.
    pub(super) const INHERITS: Self = Self(1 << 5);
    /// Samples wait for its end.
    pub(super) const HOLDS: Self = Self(1 << 6);

    /// These marks where the condition holds, and else none.
    #[inline]
    pub(super) const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }

    /// Whether any of these marks is set.
    #[inline]
    pub(super) const fn contain(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }
}

impl BitOr for Marks {
    type Output = Self;

    #[inline]
    fn bitor(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }
}

impl AtomicMarks {
    #[inline]
    pub(super) fn get(&self) -> Marks {
        Marks(self.0.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn set(&self, marks: Marks) {
        self.0.store(marks.0, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn add(&self, marks: Marks) {
        self.0.fetch_or(marks.0, Ordering::Relaxed);
    }
}
