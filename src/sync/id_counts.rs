//! How many of something spans have, by their ids.
//!
//! Invariant: a count is at least what the spans have whose ids share it. Any thread adds and
//! takes back. No order is needed where something is counted before its id is given away.

use std::sync::atomic::{AtomicU32, Ordering};

use super::registry_id::RegistryId;

/// Counts that tell without a lock that a span has none. Some ids share one.
pub(crate) struct IdCounts<const SIZE: usize>([AtomicU32; SIZE]);

/// One of what is counted.
pub(crate) struct Counted<'a>(&'a AtomicU32);

impl<const SIZE: usize> IdCounts<SIZE> {
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; SIZE])
    }

    /// Counts one of this id, until it is dropped.
    pub(crate) fn add(&self, id: u64) -> Counted<'_> {
        let count = self.of(id);
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }

    /// Whether there may be any of this id.
    #[inline]
    pub(crate) fn may_have(&self, id: u64) -> bool {
        self.of(id).load(Ordering::Relaxed) > 0
    }

    /// The indices of two threads begin at different counts.
    #[inline]
    fn of(&self, id: u64) -> &AtomicU32 {
        let RegistryId { index, thread, .. } = RegistryId::of(id);
        #[allow(clippy::cast_possible_truncation, reason = "less than their number")]
        &self.0[((index ^ thread) % SIZE as u64) as usize]
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_some_until_the_last_is_dropped() {
        let counts = IdCounts::<8>::new();
        let [first, second] = [counts.add(7), counts.add(7)];
        drop(first);
        assert!(counts.may_have(7) && !counts.may_have(8));
        drop(second);
        assert!(!counts.may_have(7));
    }
}
