//! A short list whose first element needs no allocation.

/// Nearly every list of this crate's hot path has one element: a sink, a measure.
pub(crate) struct OneOrMore<T> {
    first: T,
    more: Box<[T]>,
}

impl<T> OneOrMore<T> {
    /// As many elements as asked for, and one at least.
    pub(crate) fn new(len: usize, mut element: impl FnMut() -> T) -> Self {
        Self {
            first: element(),
            more: (1..len).map(|_| element()).collect(),
        }
    }

    /// Calls with each element and its place.
    #[inline(always)]
    pub(crate) fn each(&self, mut call: impl FnMut(usize, &T)) {
        call(0, &self.first);
        for (at, element) in self.more.iter().enumerate() {
            call(at + 1, element);
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        match at.checked_sub(1) {
            None => Some(&self.first),
            Some(at) => self.more.get(at),
        }
    }
}
