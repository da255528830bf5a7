//! A set of sinks.

/// A set of sinks, by their numbers. Of sinks beyond the first 32 none is ever in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SinkSet(pub(super) u32);

impl SinkSet {
    pub(super) const MOST: usize = 32;

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn remove(&mut self, sink: usize) {
        if sink < Self::MOST {
            self.0 &= !(1 << sink);
        }
    }

    #[inline]
    pub(crate) const fn contains(self, sink: usize) -> bool {
        sink < Self::MOST && self.0 & (1 << sink) != 0
    }
}
