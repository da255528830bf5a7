//! A map by callsite that is read without a lock.
//!
//! Invariant: a callsite's value is set once and stays; any thread may read and may insert,
//! as in the [`OnceMap`] that it is.

use tracing_core::Metadata;

use super::once_map::{Entry, OnceMap, Position};

/// One value for each callsite, made when it is first asked for.
///
/// A callsite's metadata is a static: its address is its identity.
pub(crate) struct CallsiteMap<V>(OnceMap<usize, V, 128>);

impl<V> CallsiteMap<V> {
    pub(crate) const fn new() -> Self {
        Self(OnceMap::new())
    }

    /// The value of a callsite, and its position. Two threads may both make one: the
    /// first stays.
    #[inline(always)]
    pub(crate) fn get_or_insert_with(
        &self,
        metadata: &'static Metadata<'static>,
        make: impl FnOnce() -> V,
    ) -> (Position, &V) {
        let (hash, address) = identity(metadata);
        let known = self.0.get(hash, |known| *known == address);
        let (position, entry) = known.unwrap_or_else(|| self.insert(hash, address, make));
        (position, &entry.value)
    }

    #[inline]
    pub(crate) fn at(&self, position: Position) -> Option<&V> {
        Some(&self.0.at(position)?.value)
    }

    /// Calls with all values that are there now.
    pub(crate) fn each(&self, call: impl Fn(&V)) {
        self.0.entries().for_each(|entry| call(&entry.value));
    }

    #[cold]
    fn insert(
        &self,
        hash: u64,
        address: usize,
        make: impl FnOnce() -> V,
    ) -> (Position, &Entry<usize, V>) {
        self.0.insert(hash, address, make())
    }
}

/// No input chooses addresses, so their hash needs no seed: it spreads the bits in which
/// they differ over all bits (Fibonacci hashing).
#[inline]
fn identity(metadata: &Metadata<'_>) -> (u64, usize) {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let address = std::ptr::from_ref(metadata).addr();
    let hash = (address as u64).wrapping_mul(GOLDEN).rotate_right(32);
    (hash, address)
}
