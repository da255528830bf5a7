//! The bindings of an open span.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::plan::BindingPosition;

/// The bindings of a span, changed at once.
#[derive(Clone, Copy)]
pub(super) struct SpanBindings {
    /// That of its labels, which it may have got late.
    pub(super) labels: BindingPosition,
    pub(super) opened_on: BindingPosition,
}

/// The bindings of a span, of which any thread may change that of its labels. A thread that
/// reads a position sees the binding that is there.
#[derive(Default)]
pub(super) struct AtomicBindings(AtomicU64);

impl SpanBindings {
    /// Where a span opens on a binding, that is also the one of its labels.
    #[inline]
    pub(super) const fn new(opened_on: BindingPosition) -> Self {
        let labels = opened_on;
        Self { labels, opened_on }
    }

    /// The same with other labels.
    #[inline]
    pub(super) const fn with_labels(self, labels: BindingPosition) -> Self {
        Self { labels, ..self }
    }

    /// The same with labels that have no binding.
    #[inline]
    pub(super) const fn unbound(self) -> Self {
        self.with_labels(BindingPosition::NONE)
    }

    pub(super) fn are_unbound(self) -> bool {
        self.labels == BindingPosition::NONE
    }

    #[inline]
    const fn to_bits(self) -> u64 {
        (self.labels.to_bits() as u64) << 32 | self.opened_on.to_bits() as u64
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the halves")]
    const fn from_bits(bits: u64) -> Self {
        Self {
            labels: BindingPosition::from_bits((bits >> 32) as u32),
            opened_on: BindingPosition::from_bits(bits as u32),
        }
    }
}

impl AtomicBindings {
    #[inline]
    pub(super) fn get(&self) -> SpanBindings {
        SpanBindings::from_bits(self.0.load(Ordering::Acquire))
    }

    #[inline]
    pub(super) fn set(&self, bindings: SpanBindings) {
        self.0.store(bindings.to_bits(), Ordering::Release);
    }

    /// Whether they were still those that they are changed from.
    pub(super) fn change(&self, from: SpanBindings, to: SpanBindings) -> bool {
        let (set, get) = (Ordering::Release, Ordering::Relaxed);
        let (from, to) = (from.to_bits(), to.to_bits());
        self.0.compare_exchange(from, to, set, get).is_ok()
    }
}
